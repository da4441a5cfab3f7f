"""The names of blocks, and of the hidden blobs that hold them until they are an object."""

import base64
import re
import secrets
from typing import Final

from azure.storage.blob import BlobBlock

from backends.errors import InvalidPart, Refused
from backends.storage.protocol import StoredPart
from backends.storage.reserved import RESERVED

MOST: Final = 50_000  # of one blob (Azure: Scalability and performance targets for Blob Storage)
NUMBERS: Final = 5
BLOCKS: Final = 6
TOKEN: Final = re.compile(r"([0-9a-f]{16})-([0-9]{1,5})")


def new_token() -> str:
    """A name that nobody else has taken."""
    return secrets.token_hex(8)


def hidden(upload: str) -> str:
    """The key of the blob that holds the parts of an upload."""
    return f"{RESERVED}parts/{upload}"


def part_token(nonce: str, count: int) -> str:
    """What names a part's bytes: the attempt at it, and its number of blocks."""
    return f"{nonce}-{count}"


def block_id(upload: str, number: int, nonce: str, at: int) -> str:
    """A block's id: upload, part, the attempt at that part, and the place in it.

    All ids of a blob have one length.
    """
    text = f"{upload}{number:0{NUMBERS}}{nonce}{at:0{BLOCKS}}"
    return base64.b64encode(text.encode()).decode()


def blocks_of(upload: str, part: StoredPart) -> list[BlobBlock]:
    """The blocks of a part, in order. InvalidPart where its token is none of ours."""
    named = TOKEN.fullmatch(part.token)
    if named is None:
        raise InvalidPart(f"the storage has no part {part.number} of that token")
    nonce, count = named[1], int(named[2])
    return [BlobBlock(block_id(upload, part.number, nonce, at)) for at in range(count)]


def require_room(count: int, subject: str) -> None:
    """Refused where there are more blocks than a blob can have."""
    if count > MOST:
        raise Refused(
            f"{subject}: Azure joins at most {MOST} blocks: a larger block_bytes makes them fewer"
        )
