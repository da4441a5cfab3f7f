"""Copies inside an Azure account."""

import asyncio
from typing import Any, Final

from azure.core import MatchConditions
from azure.storage.blob.aio import BlobClient

from backends.errors import PreconditionFailed, Refused, Unavailable
from backends.model import Facts
from backends.storage.azure.attributes import (
    headers_of,
    settings_of,
    stored_of,
)
from backends.storage.azure.conditions import only_if
from backends.storage.azure.errors import is_other_kind, translated
from backends.storage.azure.target import Target
from backends.storage.protocol import Stored

FIRST_PAUSE: Final = 0.05
LONGEST_PAUSE: Final = 5.0
DONE: Final = "success"
PENDING: Final = "pending"
DEFAULT_TYPE: Final = {"content-type": "application/octet-stream"}  # of a blob that was given none


async def copy_bytes(source: BlobClient, locator: str, target: Target, facts: Facts) -> str:
    """Copy just the bytes that the locator names, under new metadata; the copy's ETag.

    Its content headers are the source's. A copy that ends badly is removed. Azure copies over no
    blob of another kind: one that another tool has made there is deleted first.
    """
    try:
        return await _copy(source, locator, target, facts)
    except Refused as error:
        if not is_other_kind(error):
            raise
    with translated(target.subject):
        await target.blob.delete_blob(delete_snapshots="include", **target.condition)
    return await _copy(source, locator, target.vacated(), facts)


async def _copy(source: BlobClient, locator: str, target: Target, facts: Facts) -> str:
    named: dict[str, Any] = {}
    if locator:
        named = {
            "source_etag": f'"{locator}"',
            "source_match_condition": MatchConditions.IfNotModified,
        }
    with translated(target.subject):
        answer = await target.blob.start_copy_from_url(
            source.url, metadata=target.metadata(facts), **named, **target.condition
        )
        if answer["copy_status"] == DONE:
            return str(answer["etag"]).strip('"')
        return await _copied(target.blob, str(answer["copy_id"]))


async def set_headers(target: BlobClient, etag: str, facts: Facts) -> Stored:
    """Give the blob of that ETag the content headers of the facts; what it is then.

    Unavailable where another writer took the blob's place meanwhile.
    """
    unchanged = only_if(etag)
    try:
        with translated(str(target.blob_name)):
            properties = await target.get_blob_properties(**unchanged)
            if not _has_headers(properties.content_settings, facts):
                changed = await target.set_http_headers(settings_of(facts), **unchanged)
                etag = str(changed["etag"]).strip('"')
    except PreconditionFailed as error:
        raise Unavailable(f"{target.blob_name}: another writer replaced the copy") from error
    stored = stored_of(properties)
    return Stored(stored.key, stored.size, etag, facts)


def is_whole(properties: Any) -> bool:
    """Whether the blob is not one that a copy has yet to fill, or failed to."""
    return properties.copy.status in {None, DONE}


async def _copied(target: BlobClient, copy: str) -> str:
    """Wait for the end of a copy that Azure does behind the scenes; the copy's ETag."""
    pause = FIRST_PAUSE
    while True:
        properties = await target.get_blob_properties()
        if properties.copy.id != copy:
            raise Unavailable(f"{target.blob_name}: another writer replaced the copy")
        if properties.copy.status == DONE:
            return str(properties.etag).strip('"')
        if properties.copy.status != PENDING:
            await _remove(target, properties.etag)
            raise Unavailable(f"{target.blob_name}: the copy ended as {properties.copy.status}")
        await asyncio.sleep(pause)
        pause = min(pause * 2, LONGEST_PAUSE)


async def _remove(target: BlobClient, etag: str) -> None:
    await target.delete_blob(etag=etag, match_condition=MatchConditions.IfNotModified)


def _has_headers(found: Any, facts: Facts) -> bool:
    wanted = settings_of(facts)
    headers = headers_of(wanted)
    alike = bytes(wanted.content_md5 or b"") == bytes(found.content_md5 or b"")
    return alike and headers_of(found) in (headers, DEFAULT_TYPE | headers)
