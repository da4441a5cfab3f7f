"""Facts as headers of S3 objects, both ways."""

import base64
import binascii
import re
from collections.abc import Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Final

from msgspec.structs import replace

from backends.etags import is_md5
from backends.model import Facts
from backends.storage import carried
from backends.storage.protocol import Stored

ENCRYPTION: Final = "x-amz-server-side-encryption"
KEYED: Final = ("aws:kms", "aws:kms:dsse")
NO_MD5: Final = "-1"
META: Final = "x-amz-meta-"
NATIVE: Final = (
    "content-type",
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "expires",
    "x-amz-website-redirect-location",
)
ENCODED: Final = re.compile(r"=\?UTF-8\?B\?([A-Za-z0-9+/=]*)\?=", re.IGNORECASE)
PLAIN: Final = re.compile(r"[\x21-\x7e]+( +[\x21-\x7e]+)*|")
OURS: Final = f"{META}{carried.NAME}"


def headers_of(facts: Facts) -> dict[str, str]:
    """What a request that writes says of the object: content headers, metadata, our own facts."""
    headers = {name: facts.headers[name] for name in NATIVE if name in facts.headers}
    headers |= {f"{META}{name}": text for name, text in metadata_of(facts).items()}
    return headers


def metadata_of(facts: Facts) -> dict[str, str]:
    """The user's metadata and our own facts. A name that would be taken for ours is moved aside."""
    metadata = {carried.aside(name): _ascii(value) for name, value in facts.metadata.items()}
    metadata[carried.NAME] = carried.encode(facts)
    return metadata


def stored_of(key: str, size: int, headers: Mapping[str, str]) -> Stored:
    """What the headers of an answer (lower-case names) tell of an object of so many bytes."""
    etag = headers.get("etag", "").strip('"')
    text = headers.get(OURS)
    modified = milliseconds(headers.get("last-modified", ""))
    content: dict[str, str] = {}
    metadata: dict[str, str] = {}
    for name, value in headers.items():
        if name in NATIVE:
            content[name] = value
        elif name.startswith(META) and name != OURS:
            metadata[carried.back(name.removeprefix(META))] = _text(value, decode=text is not None)
    native = carried.foreign(modified, size, etag, content, metadata)
    if text:
        facts = carried.decode(text, native)
    else:
        facts = replace(native, etag=_etag_of_foreign(etag, headers))
    return Stored(key, size, etag, facts, modified, "" if _is_keyed(headers) else _md5(etag))


@lru_cache(maxsize=1024)
def milliseconds(date: str) -> int:
    """An HTTP date as milliseconds since the epoch; 0 for none."""
    try:
        return int(parsedate_to_datetime(date).timestamp() * 1000)
    except ValueError:
        return 0


def iso_milliseconds(date: str) -> int:
    """A date of a listing as milliseconds since the epoch."""
    return int(datetime.fromisoformat(date).timestamp() * 1000)


def _etag_of_foreign(etag: str, headers: Mapping[str, str]) -> str:
    """The ETag as we tell it: what looks like an MD5 and is none gets the mark of such."""
    return f"{etag}{NO_MD5}" if _is_keyed(headers) and is_md5(etag) else etag


def _is_keyed(headers: Mapping[str, str]) -> bool:
    """Whether the bytes are encrypted so that their ETag is no MD5."""
    return headers.get(ENCRYPTION, "") in KEYED


def _md5(etag: str) -> str:
    return etag if is_md5(etag) else ""


def _ascii(value: str) -> str:
    """The value as it may travel in a header; another one as an encoded word (RFC 2047)."""
    if PLAIN.fullmatch(value) and not ENCODED.fullmatch(value):
        return value
    return f"=?UTF-8?B?{base64.b64encode(value.encode()).decode()}?="


def _text(value: str, *, decode: bool) -> str:
    found = ENCODED.fullmatch(value) if decode else None
    if found is None:
        return value
    try:
        return base64.b64decode(found[1], validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return value
