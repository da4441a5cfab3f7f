"""How two sites differ on a key: a pure judgement. And how a row is told to another site."""

import pytest

from backends.fingerprint import MODULUS, fingerprint_of
from backends.model import COUNTER_BITS, Facts, KeyRange, RangeDigest, Row, Version
from reconcile.comparison.compare import NEVER, Kind, kind_of
from replication.messages import Listed
from replication.ranges import digest_with, joined, listed


def gone(milliseconds: int, site: str = "east") -> Listed:
    return Listed("cat", str(Version(milliseconds << COUNTER_BITS, site)), deleted=True)


CAT = Listed("cat", "1-east", "etag", 3)
GONE = gone(20)


@pytest.mark.parametrize(
    ("here", "there", "kind"),
    [
        (None, None, None),
        (CAT, CAT, None),
        (GONE, None, None),
        (None, GONE, None),
        (GONE, gone(30, "west"), None),
        (CAT, None, Kind.ONLY_HERE),
        (None, CAT, Kind.MISSING),
        (CAT, GONE, Kind.TOMBSTONE),
        (GONE, CAT, Kind.TOMBSTONE),
        (CAT, Listed("cat", "2-west", "etag", 3), Kind.VERSION),
        (CAT, Listed("cat", "1-east", "etag", 4), Kind.SIZE),
        (CAT, Listed("cat", "1-east", "other", 3), Kind.DIGEST),
        (CAT, Listed("cat", "1-east", "etag", 3, shared="00"), Kind.METADATA),
    ],
)
def test_how_two_sites_differ(here: Listed | None, there: Listed | None, kind: Kind | None) -> None:
    assert kind_of(here, there) is kind


@pytest.mark.parametrize(
    ("here", "there", "since", "kind"),
    [
        (GONE, None, 20, Kind.TOMBSTONE),
        (None, GONE, 20, Kind.TOMBSTONE),
        (GONE, GONE, 20, None),
        (GONE, None, 21, None),
        (GONE, gone(30), 20, Kind.TOMBSTONE),
        (GONE, gone(30), 25, Kind.TOMBSTONE),
        (GONE, gone(30), 31, None),
        (GONE, gone(30), NEVER, None),
        (GONE, CAT, 21, Kind.TOMBSTONE),
    ],
)
def test_a_tombstone_alone_is_a_difference_while_it_is_young(
    here: Listed | None, there: Listed | None, since: int, kind: Kind | None
) -> None:
    assert kind_of(here, there, buried_since=since) is kind


def test_what_is_listed_has_the_fingerprint_of_its_row() -> None:
    facts = Facts(Version(1, "east"), 3, "etag", "main", {"content-type": "a/b"}, {"color": "red"})
    rows = [
        Row("photos", "a", facts, "there"),
        Row("photos", "b", Facts(Version(2, "east"), 3, "etag")),
        Row("photos", "c", Facts(Version(3, "east")), deleted=True),
    ]

    digest = RangeDigest()
    for row in rows:
        digest = digest_with(digest, listed(row))

    assert digest == RangeDigest(2, 1, sum(map(fingerprint_of, rows)) % MODULUS)


def test_ranges_side_by_side_are_read_as_one() -> None:
    ranges = [KeyRange("", "b"), KeyRange("b", "d"), KeyRange("e", "f"), KeyRange("f", "")]

    assert joined(ranges) == [KeyRange("", "d"), KeyRange("e", "")]
    assert joined([KeyRange("a", "")]) == [KeyRange("a", "")]
