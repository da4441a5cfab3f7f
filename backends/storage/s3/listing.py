"""Pages of an S3 listing (ListObjectsV2), read from the answer as it comes."""

import re
from typing import Final, NamedTuple
from urllib.parse import unquote_plus
from xml.etree.ElementTree import XML, Element, ParseError

from backends.errors import NotSupported, Unavailable
from backends.storage import carried
from backends.storage.protocol import Stored
from backends.storage.s3.attributes import iso_milliseconds

PAGE: Final = 1000
ESCAPES: Final = re.compile(r"[%+]")


class Page(NamedTuple):
    """What one answer lists, and the token for the next ("" where there is none)."""

    entries: list[Stored]
    token: str


def query_of(prefix: str, after: str, token: str, most: int) -> list[tuple[str, str]]:
    """What asks for the page behind `after`, or for the one that `token` names."""
    query = [("list-type", "2"), ("encoding-type", "url"), ("max-keys", str(most))]
    if prefix:
        query.append(("prefix", prefix))
    if token:
        query.append(("continuation-token", token))
    elif after:
        query.append(("start-after", after))
    return query


def parse_page(document: bytes) -> Page:
    """Unavailable where the answer is no listing; NotSupported where it is cut without a token."""
    listed = _root(document)
    fields = _fields(listed)
    encoded = fields.get("EncodingType") == "url"
    found = (_fields(element) for element in listed if _name(element) == "Contents")
    entries = [_stored(entry, encoded=encoded) for entry in found]
    token = fields.get("NextContinuationToken", "")
    if fields.get("IsTruncated") != "true":
        return Page(entries, "")
    if not token:
        raise NotSupported("the storage lists in pages, but not as ListObjectsV2 does")
    return Page(entries, token)


def _root(document: bytes) -> Element:
    try:
        root = XML(document)
    except ParseError as error:
        raise Unavailable(f"the storage's answer is no listing: {error}") from error
    if _name(root) != "ListBucketResult":
        raise Unavailable(f"the storage's answer is no listing, but {_name(root)}")
    return root


def _fields(element: Element) -> dict[str, str]:
    return {_name(child): child.text or "" for child in element}


def _name(element: Element) -> str:
    """Without its namespace, which not all endpoints give."""
    return element.tag.rpartition("}")[2]


def _stored(fields: dict[str, str], *, encoded: bool) -> Stored:
    """One entry. Encoded names have a plus for a space, as forms do."""
    name = fields.get("Key", "")
    etag = fields.get("ETag", "").strip('"')
    size = int(fields.get("Size") or "0")
    modified = fields.get("LastModified")
    facts = carried.foreign(iso_milliseconds(modified) if modified else 0, size, etag)
    if encoded and ESCAPES.search(name):
        name = unquote_plus(name)
    return Stored(name, size, etag, facts)
