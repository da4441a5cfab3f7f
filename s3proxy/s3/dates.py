"""Times as requests write them. Seconds since the Unix epoch; None for what is no such time."""

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Final

_BASIC: Final = re.compile("[0-9]{8}T[0-9]{6}Z")


@lru_cache(maxsize=64)
def parse_basic(text: str) -> int | None:
    """ISO 8601 basic, in UTC: 20130524T000000Z."""
    if not _BASIC.fullmatch(text):
        return None
    try:
        return int(datetime.fromisoformat(text).timestamp())
    except ValueError:
        return None


def parse_http_date(text: str) -> int | None:
    """Any of the three forms of RFC 9110, 5.6.7."""
    try:
        moment = parsedate_to_datetime(text)
        return int(moment.replace(tzinfo=moment.tzinfo or UTC).timestamp())
    except (ValueError, OverflowError):
        return None


def basic(seconds: int) -> str:
    return _moment(seconds).strftime("%Y%m%dT%H%M%SZ")


def extended(seconds: int) -> str:
    """ISO 8601 as S3's errors write it: 2013-05-24T00:00:00Z."""
    return _moment(seconds).strftime("%Y-%m-%dT%H:%M:%SZ")


def _moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
