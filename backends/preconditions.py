"""Whether a write may replace what is there: one rule for every state store."""

from backends.errors import NotFound, PreconditionFailed, Superseded
from backends.model import Facts, Precondition, Row, Version


def require(condition: Precondition, current: Facts | None, what: str) -> None:
    """Return if `condition` holds of `current`, the live row (None where there is none).

    Raises NotFound where an If-Match finds no object, PreconditionFailed where it finds another
    one or where If-None-Match finds one (S3 API, PutObject: conditional writes).
    """
    if condition.match and current is None:
        raise NotFound(f"{what}: If-Match names an object that is not there")
    if condition.match and current and condition.match not in ("*", current.etag):
        raise PreconditionFailed(f"{what}: the object is not the one that If-Match names")
    if condition.none_match and current and condition.none_match in ("*", current.etag):
        raise PreconditionFailed(f"{what}: If-None-Match forbids to replace the object there")


def require_newer(newest: Row | None, version: Version, what: str) -> None:
    """Return if a replica of that version would be the newest. Superseded."""
    if newest and newest.version >= version:
        raise Superseded(f"{what}: {version} is not above {newest.version}")


def require_current(newest: Row | None, version: Version, what: str) -> None:
    """Return if the newest row is a live one of just that version. Superseded."""
    if newest is None or newest.deleted or newest.version != version:
        raise Superseded(f"{what}: {version} is not the current version")
