"""The headers of an object: which are kept from a request, and how an answer shows them."""

import re
from collections.abc import Mapping
from typing import Final

from backends.model import Checksum, Facts
from s3proxy.s3.errors import S3Error
from s3proxy.s3.response import http_date

DEFAULT_TYPE: Final = "binary/octet-stream"
KEPT: Final = (
    "content-type",
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "expires",
    "x-amz-website-redirect-location",
)
OVERRIDES: Final = {
    f"response-{name}": name for name in KEPT if not name.startswith("x-amz-website")
}
META: Final = "x-amz-meta-"
MISSING: Final = "x-amz-missing-meta"
TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
CONTROL: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
MAX_METADATA_BYTES: Final = 2048
STANDARD: Final = "STANDARD"
STORAGE_CLASSES: Final = frozenset(
    {
        STANDARD,
        "REDUCED_REDUNDANCY",
        "STANDARD_IA",
        "ONEZONE_IA",
        "INTELLIGENT_TIERING",
        "GLACIER",
        "GLACIER_IR",
        "DEEP_ARCHIVE",
    }
)
CANNED_ACLS: Final = frozenset(
    {
        "private",
        "public-read",
        "public-read-write",
        "authenticated-read",
        "aws-exec-read",
        "bucket-owner-read",
        "bucket-owner-full-control",
        "log-delivery-write",
    }
)
REFUSED: Final = (
    "x-amz-server-side-encryption",
    "x-amz-copy-source-server-side-encryption",
    "x-amz-object-lock-",
    "x-amz-bucket-object-lock-enabled",
    "x-amz-grant-",
    "x-amz-tagging",
    "x-amz-write-offset-bytes",
)
HARMLESS: Final = {
    "x-amz-tagging-directive": ("COPY", "REPLACE"),
    "x-amz-bucket-object-lock-enabled": ("false", "False"),
}


def refuse_unknown_promises(headers: Mapping[str, str]) -> None:
    """Refuse what S3 would honour and this server cannot (never accept and ignore)."""
    for name, value in headers.items():
        if name.startswith(REFUSED) and value not in HARMLESS.get(name, ()):
            raise S3Error("NotImplemented", f"The header {name} is not supported.")


def stored_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """The content headers to keep with the object, a type among them."""
    kept = {name: headers[name] for name in KEPT if headers.get(name)}
    if "content-encoding" in kept:
        kept["content-encoding"] = without_aws_chunked(kept["content-encoding"])
        if not kept["content-encoding"]:
            del kept["content-encoding"]
    kept.setdefault("content-type", DEFAULT_TYPE)
    return kept


def without_aws_chunked(encoding: str) -> str:
    """`aws-chunked` is how the body travelled, not what it is."""
    codings = [coding.strip() for coding in encoding.split(",")]
    return ", ".join(coding for coding in codings if coding.lower() != "aws-chunked")


def stored_metadata(headers: Mapping[str, str]) -> dict[str, str]:
    """The user's metadata; MetadataTooLarge above 2 KiB of names and values."""
    metadata = {
        name.removeprefix(META): value for name, value in headers.items() if name.startswith(META)
    }
    if sum(len(name) + len(value) for name, value in metadata.items()) > MAX_METADATA_BYTES:
        raise S3Error("MetadataTooLarge")
    return metadata


def storage_class(headers: Mapping[str, str]) -> str:
    """The class asked for; InvalidStorageClass."""
    asked = headers.get("x-amz-storage-class", STANDARD)
    if asked not in STORAGE_CLASSES:
        raise S3Error("InvalidStorageClass", f"There is no storage class {asked!r}.")
    return asked


def require_canned_acl(headers: Mapping[str, str]) -> None:
    """Return if the canned ACL exists; whatever it is, a thing stays its owner's alone."""
    acl = headers.get("x-amz-acl", "private")
    if acl not in CANNED_ACLS:
        raise S3Error("InvalidArgument", f"There is no canned ACL {acl!r}.")


def quoted(etag: str) -> str:
    return f'"{etag}"'


def shown(facts: Facts) -> dict[str, str]:
    """What HEAD and GET say of an object, but for its length."""
    headers = {
        "etag": quoted(facts.etag),
        "last-modified": http_date(facts.modified),
        "accept-ranges": "bytes",
        **facts.headers,
    }
    sendable = {name: text for name, text in facts.metadata.items() if _is_sendable(name, text)}
    headers |= {META + name: text for name, text in sendable.items()}
    if missing := len(facts.metadata) - len(sendable):
        headers[MISSING] = str(missing)
    if facts.storage_class != STANDARD:
        headers["x-amz-storage-class"] = facts.storage_class
    return headers


def _is_sendable(name: str, text: str) -> bool:
    """Whether metadata can be a header: other programs give it any name (RFC 9110, 5.6.2)."""
    return bool(TOKEN.fullmatch(name)) and not CONTROL.search(text)


def checksum_headers(checksum: Checksum | None) -> dict[str, str]:
    """A checksum as an answer carries it."""
    if checksum is None:
        return {}
    return {
        f"x-amz-checksum-{checksum.algorithm.lower()}": checksum.value,
        "x-amz-checksum-type": checksum.kind.value,
    }
