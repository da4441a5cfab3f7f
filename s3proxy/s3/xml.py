"""S3's XML, written and read.

It is written by joining strings, because a listing has thousands of elements, and read by a
parser that takes no document type and no entities.
"""

import re
from collections.abc import Collection
from typing import Any, Final
from urllib.parse import quote
from xml.parsers.expat import ExpatError

import xmltodict

from s3proxy.s3.errors import S3Error

DECLARATION: Final = '<?xml version="1.0" encoding="UTF-8"?>\n'
NAMESPACE: Final = "http://s3.amazonaws.com/doc/2006-03-01/"
SPECIAL: Final = re.compile('[&<>"\x00-\x1f\x7f-\x9f\ufffe\uffff]')
FORBIDDEN: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
PLAIN: Final = re.compile("[A-Za-z0-9/_.~*-]*")
ENTITIES: Final = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;"}

Element = dict[str, Any]


def escape(text: str) -> str:
    """Text as an element's content; control characters as references, as S3 writes them."""
    if not SPECIAL.search(text):
        return text
    return SPECIAL.sub(lambda found: ENTITIES.get(found[0], f"&#x{ord(found[0]):x};"), text)


def printable(text: str) -> str:
    """Text with a replacement for each character that no XML parser takes, not even escaped."""
    return FORBIDDEN.sub("\ufffd", text)


def element(name: str, text: str) -> str:
    """One element with text in it."""
    return f"<{name}>{escape(text)}</{name}>"


def optional(name: str, text: str) -> str:
    """One element, or nothing where there is no text."""
    return element(name, text) if text else ""


def tag(name: str, content: str) -> str:
    """One element around content that is XML already."""
    return f"<{name}>{content}</{name}>"


def root(name: str, content: str) -> str:
    """The outermost element of an answer, in S3's namespace."""
    return f'<{name} xmlns="{NAMESPACE}">{content}</{name}>'


def encode(body: str) -> bytes:
    """A whole document."""
    return (DECLARATION + body).encode()


def url_encode(text: str) -> str:
    """As `encoding-type=url` asks for."""
    return text if PLAIN.fullmatch(text) else quote(text, safe="/-_.~*")


def parse(body: bytes, name: str, many: Collection[str] = ()) -> Element:
    """The children of the document's root, which must be `name`; those in `many` as lists.

    MalformedXML for anything else: other roots, document types, entities, broken XML.
    """
    if b"<!DOCTYPE" in body or b"<!ENTITY" in body:
        raise S3Error("MalformedXML", "The XML must not have a document type.")
    try:
        parsed = xmltodict.parse(
            body, force_list=tuple(many), strip_whitespace=False, disable_entities=True
        )
    except (ExpatError, ValueError) as error:
        raise S3Error("MalformedXML", f"The XML is not well-formed: {error}") from error
    children = {local(found): value for found, value in parsed.items()}.get(name)
    if children is None:
        raise S3Error("MalformedXML", f"The document's root must be <{name}>.")
    return children if isinstance(children, dict) else {}


def local(name: str) -> str:
    """A name without its prefix."""
    return name.rsplit(":", 1)[-1]


def text_in(parent: Element, name: str) -> str:
    """The text of a child, "" where it is empty or missing. MalformedXML where it has children."""
    value = parent.get(name)
    if isinstance(value, dict) and "#text" in value and all(key[0] in "@#" for key in value):
        value = value["#text"]
    if value is not None and not isinstance(value, str):
        raise S3Error("MalformedXML", f"<{name}> must hold text and stand once.")
    return value or ""
