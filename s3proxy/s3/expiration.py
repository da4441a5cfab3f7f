"""When an object is to expire: as a request asks for it, and as answers tell."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from backends.clock import milliseconds
from backends.model import Row
from replication.expiry import end_of
from s3proxy.s3.dates import parse_http_date
from s3proxy.s3.errors import S3Error
from s3proxy.s3.response import http_date
from s3proxy.s3.services import Services

ASKED: Final = "x-ccs-expires"
TOLD: Final = "x-amz-expiration"
SECOND: Final = 1000


def asked_expiry(services: Services, headers: Mapping[str, str]) -> int:
    """When the object is to be removed, in milliseconds; 0 where the request does not say.

    InvalidArgument for what is no time to come; NotImplemented where nothing would remove it.
    """
    if ASKED not in headers:
        return 0
    if services.expiry is None:
        raise S3Error("NotImplemented", f"{ASKED} needs a state: this gateway has none.")
    moment = _moment(headers[ASKED])
    if moment is None:
        raise S3Error(
            "InvalidArgument",
            f"{ASKED} is a time as in RFC 3339, 2030-01-31T12:00:00Z, or a date of HTTP.",
        )
    if moment <= milliseconds():
        raise S3Error("InvalidArgument", f"{ASKED} names a time that is over.")
    return moment


async def expiration(services: Services, row: Row) -> dict[str, str]:
    """The header that tells when an object ends and by which rule, where it does."""
    if services.expiry is None:
        return {}
    end = end_of(await services.expiry.of(row.bucket), row.key, row.facts)
    return {TOLD: f'expiry-date="{http_date(end.at)}", rule-id="{end.name}"'} if end else {}


def _moment(text: str) -> int | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        seconds = parse_http_date(text)
        return None if seconds is None else seconds * SECOND
    return round(moment.timestamp() * SECOND) if moment.tzinfo else None
