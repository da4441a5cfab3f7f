"""What is decided about a key on which sites do not agree: pure judgement."""

from collections.abc import Mapping
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from backends.model import Version
from reconcile.comparison.compare import Kind
from reconcile.sites.plan import Action, Change, Planner, finding_of, version_of
from reconcile.sites.reconciliation import BYTES_A_STEP, few
from replication.messages import Listed

SITES: Final = ("east", "north", "west")
NEW: Final = 1_000
Held = Mapping[str, Listed | None]


def listed(stamp: int, site: str = "east", *, etag: str = "e", deleted: bool = False) -> Listed:
    return Listed("cat", str(Version(stamp << 16, site)), "" if deleted else etag, 0, deleted)


def everything(_key: str, _site: str, _deleted: bool) -> bool:
    return True


def decided(held: Held, *, source: str = "", since: int = 0) -> set[tuple[str, str, str]]:
    changes = Planner("east", source, since).changes("cat", held, everything)
    return {(change.site, change.kind, change.action) for change in changes}


@pytest.mark.parametrize(
    ("held", "changes"),
    [
        ((None, None, None), set()),
        ((1, 1, 1), set()),
        ((1, None, 1), {("north", Kind.ONLY_HERE, Action.COPY)}),
        ((None, 1, 1), {("east", Kind.MISSING, Action.COPY)}),
        ((2, 1, 2), {("north", Kind.VERSION, Action.COPY)}),
        ((1, -2, 1), {(site, Kind.TOMBSTONE, Action.DELETE) for site in ("east", "west")}),
        ((3, -2, 3), {("north", Kind.TOMBSTONE, Action.COPY)}),
        ((-2, None, None), {(site, Kind.TOMBSTONE, Action.DELETE) for site in ("north", "west")}),
    ],
)
def test_the_newest_wins_wherever_it_is(
    held: tuple[int | None, ...], changes: set[tuple[str, str, str]]
) -> None:
    rows = {
        site: None if stamp is None else listed(abs(stamp), deleted=stamp < 0)
        for site, stamp in zip(SITES, held, strict=True)
    }

    assert decided(rows) == changes


def test_what_no_site_of_ours_wrote_has_a_version_like_any_other() -> None:
    """That of an adopted object names no site; its end names none, either."""
    adopted, newer = listed(2, ""), listed(3, "west")
    end = replace(listed(0, deleted=True), version=str(version_of(adopted).end))

    assert version_of(adopted) == Version(2 << 16, "")
    assert decided({"east": None, "west": adopted}) == {("east", Kind.MISSING, Action.COPY)}
    assert decided({"east": adopted, "west": newer}) == {("east", Kind.VERSION, Action.COPY)}
    assert decided({"east": adopted, "west": listed(2, "west")}) == {
        ("east", Kind.VERSION, Action.COPY)
    }
    assert decided({"east": adopted, "west": end}) == {("east", Kind.TOMBSTONE, Action.DELETE)}
    assert decided({"east": adopted, "west": listed(2, "", etag="f")}) == {
        ("west", Kind.DIGEST, Action.REWRITE)
    }


def test_an_old_tombstone_is_as_good_as_nothing_but_beats_an_older_object() -> None:
    gone = listed(NEW - 1, deleted=True)

    assert decided({"east": gone, "west": None}, since=NEW) == set()
    assert decided({"east": gone, "west": listed(1)}, since=NEW) == {
        ("west", Kind.TOMBSTONE, Action.DELETE)
    }


def test_two_things_under_one_version_are_rewritten_by_the_site_that_made_it() -> None:
    held = {"east": listed(1, "west"), "west": listed(1, "west", etag="other")}
    (change,) = Planner("east", "", 0).changes("cat", held, everything)

    assert (change.action, change.kind, change.winner) == (Action.REWRITE, Kind.DIGEST, "west")


def test_a_source_alone_gives_and_what_is_newer_elsewhere_is_kept() -> None:
    held = {"east": listed(1), "north": listed(2), "west": None}

    assert decided(held, source="east") == {
        ("north", Kind.VERSION, Action.KEEP),
        ("west", Kind.ONLY_HERE, Action.COPY),
    }
    assert decided({**held, "east": None}, source="east") == set()


def test_a_site_that_is_not_to_have_it_gets_nothing() -> None:
    held = {"east": listed(1), "north": None, "west": None}

    changes = Planner("east", "", 0).changes("cat", held, lambda _k, site, _d: site == "west")

    assert [change.site for change in changes] == ["west"]


ROWS: Final = st.none() | st.builds(
    lambda stamp, site: listed(stamp, site, etag=f"{stamp}-{site}", deleted=stamp % 2 == 0),
    st.integers(NEW, NEW + 3),
    st.sampled_from(SITES),
)


@given(st.fixed_dictionaries(dict.fromkeys(SITES, ROWS)))
def test_once_applied_nothing_is_left_to_do(held: dict[str, Listed | None]) -> None:
    planner = Planner("east", "", NEW)
    changes = planner.changes("cat", held, everything)
    conflicts = [change for change in changes if change.action is Action.REWRITE]
    after = held | {change.site: change.best for change in changes}

    assert not planner.changes("cat", after, everything)
    assert all(
        change.there is None or version_of(change.there) < version_of(change.best)
        for change in changes
        if change not in conflicts
    )
    assert all(finding_of("b", change, "east").site == change.site for change in changes)


@pytest.mark.parametrize(
    ("sizes", "most", "taken"),
    [([1, 1, 1], 2, 2), ([1, 1], 5, 2), ([BYTES_A_STEP * 2, 1], 5, 1), ([1, BYTES_A_STEP], 5, 1)],
)
def test_a_step_has_few_keys_and_not_many_bytes(sizes: list[int], most: int, taken: int) -> None:
    keys = [
        [Change(Kind.MISSING, f"{number}", "east", Action.COPY, "west", None, one)]
        for number, size in enumerate(sizes)
        for one in [Listed(f"{number}", "1-west", size=size)]
    ]

    assert few(keys, most) == keys[:taken]
