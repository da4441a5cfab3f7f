"""Bodies on their way into blobs.

Azure drops the uncommitted blocks of a blob whenever it is written. So that writers of one key do
not drop each other's, blocks are gathered on a hidden blob of their own, which is committed and
then copied, inside the account, to its key.
"""

import base64
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from hashlib import md5
from typing import Any

from azure.storage.blob import BlobBlock
from azure.storage.blob.aio import BlobClient

from backends.errors import BackendError
from backends.model import Facts
from backends.storage.azure.attributes import MD5, metadata_of, settings_of
from backends.storage.azure.blocks import block_id, require_room
from backends.storage.azure.copying import copy_bytes
from backends.storage.azure.errors import translated
from backends.storage.azure.target import Target
from backends.storage.http import Block
from backends.threads import in_thread


async def put_whole(target: Target, data: bytes, facts: Facts) -> str:
    """Write a blob in one request; its ETag."""
    with translated(target.subject):
        answer = await target.blob.upload_blob(
            data,
            length=len(data),
            overwrite=True,
            headers=digest_of(facts.etag),
            metadata=target.metadata(facts),
            content_settings=settings_of(facts),
            **target.condition,
        )
    return etag_of(answer)


async def stage(
    gathering: BlobClient,
    prefix: tuple[str, int, str],
    pieces: AsyncIterator[bytes],
    subject: str,
) -> tuple[int, int]:
    """Add each piece as a block of those ids (`block_id`); how many blocks, of how many bytes."""
    count = size = 0
    async for piece in pieces:
        require_room(count + 1, subject)
        with translated(subject):
            digest = await in_thread(md5, piece, usedforsecurity=False)
            name, headers = block_id(*prefix, count), digest_of(digest.hexdigest())
            await gathering.stage_block(name, Block(piece), length=len(piece), headers=headers)
        count += 1
        size += len(piece)
        del piece  # before the next one is gathered
    return count, size


async def publish(
    gathering: BlobClient, blocks: Sequence[BlobBlock], target: Target, facts: Facts
) -> str:
    """Make the blocks one object at its key; its ETag. InvalidPart where a block is not there."""
    require_room(len(blocks), target.subject)
    with translated(target.subject):
        answer = await gathering.commit_block_list(
            list(blocks), metadata=metadata_of(facts), content_settings=settings_of(facts)
        )
    return await copy_bytes(gathering, etag_of(answer), target, facts)


async def drop(gathering: BlobClient) -> None:
    """Delete a hidden blob; one that cannot be deleted now harms nobody."""
    with suppress(BackendError), translated(str(gathering.blob_name)):
        await gathering.delete_blob()


def digest_of(md5: str) -> dict[str, str]:
    """The header by which the service checks what it received; none where that is no MD5."""
    if not MD5.fullmatch(md5):
        return {}
    return {"Content-MD5": base64.b64encode(bytes.fromhex(md5)).decode()}


def etag_of(answer: Mapping[str, Any]) -> str:
    return str(answer["etag"]).strip('"')
