"""Facts as metadata and content settings of blobs, both ways."""

import base64
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final
from urllib.parse import quote, unquote

from azure.storage.blob import ContentSettings
from msgspec import MsgspecError, json
from msgspec.structs import replace

from backends.model import Bucket, Facts
from backends.storage import carried
from backends.storage.azure.names import key_of, metadata_name, metadata_text
from backends.storage.protocol import Stored

TYPE: Final = "content-type"
NATIVE: Final = {
    TYPE: "content_type",
    "cache-control": "cache_control",
    "content-disposition": "content_disposition",
    "content-encoding": "content_encoding",
    "content-language": "content_language",
}
LONGEST: Final = 4096  # of the 8 KiB that all metadata may have
OTHERS: Final = f"{carried.NAME}headers"
MARK: Final = f"{carried.NAME}mark"
USERS: Final = "x"  # before a name of the user's that would be taken for ours
EMPTY: Final = "%"  # no text that is percent-encoded is just this
MD5: Final = re.compile(r"[0-9a-f]{32}")
SAFE: Final = " !#$&'()*+,-./:;<=>?@[]^_`{|}~\"\\"
LOST_SPACE: Final = re.compile(r"^ | \Z|(?<= ) ")  # one that HTTP or its signature would drop


def metadata_of(facts: Facts) -> dict[str, str]:
    """The user's metadata, our own facts, and the headers that Azure has no place for."""
    metadata = {_users(name): _written(value) for name, value in facts.metadata.items()}
    metadata[carried.NAME] = carried.encode(facts, longest=LONGEST)
    if others := _others(facts.headers):
        metadata[OTHERS] = _written(json.encode(others).decode())
    return metadata


def settings_of(facts: Facts) -> ContentSettings:
    """The content headers, and the MD5 where the ETag is one."""
    known: dict[str, Any] = {
        NATIVE[name]: text for name, text in facts.headers.items() if _is_native(name, text)
    }
    if MD5.fullmatch(facts.etag):
        known["content_md5"] = bytearray.fromhex(facts.etag)
    return ContentSettings(**known)


def stored_of(properties: Any) -> Stored:
    """What a blob's properties tell."""
    metadata: dict[str, str] = {
        name.lower(): value or "" for name, value in (properties.metadata or {}).items()
    }
    locator = properties.etag.strip('"')
    text = metadata.pop(carried.NAME, "")
    others = _read_others(metadata.pop(OTHERS, "")) if text else {}
    if text:
        metadata.pop(MARK, None)
    headers = headers_of(properties.content_settings) | others
    native = carried.foreign(
        milliseconds(properties.last_modified),
        properties.size,
        _etag(properties.content_settings.content_md5, locator),
        {name: value for name, value in headers.items() if value},
        _metadata(metadata, ours=bool(text)),
    )
    facts = carried.decode(text, native) if text else native
    digest = _digest(properties.content_settings.content_md5)
    return Stored(key_of(properties.name), properties.size, locator, facts, md5=digest)


def headers_of(settings: Any) -> dict[str, str]:
    """The content headers of a blob, by S3's names."""
    found = {name: getattr(settings, attribute) for name, attribute in NATIVE.items()}
    return {name: str(text) for name, text in found.items() if text}


def container_metadata(bucket: Bucket) -> dict[str, str]:
    """What a container carries of its bucket."""
    return {carried.NAME: _written(json.encode(replace(bucket, storage="")).decode())}


def bucket_of(name: str, properties: Any) -> Bucket:
    """The bucket that a container is."""
    text = (properties.metadata or {}).get(carried.NAME) or ""
    try:
        return replace(json.decode(unquote(text), type=Bucket), name=name)
    except MsgspecError:
        return Bucket(name, "", milliseconds(properties.last_modified))


def milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


def _is_native(name: str, text: str) -> bool:
    """Whether Azure keeps this header, unchanged."""
    return name in NATIVE and text.isascii() and text.isprintable() and text == text.strip()


def _others(headers: Mapping[str, str]) -> dict[str, str]:
    """Headers that need a place beside; a type that is not there too, for Azure makes one up."""
    others = {name: text for name, text in headers.items() if not _is_native(name, text)}
    return others if TYPE in headers else {TYPE: "", **others}


def _read_others(text: str) -> dict[str, str]:
    try:
        return json.decode(_read(text), type=dict[str, str]) if text else {}
    except MsgspecError:
        return {}


def _written(text: str) -> str:
    """Printable ASCII, with no space that gets lost on the way."""
    return LOST_SPACE.sub("%20", quote(text, safe=SAFE)) or EMPTY


def _read(text: str) -> str:
    return "" if text == EMPTY else unquote(text)


def _users(name: str) -> str:
    written = metadata_name(name)
    return f"{USERS}{written}" if written.startswith((carried.NAME, USERS)) else written


def _metadata(metadata: Mapping[str, str], *, ours: bool) -> dict[str, str]:
    if not ours:
        return dict(metadata)
    return {
        metadata_text(name.removeprefix(USERS)): _read(value) for name, value in metadata.items()
    }


def _etag(digest: Any, locator: str) -> str:
    """The MD5 that Azure keeps of blobs put in one request; else its own ETag."""
    return _digest(digest) or locator.removeprefix("0x").lower()


def _digest(digest: Any) -> str:
    """The MD5 that Azure keeps; "" for none."""
    if isinstance(digest, str):
        digest = base64.b64decode(digest)
    return bytes(digest).hex() if digest else ""
