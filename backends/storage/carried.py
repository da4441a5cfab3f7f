"""Facts that ride with the bytes in a storage's own metadata, as one short text.

Content headers and the user's metadata travel as the storage has them natively, so that other
tools see them; what only this system knows is the text, kept under `NAME`.
"""

import json
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from backends.model import COUNTER_BITS, Facts, Version

NAME: Final = "ccs"
LONGEST: Final = 1024
NATIVE: Final = ("headers", "metadata")


def encode(facts: Facts, *, longest: int = LONGEST) -> str:
    """ASCII, without line breaks; the list of parts is left out where it would not fit."""
    fields: dict[str, Any] = msgspec.to_builtins(facts)
    for name in NATIVE:
        fields.pop(name, None)
    text = _written(fields)
    if len(text) > longest:
        fields.pop("parts", None)
        text = _written(fields)
    return text


def _written(fields: Mapping[str, Any]) -> str:
    """JSON in ASCII. The quicker encoder knows only UTF-8."""
    text = msgspec.json.encode(fields).decode()
    return text if text.isascii() else json.dumps(fields, separators=(",", ":"))


def is_late(text: str) -> bool:
    """Whether the text was written before the body was known: it names no ETag."""
    return '"etag":' not in text


def decode(text: str, native: Facts) -> Facts:
    """The facts that the text tells, over those that the storage knows natively.

    Bytes whose size or digest were not known when their metadata went out take them from `native`.
    Text that is none of ours makes the bytes foreign: `native` alone.
    """
    try:
        facts = msgspec.json.decode(text, type=Facts)
    except (msgspec.DecodeError, msgspec.ValidationError):
        return native
    if not facts.etag:
        facts = replace(facts, etag=native.etag)
    return replace(facts, size=native.size, headers=native.headers, metadata=native.metadata)


def aside(name: str) -> str:
    """The name under which a user's metadata travels: one that would be taken for ours, beside."""
    ours = name == NAME or name.startswith(f"{NAME}-")
    return f"{NAME}-{name}" if ours else name


def back(name: str) -> str:
    """The name that `aside` was given."""
    return name.removeprefix(f"{NAME}-")


def foreign(
    modified: int,
    size: int,
    etag: str,
    headers: Mapping[str, str] | None = None,
    metadata: Mapping[str, str] | None = None,
) -> Facts:
    """What a storage natively knows of bytes; `modified` is in milliseconds."""
    version = Version(modified << COUNTER_BITS, "")
    return Facts(version, size, etag, headers=headers or {}, metadata=metadata or {})
