"""Conditional requests, decided on an object's ETag and time alone (RFC 9110, 13, as S3 has it)."""

import re
from collections.abc import Mapping
from typing import Final

from backends.model import Precondition
from s3proxy.s3.dates import parse_http_date
from s3proxy.s3.errors import S3Error

COPY_SOURCE: Final = "x-amz-copy-source-"
ANY: Final = "*"

_TAG: Final = re.compile(r'(W/)?(?:"([^"]*)"|([^\s,"]+))')
_ONE_TAG: Final = re.compile(r'[ \t]*(?:"([^"]+)"|([^\s,"]+))[ \t]*')
_UNCHANGED: Final = frozenset({"if-none-match", "if-modified-since"})
_REFUSED_ON_WRITE: Final = (
    "if-modified-since",
    "if-unmodified-since",
    "x-amz-if-match-initiated-time",
    "x-amz-if-match-last-modified-time",
    "x-amz-if-match-size",
)


def evaluate_read(headers: Mapping[str, str], etag: str, modified_ms: int) -> None:
    """Return if a GET or HEAD of this object may go on. PreconditionFailed, NotModified.

    The order is that of RFC 9110, 13.2.2: an ETag decides over a date.
    """
    failed = _failed(headers, "", etag, modified_ms)
    if failed in _UNCHANGED:
        raise S3Error("NotModified")
    if failed:
        raise _precondition_failed(failed)


def evaluate_copy(headers: Mapping[str, str], etag: str, modified_ms: int) -> None:
    """Return if this object may be copied (S3 API, CopyObject). PreconditionFailed."""
    failed = _failed(headers, COPY_SOURCE, etag, modified_ms)
    if failed:
        raise _precondition_failed(COPY_SOURCE + failed)


def write_condition(headers: Mapping[str, str]) -> Precondition:
    """What a PUT, DELETE or CompleteMultipartUpload asks of the object it replaces.

    NotImplemented, as S3 says it, for any but one strong ETag or `*` in one of If-Match and
    If-None-Match. (Amazon S3 takes no ETag in the latter on writes; others do, and it is safe.)
    """
    for name in _REFUSED_ON_WRITE:
        if name in headers:
            raise _not_implemented(name)
    match, none_match = headers.get("if-match"), headers.get("if-none-match")
    if none_match is None:
        return Precondition(match="" if match is None else _one_tag("if-match", match))
    if match is not None:
        raise _not_implemented("if-none-match")
    return Precondition(none_match=_one_tag("if-none-match", none_match))


def _failed(headers: Mapping[str, str], prefix: str, etag: str, modified_ms: int) -> str:
    """The name, without the prefix, of the first condition that does not hold, or ""."""
    match = headers.get(prefix + "if-match")
    if match is not None:
        if not _names(match, etag, weakly=False):
            return "if-match"
    elif _changed_since(headers.get(prefix + "if-unmodified-since"), modified_ms) is True:
        return "if-unmodified-since"
    none_match = headers.get(prefix + "if-none-match")
    if none_match is not None:
        if _names(none_match, etag, weakly=True):
            return "if-none-match"
    elif _changed_since(headers.get(prefix + "if-modified-since"), modified_ms) is False:
        return "if-modified-since"
    return ""


def _names(tags: str, etag: str, *, weakly: bool) -> bool:
    """Whether a list of ETags has this one; `*` is every one, quotes may be missing.

    Weak tags only count where the comparison is the weak one (RFC 9110, 8.8.3.2).
    """
    if tags.strip() == ANY:
        return True
    return any(
        etag == (found[2] if found[3] is None else found[3]) and (weakly or not found[1])
        for found in _TAG.finditer(tags)
    )


def _changed_since(date: str | None, modified_ms: int) -> bool | None:
    """None where there is no valid date to compare with: the condition is to be ignored."""
    seconds = None if date is None else parse_http_date(date)
    return None if seconds is None else modified_ms // 1000 > seconds


def _one_tag(name: str, text: str) -> str:
    found = _ONE_TAG.fullmatch(text)
    if found is None or found[1] == ANY:
        raise _not_implemented(name)
    return found[1] or found[2]


def _precondition_failed(name: str) -> S3Error:
    return S3Error("PreconditionFailed", details={"Condition": name})


def _not_implemented(name: str) -> S3Error:
    return S3Error(
        "NotImplemented", f"This use of {name} is not supported.", details={"Header": name}
    )
