"""Bodies on their way out of blobs."""

from collections.abc import AsyncGenerator
from contextlib import closing
from typing import Any

from azure.storage.blob.aio import BlobClient

from backends.errors import BackendError, NotFound, PreconditionFailed
from backends.storage.azure.answers import Answers
from backends.storage.azure.attributes import stored_of
from backends.storage.azure.conditions import only_if
from backends.storage.azure.copying import is_whole
from backends.storage.azure.errors import is_beyond, translated
from backends.storage.pieces import nothing
from backends.storage.protocol import Fetched


async def read(
    blob: BlobClient, locator: str, subject: str, start: int, length: int | None
) -> AsyncGenerator[bytes, None]:
    """As ObjectStore.get; of bytes that are there, if none of them are asked for, none."""
    if length == 0:
        return await _none_of(blob, locator, subject)
    ranged = start > 0 or length is not None
    answers = Answers()
    try:
        with translated(subject), closing(answers):
            found = await blob.download_blob(
                start if ranged else None,
                length,
                max_concurrency=1,
                decompress=False,
                raw_response_hook=answers.take,
                **only_if(locator),
            )
    except PreconditionFailed as error:
        raise _replaced(subject) from error
    except BackendError as error:
        if not is_beyond(error):
            raise
        return await _none_of(blob, locator, subject)
    if not is_whole(found.properties):
        raise NotFound(f"the bytes at {subject} are still being copied")
    return _body(found, answers, subject)


async def fetch(blob: BlobClient, subject: str) -> Fetched:
    """As ObjectStore.fetch: the first piece of a blob comes with its properties."""
    answers = Answers()
    with translated(subject), closing(answers):
        found = await blob.download_blob(
            max_concurrency=1, decompress=False, raw_response_hook=answers.take
        )
    if not is_whole(found.properties):
        raise NotFound(f"the bytes at {subject} are still being copied")
    return Fetched(stored_of(found.properties), _body(found, answers, subject))


async def _none_of(blob: BlobClient, locator: str, subject: str) -> AsyncGenerator[bytes, None]:
    """No bytes; NotFound unless those that the locator names are there."""
    try:
        with translated(subject):
            await blob.get_blob_properties(**only_if(locator))
    except PreconditionFailed as error:
        raise _replaced(subject) from error
    return nothing()


async def _body(found: Any, answers: Answers, subject: str) -> AsyncGenerator[bytes, None]:
    """The bytes of one blob: the client asks for all further pieces by the ETag of the first."""
    try:
        with translated(subject), closing(answers):
            async for piece in found.chunks():
                yield piece
    except PreconditionFailed as error:
        raise _replaced(subject) from error


def _replaced(subject: str) -> NotFound:
    return NotFound(f"other bytes than those asked for are at {subject}")
