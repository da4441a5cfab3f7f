"""Operators and their keys, which applications do not have.

A key is 256 random bits, so its plain SHA-256 is enough to know it again: only that is kept.
"""

import hmac
import re
import secrets
import time
from collections.abc import Sequence
from hashlib import sha256
from typing import Final, NamedTuple, Protocol

from msgspec import Struct

from backends.clock import milliseconds
from backends.errors import InvalidName, NotFound

PREFIX: Final = "ccs_op_"
KEY: Final = re.compile(r"ccs_op_[A-Za-z0-9_-]{32,128}")
NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
RANDOM_BYTES: Final = 32
TRUSTED_SECONDS: Final = 1.0


class Operator(Struct, frozen=True):
    """Someone with an operator's key, of which `digest` is the SHA-256 in hexadecimal digits.

    `created` is in milliseconds.
    """

    name: str
    digest: str
    created: int


class Records(Protocol):
    """Where operators are kept."""

    async def every(self) -> list[Operator]:
        """All of them, by name."""

    async def add(self, operator: Operator) -> None:
        """AlreadyExists where the name is taken."""

    async def drop(self, name: str) -> bool:
        """Whether it was there."""


class Issued(NamedTuple):
    """A new operator and the key, which is not shown again."""

    operator: Operator
    key: str


class Operators:
    """Makes operators, knows them by their keys, removes them."""

    def __init__(self, records: Records) -> None:
        self._records = records
        self._until = 0.0
        self._known: Sequence[Operator] = ()

    async def create(self, name: str, key: str = "") -> Issued:
        """A new operator, with a key made up unless one is given. AlreadyExists, InvalidName."""
        key = key or PREFIX + secrets.token_urlsafe(RANDOM_BYTES)
        if not KEY.fullmatch(key):
            raise InvalidName(
                f"an operator's key is {PREFIX} and 32 to 128 letters, digits, _ or -"
            )
        if not NAME.fullmatch(name):
            raise InvalidName(
                f"{name!r}: an operator's name has up to 63 lower-case letters, digits, "
                "dots, underscores and hyphens, and starts with a letter or digit"
            )
        operator = Operator(name, digest_of(key), milliseconds())
        await self._records.add(operator)
        self._forget()
        return Issued(operator, key)

    async def every(self) -> list[Operator]:
        """All of them, by name."""
        return await self._records.every()

    async def remove(self, name: str) -> None:
        """Refuse the operator's key from now on; other processes do within a second. NotFound."""
        if not await self._records.drop(name):
            raise NotFound(f"there is no operator {name}")
        self._forget()

    async def owner_of(self, key: str) -> Operator | None:
        """Whose key it is, as it was at most a second ago; None for any other text.

        How long that takes tells nothing of the keys there are.
        """
        digest = digest_of(key)
        same = [
            known for known in await self._recent() if hmac.compare_digest(known.digest, digest)
        ]
        return same[0] if same else None

    async def _recent(self) -> Sequence[Operator]:
        now = time.monotonic()
        if now >= self._until:
            self._known = await self._records.every()
            self._until = now + TRUSTED_SECONDS
        return self._known

    def _forget(self) -> None:
        self._until = 0.0


def digest_of(key: str) -> str:
    return sha256(key.encode()).hexdigest()
