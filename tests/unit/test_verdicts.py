"""What is decided about a key of a bucket and a plain storage: pure judgement."""

from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from backends.etags import are_comparable
from backends.model import COUNTER_BITS, Facts, Row, Version
from backends.storage import carried
from backends.storage.protocol import Stored
from reconcile.comparison.compare import Kind
from reconcile.mirror.verdicts import REASONS, Source, Verdict, decide, is_alike, is_told
from reconcile.sites.plan import Action

MD5: Final = "0123456789abcdef" * 2
OTHER: Final = "fedcba9876543210" * 2
OPAQUE: Final = "8dc1f2a3b4c5d6e"
ANY, HERE, STORAGE = Source
COPY, DELETE, KEEP = Action.COPY, Action.DELETE, Action.KEEP


def row(
    stamp: int = 5,
    size: int = 1,
    etag: str = MD5,
    *,
    site: str = "here",
    deleted: bool = False,
    name: str = "",
) -> Row:
    facts = Facts(Version(stamp << COUNTER_BITS, site), size, etag, metadata={"name": name})
    return Row("b", "k", facts, "at", deleted)


def foreign(size: int = 1, etag: str = MD5, stamp: int = 9) -> Stored:
    return Stored("k", size, "x", carried.foreign(stamp, size, etag))


def ours(stamp: int = 5, size: int = 1, etag: str = MD5, name: str = "") -> Stored:
    return Stored("k", size, "x", row(stamp, size, etag, name=name).facts)


GONE: Final = row(deleted=True, size=0, etag="")
Held = tuple[Row | None, Stored | None]
TABLE: Final[list[tuple[Held, Kind, Source, tuple[Action, Action, Action]]]] = [
    ((row(), None), Kind.ONLY_HERE, HERE, (COPY, COPY, KEEP)),
    ((None, foreign()), Kind.MISSING, STORAGE, (COPY, KEEP, COPY)),
    ((None, ours()), Kind.MISSING, STORAGE, (COPY, KEEP, COPY)),
    ((row(6, 2), ours(5)), Kind.VERSION, HERE, (COPY, COPY, KEEP)),
    ((row(6, 2), ours(7)), Kind.VERSION, STORAGE, (COPY, KEEP, COPY)),
    ((row(6, name="a"), ours(5)), Kind.VERSION, HERE, (COPY, COPY, KEEP)),
    ((row(6, etag=f"{MD5}-2"), ours(5)), Kind.VERSION, HERE, (COPY, COPY, KEEP)),
    ((GONE, ours(4)), Kind.TOMBSTONE, HERE, (DELETE, DELETE, KEEP)),
    ((GONE, ours(5)), Kind.TOMBSTONE, HERE, (DELETE, DELETE, KEEP)),
    ((GONE, ours(6)), Kind.TOMBSTONE, HERE, (KEEP, KEEP, KEEP)),
    ((GONE, foreign(stamp=1)), Kind.TOMBSTONE, HERE, (KEEP, KEEP, KEEP)),
]


@pytest.mark.parametrize(("held", "kind", "giver", "actions"), TABLE)
def test_what_is_only_at_one_side_or_has_versions(
    held: Held, kind: Kind, giver: Source, actions: tuple[Action, Action, Action]
) -> None:
    found = tuple(decide(*held, source) for source in Source)

    assert found == tuple(Verdict(kind, action, giver) for action in actions)


@pytest.mark.parametrize(
    ("held", "kind"),
    [
        ((row(), foreign(2)), Kind.SIZE),
        ((row(), foreign(etag=OTHER)), Kind.DIGEST),
        ((row(etag=f"{MD5}-3"), foreign(etag=f"{OTHER}-3")), Kind.DIGEST),
        ((row(), ours(size=2)), Kind.SIZE),
        ((row(7, 2, site=""), ours(5)), Kind.SIZE),
    ],
)
def test_of_others_only_a_source_tells_which_goes_out(held: Held, kind: Kind) -> None:
    assert decide(*held, ANY) == Verdict(kind, KEEP, ANY)
    assert decide(*held, HERE) == Verdict(kind, COPY, HERE)
    assert decide(*held, STORAGE) == Verdict(kind, COPY, STORAGE)


