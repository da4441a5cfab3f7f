"""Whether a write may replace what is there: one rule for every state store."""

from backends.errors import NotFound, PreconditionFailed
from backends.model import Facts, Precondition


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
