"""Facts as an object resource of the JSON API, both ways."""

import base64
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from msgspec import MsgspecError, json

from backends.model import Facts
from backends.storage import carried
from backends.storage.carried import NAME
from backends.storage.gcs.names import key_of
from backends.storage.protocol import Stored

TYPE: Final = "content-type"
DEFAULT_TYPE: Final = "application/octet-stream"  # what the service makes up where there is none
NATIVE: Final = {
    TYPE: "contentType",
    "cache-control": "cacheControl",
    "content-disposition": "contentDisposition",
    "content-encoding": "contentEncoding",
    "content-language": "contentLanguage",
}
LONGEST: Final = 4096  # of the 8 KiB that all metadata may have
OTHERS: Final = f"{NAME}-headers"
MARK: Final = f"{NAME}-mark"
Resource = dict[str, Any]


def resource_of(facts: Facts) -> Resource:
    """What a write says of the object, its name aside."""
    metadata = {carried.aside(name): value for name, value in facts.metadata.items()}
    metadata[NAME] = carried.encode(facts, longest=LONGEST)
    if others := _others(facts.headers):
        metadata[OTHERS] = json.encode(others).decode()
    known = {NATIVE[name]: text for name, text in facts.headers.items() if name in NATIVE}
    return {NATIVE[TYPE]: DEFAULT_TYPE, **known, "metadata": metadata}


def stored_of(resource: Resource) -> Stored:
    """What an object resource tells."""
    metadata: dict[str, str] = dict(resource.get("metadata") or {})
    text = metadata.pop(NAME, "")
    headers = {name: resource[named] for name, named in NATIVE.items() if resource.get(named)}
    if text:
        headers |= _read_others(metadata.pop(OTHERS, "{}"))
        metadata.pop(MARK, None)
        metadata = {carried.back(name): value for name, value in metadata.items()}
    else:
        metadata = {name.lower(): value for name, value in metadata.items()}
    size = int(resource.get("size", 0))
    headers = {name: value for name, value in headers.items() if value}
    native = carried.foreign(_modified(resource), size, _etag(resource), headers, metadata)
    facts = carried.decode(text, native) if text else native
    name, generation = key_of(resource["name"]), str(resource["generation"])
    return Stored(name, size, generation, facts, md5=_md5(resource))


def _others(headers: Mapping[str, str]) -> dict[str, str]:
    """Headers that need a place beside; a type that is not there too, for one is made up."""
    others = {name: text for name, text in headers.items() if name not in NATIVE}
    return others if TYPE in headers else {TYPE: "", **others}


def _read_others(text: str) -> dict[str, str]:
    try:
        return json.decode(text, type=dict[str, str])
    except MsgspecError:
        return {}


def milliseconds(text: str) -> int:
    """A time of the API as milliseconds since the epoch."""
    return int(datetime.fromisoformat(text).timestamp() * 1000)


def _modified(resource: Resource) -> int:
    text = resource.get("updated") or resource.get("timeCreated") or ""
    return milliseconds(text) if text else 0


def _etag(resource: Resource) -> str:
    """The MD5, which composed objects lack; else the service's own ETag."""
    return _md5(resource) or str(resource.get("etag", "")).strip('"')


def _md5(resource: Resource) -> str:
    return base64.b64decode(resource.get("md5Hash") or "").hex()