@pytest.mark.parametrize(
    ("held", "told"),
    [
        ((None, None), True),
        ((GONE, None), True),
        ((row(), foreign()), True),
        ((row(6), ours(5)), True),
        ((row(etag=f"{MD5}-2"), foreign()), False),
        ((row(etag=f"{MD5}-2"), foreign(etag=f"{OTHER}-3")), False),
        ((row(), foreign(etag=OPAQUE)), False),
        ((row(etag=f"{MD5}-2"), ours(etag=f"{MD5}-2")), True),
        ((row(name="a"), ours()), True),
    ],
)
@pytest.mark.parametrize("source", Source)
def test_where_both_are_alike_nothing_is_done(held: Held, told: bool, source: Source) -> None:
    """Where the listing alone does not tell, the object itself has to be looked at."""
    assert decide(*held, source) is None
    assert is_told(*held) == told


@pytest.mark.parametrize("found", [foreign(2), foreign(etag=OTHER)])
def test_what_differs_is_looked_at_before_it_is_decided(found: Stored) -> None:
    assert not is_told(row(), found)
    assert not is_told(GONE, found)
    assert is_told(row(), None)
    assert is_told(None, found)


@pytest.mark.parametrize(
    ("one", "other", "comparable"),
    [
        (MD5, OTHER, True),
        (f"{MD5}-2", f"{OTHER}-2", True),
        (f"{MD5}-2", f"{OTHER}-3", False),
        (MD5, f"{MD5}-2", False),
        (MD5, OPAQUE, False),
        (OPAQUE, OPAQUE, False),
        (f"{MD5}-", f"{OTHER}-", False),
        (f"{MD5}-x", f"{OTHER}-x", False),
        ("", "", False),
    ],
)
def test_etags_are_compared_only_where_they_are_of_one_form(
    one: str, other: str, comparable: bool
) -> None:
    assert are_comparable(one, other) == comparable


SIZES, STAMPS = st.integers(0, 2), st.integers(1, 4)
ETAGS = st.sampled_from([MD5, OTHER, f"{MD5}-2", f"{OTHER}-2", OPAQUE])
ROWS = st.none() | st.builds(row, STAMPS, SIZES, ETAGS, deleted=st.booleans())
STORED = (
    st.none() | st.builds(foreign, SIZES, ETAGS, STAMPS) | st.builds(ours, STAMPS, SIZES, ETAGS)
)


@given(ROWS, STORED, st.sampled_from(Source))
def test_only_a_tombstone_deletes_and_only_older_bytes_of_ours(
    held: Row | None, stored: Stored | None, source: Source
) -> None:
    verdict = decide(held, stored, source)

    if verdict and verdict.removes:
        assert held
        assert stored
        assert held.deleted
        assert stored.ours
        assert stored.facts.version <= held.version
        assert source is not STORAGE


@given(ROWS, STORED, st.sampled_from(Source))
def test_the_giver_has_what_is_given_and_no_other_gives_than_the_source(
    held: Row | None, stored: Stored | None, source: Source
) -> None:
    verdict = decide(held, stored, source)

    if verdict and verdict.action is COPY:
        assert verdict.giver in ({HERE, STORAGE} if source is ANY else {source})
        assert (held if verdict.giver is HERE else stored) is not None
        assert held is None or not held.deleted
    if verdict and verdict.action is KEEP:
        assert REASONS[verdict.kind]


@given(ROWS, STORED, st.sampled_from(Source))
def test_what_was_given_is_alike_for_ever(
    held: Row | None, stored: Stored | None, source: Source
) -> None:
    """Whoever gave: the next look finds nothing to do."""
    verdict = decide(held, stored, source)

    if verdict and verdict.action is COPY:
        if verdict.giver is HERE and held:
            stored = Stored("k", held.facts.size, "y", held.facts)
        elif stored:
            held = Row("b", "k", replace(stored.facts, version=Version(99, "here")), "z")
        assert [decide(held, stored, one) for one in Source] == [None, None, None]


@given(ROWS, STORED, STAMPS)
def test_times_of_the_storage_decide_nothing(
    held: Row | None, stored: Stored | None, stamp: int
) -> None:
    if stored and not stored.ours:
        later = foreign(stored.size, stored.facts.etag, stamp)
        assert [decide(held, later, one) for one in Source] == [
            decide(held, stored, one) for one in Source
        ]


@given(st.builds(row, STAMPS, SIZES, ETAGS), st.builds(foreign, SIZES, ETAGS, STAMPS))
def test_what_a_listing_tells_to_be_alike_is(held: Row, stored: Stored) -> None:
    if is_told(held, stored):
        assert is_alike(held, stored)
