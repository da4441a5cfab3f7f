"""How two sites differ on a key: a pure judgement."""

import pytest

from backends.model import Facts, Row, Version
from reconcile.compare import Kind, kind_of
from replication.messages import Listed, RangeDigest
from replication.ranges import digest_of, joined

CAT = Listed("cat", "1-east", "etag", 3)
GONE = Listed("cat", "2-east", deleted=True)


@pytest.mark.parametrize(
    ("here", "there", "kind"),
    [
        (None, None, None),
        (CAT, CAT, None),
        (GONE, None, None),
        (None, GONE, None),
        (GONE, Listed("cat", "3-west", deleted=True), None),
        (CAT, None, Kind.ONLY_HERE),
        (None, CAT, Kind.MISSING),
        (CAT, GONE, Kind.TOMBSTONE),
        (GONE, CAT, Kind.TOMBSTONE),
        (CAT, Listed("cat", "2-west", "etag", 3), Kind.VERSION),
        (CAT, Listed("cat", "1-east", "etag", 4), Kind.SIZE),
        (CAT, Listed("cat", "1-east", "other", 3), Kind.DIGEST),
    ],
)
def test_how_two_sites_differ(here: Listed | None, there: Listed | None, kind: Kind | None) -> None:
    assert kind_of(here, there) is kind


def row(key: str, stamp: int, *, deleted: bool = False) -> Row:
    return Row("photos", key, Facts(Version(stamp, "east"), etag=key), deleted=deleted)


def test_a_digest_forgets_the_order_and_the_tombstones_and_nothing_else() -> None:
    one, other, gone = row("a", 1), row("b", 2), row("c", 3, deleted=True)
    whole = digest_of([one, other])
    assert whole == digest_of([other, gone, one]) == joined(digest_of([one]), digest_of([other]))
    assert whole.count == 2
    assert digest_of([one, row("b", 3)]) != whole
    assert digest_of([]) == RangeDigest()
