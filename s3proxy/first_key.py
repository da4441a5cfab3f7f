"""The first key: made at the first start, or taken from the environment; never built in."""

import configparser
import os
import re
import secrets
import string
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from backends.clock import milliseconds
from backends.model import AccessKey
from backends.state.protocol import StateStore
from s3proxy.config import FIRST_KEY, ConfigError
from s3proxy.private_file import write_private

OWNER: Final = "root"
PROFILE: Final = "ccs"
FILE: Final = "credentials"
ACCESS_LENGTH: Final = 20
SECRET_LENGTH: Final = 40
LEAST_SECRET: Final = 8
ACCESS: Final = re.compile(r"[A-Za-z0-9_.@-]{3,128}")


@dataclass(frozen=True, slots=True)
class FirstKey:
    """The key of a server; `is_new` where this start made it."""

    key: AccessKey
    file: Path
    is_new: bool


def new_key(owner: str, access_key: str = "", secret_key: str = "") -> AccessKey:
    """A key of the owner's, made up where none is given. ConfigError for one that cannot be."""
    if bool(access_key) != bool(secret_key):
        raise ConfigError("an access key and a secret key go together")
    if not access_key:
        letters = string.ascii_uppercase + string.digits
        access_key = "".join(secrets.choice(letters) for _ in range(ACCESS_LENGTH))
        secret_key = secrets.token_urlsafe(SECRET_LENGTH)[:SECRET_LENGTH]
    if not ACCESS.fullmatch(access_key):
        raise ConfigError(
            f"the access key {access_key!r} must have 3 to 128 letters, digits or any of _ . @ -"
        )
    if len(secret_key) < LEAST_SECRET:
        raise ConfigError(f"a secret key has at least {LEAST_SECRET} characters")
    if not owner.strip():
        raise ConfigError("a key needs an owner's name")
    return AccessKey(access_key, secret_key, owner, milliseconds())


async def first_key(
    state: StateStore, folder: Path, environment: Mapping[str, str] = os.environ
) -> FirstKey:
    """The key that the data folder's credentials file holds, made or taken if need be."""
    file = folder / FILE
    given = [environment.get(name, "") for name in FIRST_KEY]
    if any(given):
        return FirstKey(await _keep(state, file, new_key(OWNER, *given)), file, is_new=False)
    known = _read(file)
    if known:
        return FirstKey(known, file, is_new=False)
    return FirstKey(await _keep(state, file, new_key(OWNER)), file, is_new=True)


async def _keep(state: StateStore, file: Path, key: AccessKey) -> AccessKey:
    """Write the key to state, then to a file that only its owner can read."""
    await state.put_key(key)
    text = (
        f"[{PROFILE}]\naws_access_key_id = {key.access_key}\n"
        f"aws_secret_access_key = {key.secret_key}\n"
    )
    write_private(file, text)
    return key


def _read(file: Path) -> AccessKey | None:
    parser = configparser.RawConfigParser()
    if not parser.read(file):
        return None
    section = parser[PROFILE]
    return AccessKey(section["aws_access_key_id"], section["aws_secret_access_key"], OWNER, 0)
