"""Bodies on their way out of Google Cloud Storage, as they are stored."""

import base64
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

import aiohttp
import google_crc32c

from backends.errors import Corrupt, NotFound, Unavailable
from backends.storage.gcs.connection import Connection, object_path
from backends.storage.gcs.names import name_of
from backends.storage.http import stream


async def read(
    connection: Connection, bucket: str, key: str, locator: str, start: int, length: int | None
) -> AsyncGenerator[bytes, None]:
    """As ObjectStore.get, of one byte or more. Unsatisfiable where there are none from `start`."""
    headers = {"accept-encoding": "gzip"}  # as it is stored: the service unpacks nothing
    if start or length is not None:
        last = "" if length is None else str(start + length - 1)
        headers["range"] = f"bytes={start}-{last}"
    query = {"alt": "media", **({"generation": locator} if locator else {})}
    response = await connection.send(
        "GET", object_path(bucket, name_of(key)), query=query, headers=headers
    )
    generation = response.headers.get("X-Goog-Generation", "")
    if not generation:
        response.close()
        raise Unavailable(f"{bucket}/{key}: the storage's answer has no generation")
    if locator not in {"", generation}:
        response.close()
        raise NotFound(f"the storage has no bytes {locator} at {bucket}/{key}")
    return _body(response, f"{bucket}/{key}", whole="range" not in headers)


async def _body(
    response: aiohttp.ClientResponse, subject: str, *, whole: bool
) -> AsyncGenerator[bytes, None]:
    """The bytes of an answer; Corrupt before the last where they are not what the service has."""
    checksum = google_crc32c.Checksum() if whole else None
    held = b""
    async with aclosing(stream(response, subject)) as blocks:
        async for block in blocks:
            if checksum:
                checksum.update(block)
            if held:
                yield held
            held = block
    told = _crc32c(response.headers.getall("X-Goog-Hash", []))
    if checksum and told and base64.b64decode(told) != checksum.digest():
        raise Corrupt(f"{subject}: the bytes are not those that the storage has a checksum of")
    if held:
        yield held


def _crc32c(hashes: Sequence[str]) -> str:
    """The CRC32C among the hashes of an answer; "" where there is none."""
    for pair in ",".join(hashes).split(","):
        name, _, value = pair.strip().partition("=")
        if name == "crc32c":
            return value
    return ""
