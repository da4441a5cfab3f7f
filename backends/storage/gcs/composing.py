"""Parts of an upload as hidden objects, composed into one: 32 at a time, in levels."""

import re
import secrets
from collections.abc import Sequence
from contextlib import suppress
from typing import Final, NamedTuple

from backends.bounded import bounded
from backends.errors import BackendError, InvalidPart, NotFound
from backends.storage.gcs.attributes import Resource
from backends.storage.gcs.connection import Connection, object_path
from backends.storage.gcs.marked import Target
from backends.storage.protocol import StoredPart
from backends.storage.reserved import RESERVED

MOST: Final = 32
AT_ONCE: Final = 8
TOKEN: Final = re.compile(r"([0-9a-f]{16})-([0-9]+)-([A-Za-z0-9+/]{6}==)")


class Piece(NamedTuple):
    """A part as its token tells it: the name of its object, its bytes, their CRC32C in base64."""

    name: str
    size: int
    digest: str


def folder_of(upload: str) -> str:
    """The prefix below which an upload's parts lie."""
    return f"{RESERVED}parts/{upload}/"


def part_name(upload: str, number: int, nonce: str) -> str:
    """The key of a part."""
    return f"{folder_of(upload)}{number:05}-{nonce}"


def part_token(nonce: str, size: int, digest: str) -> str:
    """What names a part's bytes: the attempt at it, how many, and their CRC32C."""
    return f"{nonce}-{size}-{digest}"


def piece_of(upload: str, part: StoredPart) -> Piece:
    """What a part's token tells. InvalidPart where it is none of ours."""
    named = TOKEN.fullmatch(part.token)
    if named is None:
        raise InvalidPart(f"the storage has no part {part.number} of that token")
    return Piece(part_name(upload, part.number, named[1]), int(named[2]), named[3])


async def compose(
    connection: Connection, target: Target, upload: str, names: Sequence[str], resource: Resource
) -> Resource:
    """Make the target of the named objects, in their order. InvalidPart where one is missing.

    What was joined on the way is left for who ends the upload, or removed where this fails.
    """
    made: list[str] = []

    async def join(group: Sequence[str]) -> str:
        if len(group) == 1:
            return group[0]
        name = f"{folder_of(upload)}joined-{secrets.token_hex(8)}"
        made.append(name)
        await _compose(connection, Target.of(target.bucket, name, None), group, {})
        return name

    try:
        while len(names) > MOST:
            groups = [names[at : at + MOST] for at in range(0, len(names), MOST)]
            names = await bounded(join, groups, at_once=AT_ONCE)
        return await target.settled(connection, _compose(connection, target, names, resource))
    except BaseException:
        await bounded(lambda name: _drop(connection, target.bucket, name), made, at_once=AT_ONCE)
        raise


async def _compose(
    connection: Connection, target: Target, names: Sequence[str], resource: Resource
) -> Resource:
    content = {"sourceObjects": [{"name": name} for name in names], "destination": resource}
    try:
        return await connection.ask(
            "POST", f"{target.path}/compose", query=target.condition, content=content
        )
    except NotFound as error:
        raise InvalidPart(
            f"{target.bucket}: the storage lacks one of the parts of {target.name}"
        ) from error


async def _drop(connection: Connection, bucket: str, name: str) -> None:
    """Delete what is of no use; where that fails it goes with the upload."""
    with suppress(BackendError):
        await connection.ask("DELETE", object_path(bucket, name))
