"""What the JSON API answers, as our errors: the one place that knows its statuses and reasons."""

import re
from collections.abc import Mapping
from typing import Final

from msgspec import MsgspecError, Struct, json

from backends import errors
from backends.storage.statuses import kind_of

SHOWN: Final = 300
LIMITED: Final = frozenset({"rateLimitExceeded", "userRateLimitExceeded"})
DIGEST: Final = re.compile(r"\b(?:crc32c|md5)\b", re.IGNORECASE)
BAD_REQUEST: Final = 400
FORBIDDEN: Final = 403


class Unsatisfiable(errors.NotFound):
    """The range begins behind the end of the bytes."""


OWN: Final[Mapping[int, type[errors.BackendError]]] = {
    408: errors.Unavailable,
    409: errors.AlreadyExists,
    410: errors.NotFound,
    416: Unsatisfiable,
}


class Detail(Struct):
    reason: str = ""


class Failure(Struct):
    message: str = ""
    errors: list[Detail] = []


class Answer(Struct):
    error: Failure


def error_of(status: int, body: bytes, subject: str) -> errors.BackendError:
    """The error that an answer is, with what it tells of the reason."""
    reason, message = _told(body)
    kind = OWN.get(status) or kind_of(status)
    if status == FORBIDDEN and reason in LIMITED:
        kind = errors.Busy
    if status == BAD_REQUEST and DIGEST.search(message):
        kind = errors.Corrupt
    return kind(f"{subject}: the storage answered {status} {reason} {message[:SHOWN]}".rstrip())


def _told(body: bytes) -> tuple[str, str]:
    """The reason's name, if there is one, and the words; those of a proxy are no JSON."""
    try:
        failure = json.decode(body, type=Answer).error
    except MsgspecError:
        return "", " ".join(body.decode(errors="replace").split())
    return next((detail.reason for detail in failure.errors), ""), " ".join(failure.message.split())
