"""What the stub of Google Cloud Storage keeps: buckets of objects with generations."""

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import google_crc32c

COMPONENTS: Final = 32
LONGEST_NAME: Final = 1024
LARGEST_METADATA: Final = 8 * 1024
FORBIDDEN: Final = re.compile(r"\.{1,2}|\.well-known/acme-challenge/.*|.*[\r\n].*", re.DOTALL)
KEPT: Final[tuple[str, ...]] = (
    "contentType",
    "cacheControl",
    "contentDisposition",
    "contentEncoding",
    "contentLanguage",
    "metadata",
)
Resource = dict[str, Any]


class Refusal(Exception):
    """An answer that is an error of the API."""

    def __init__(self, status: int, reason: str, message: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.message = message or reason


def crc32c(data: bytes) -> str:
    return base64.b64encode(google_crc32c.Checksum(data).digest()).decode()


@dataclass
class Item:
    """One generation of an object."""

    name: str
    data: bytes
    told: Resource
    generation: int
    components: int = 0
    metageneration: int = 1

    def resource(self) -> Resource:
        resource = {
            "kind": "storage#object",
            "name": self.name,
            "generation": str(self.generation),
            "metageneration": str(self.metageneration),
            "size": str(len(self.data)),
            "crc32c": crc32c(self.data),
            "etag": f"CL{self.generation}=",
            "timeCreated": "2026-01-02T03:04:05.678Z",
            "updated": "2026-01-02T03:04:05.678Z",
            **{name: value for name, value in self.told.items() if value not in ({}, None)},
        }
        if self.components:
            return {**resource, "componentCount": self.components}
        md5 = hashlib.md5(self.data).digest()
        return {**resource, "md5Hash": base64.b64encode(md5).decode()}


@dataclass
class Bucket:
    """The live objects of a bucket. Conditions are those of a request's query."""

    name: str
    items: dict[str, Item] = field(default_factory=dict)
    newest: int = 1000

    def find(self, name: str, query: Mapping[str, str], wanted: str = "generation") -> Item:
        item = self.items.get(name)
        if item is None or query.get(wanted, str(item.generation)) != str(item.generation):
            raise Refusal(404, "notFound", f"No such object: {self.name}/{name}")
        self.require(name, query)
        return item

    def require(self, name: str, query: Mapping[str, str]) -> None:
        """The conditions that a query sets on what is at the name."""
        item = self.items.get(name)
        there = {
            "ifGenerationMatch": item.generation if item else 0,
            "ifMetagenerationMatch": item.metageneration if item else 0,
        }
        for condition, value in there.items():
            if query.get(condition, str(value)) != str(value):
                raise Refusal(412, "conditionNotMet", f"{condition} is {value}")

    def store(
        self,
        name: str,
        data: bytes,
        told: Resource,
        query: Mapping[str, str] = {},
        components: int = 0,
    ) -> Item:
        require_name(name)
        require_metadata(told)
        self.require(name, query)
        if told.get("crc32c", crc32c(data)) != crc32c(data):
            message = 'Provided CRC32C "{}" doesn\'t match calculated CRC32C "{}".'
            raise Refusal(400, "invalid", message.format(told["crc32c"], crc32c(data)))
        kept = {known: told[known] for known in KEPT if known in told}
        self.newest += 1
        item = Item(name, data, kept, self.newest, components)
        self.items[name] = item
        return item

    def compose(
        self, name: str, sources: Sequence[Mapping[str, Any]], told: Resource, query: Any
    ) -> Item:
        if not 1 <= len(sources) <= COMPONENTS:
            raise Refusal(400, "invalid", f"{len(sources)} source components")
        found = [self.find(source["name"], source) for source in sources]
        data = b"".join(item.data for item in found)
        components = sum(item.components or 1 for item in found)
        return self.store(name, data, told, query, components)

    def patch(self, name: str, changes: Resource, query: Mapping[str, str]) -> Item:
        """Metadata is merged: a name that is not told stays."""
        item = self.find(name, query)
        metadata = {**item.told.get("metadata", {}), **changes.get("metadata", {})}
        told = {known: changes[known] for known in KEPT if known in changes}
        left = {name: value for name, value in metadata.items() if value is not None}
        item.told = {**item.told, **told, "metadata": left}
        require_metadata(item.told)
        item.metageneration += 1
        return item

    def page(self, query: Mapping[str, str], most: int) -> Resource:
        """Objects in the order of their names' bytes, from the offset or behind the token."""
        start, token = query.get("startOffset", ""), query.get("pageToken", "")
        names = sorted(
            (
                name
                for name in self.items
                if name.startswith(query.get("prefix", "")) and name >= start and name > token
            ),
            key=str.encode,
        )
        most = min(most, int(query.get("maxResults", most)))
        answer: Resource = {"kind": "storage#objects"}
        if names:
            answer["items"] = [self.items[name].resource() for name in names[:most]]
        if names[most:]:
            answer["nextPageToken"] = names[most - 1]
        return answer


def require_name(name: str) -> None:
    if not name or len(name.encode()) > LONGEST_NAME or FORBIDDEN.fullmatch(name):
        raise Refusal(400, "invalid", f"Invalid object name: {name!r}")


def require_metadata(told: Resource) -> None:
    metadata: dict[str, str] = told.get("metadata") or {}
    if not all(isinstance(value, str) for value in metadata.values()):
        raise Refusal(400, "invalid", "metadata that is no text")
    if sum(len(f"{name}{value}".encode()) for name, value in metadata.items()) > LARGEST_METADATA:
        raise Refusal(400, "invalid", "metadata is too large")
