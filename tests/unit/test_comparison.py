"""Buckets of two or three holders compared: exactly what differs is found, from wherever on."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from functools import reduce
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backends.errors import Corrupt, Unavailable
from backends.model import COUNTER_BITS, Bucket, Facts, KeyRange, RangeDigest, Row, Version
from backends.ranges import range_of
from backends.state.sqlite import SQLiteState
from reconcile.comparison import frontier
from reconcile.comparison import recursion as comparison
from reconcile.comparison.compare import NEVER, WHOLE, compare
from reconcile.comparison.holders import StateHolder
from reconcile.comparison.recursion import Compared
from replication.messages import Listed, RangePage
from replication.ranges import digest_with, listed

NOON = 1_700_000_000_000
OLD, YOUNG, LATE = NOON - 2000, NOON - 1000, NOON
Contents = Mapping[str, Listed]


class Dictionary:
    """A holder over a dictionary, that counts what it is asked."""

    def __init__(self, name: str, contents: Contents) -> None:
        self.name = name
        self.contents = contents
        self.asked: list[tuple[str, int]] = []
        self.told = 0

    def _in(self, within: KeyRange) -> Iterator[Listed]:
        for key in sorted(self.contents):
            if key > within.after and (not within.upto or key <= within.upto):
                self.told += 1
                yield self.contents[key]

    async def split(self, _: str, within: KeyRange, *, every: int, limit: int) -> list[str]:
        keys = [row.key for row in self._in(within)]
        return keys[every - 1 :: every][:limit]

    async def digests(
        self, _: str, ranges: Sequence[KeyRange], *, before: int, buried_since: int
    ) -> list[RangeDigest]:
        self.asked.append(("digests", len(ranges)))
        return [
            reduce(
                digest_with,
                (
                    row
                    for row in self._in(within)
                    if row.counts(before=before, buried_since=buried_since)
                ),
                RangeDigest(),
            )
            for within in ranges
        ]

    async def rows(self, _: str, ranges: Sequence[KeyRange], *, limit: int) -> RangePage:
        self.asked.append(("rows", len(ranges)))
        rows = tuple(islice((row for within in ranges for row in self._in(within)), limit))
        return RangePage(rows, rows[-1].key) if len(rows) == limit else RangePage(rows)


def row(key: str, milliseconds: int = OLD, site: str = "a", *, deleted: bool = False) -> Row:
    facts = Facts(Version(milliseconds << COUNTER_BITS, site), size=1, etag="e")
    return Row("photos", key, facts, "at", deleted)


def thing(key: str, milliseconds: int = OLD, site: str = "a", *, deleted: bool = False) -> Listed:
    return listed(row(key, milliseconds, site, deleted=deleted))


def many(count: int) -> dict[str, Listed]:
    return {f"k/{number:06}": thing(f"k/{number:06}") for number in range(count)}


async def pages(
    holders: Sequence[Dictionary],
    *,
    buried_since: int = YOUNG,
    within: KeyRange = WHOLE,
    after: str = "",
) -> list[Compared]:
    here, *others = holders
    found = compare(
        here, others, "photos", before=LATE, buried_since=buried_since, within=within, after=after
    )
    return [page async for page in found]


def unlike(found: Sequence[Compared]) -> dict[str, Mapping[str, Listed | None]]:
    return {key: held for page in found for key, held in page.unlike.items()}


def is_late(key: str, holders: Sequence["Dictionary"]) -> bool:
    """Whether a holder has a version that is replication's: it may not have been asked."""
    rows = (holder.contents.get(key) for holder in holders)
    return any(row and row.milliseconds >= LATE for row in rows)


def differ(held: Sequence[Listed | None], buried_since: int) -> bool:
    """The promise of `compare`, said in the simplest way."""
    if any(one and one.milliseconds >= LATE for one in held):
        return False
    counted = [
        one if one and (not one.deleted or one.milliseconds >= buried_since) else None
        for one in held
    ]
    return any(one != counted[0] for one in counted)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything small, so that a few rows take every path."""
    for module, name, value in (
        (frontier, "LEAF", 3),
        (frontier, "LEAST", 1),
        (frontier, "INTO", 3),
        (comparison, "LEAF", 3),
        (comparison, "INTO", 3),
        (comparison, "WIDTH", 2),
        (comparison, "STRIDE", 11),
        (comparison, "MOST_ROWS", 4),
    ):
        monkeypatch.setattr(module, name, value)


KEYS = st.text(st.sampled_from("ab\U0010ffff"), min_size=1, max_size=4)
ROWS = st.tuples(st.sampled_from([OLD, YOUNG, LATE]), st.sampled_from("ab"), st.booleans())
SAME = st.dictionaries(KEYS, ROWS, max_size=40)
CHANGES = st.lists(st.dictionaries(KEYS, ROWS | st.none(), max_size=8), min_size=2, max_size=3)


def holders_of(
    same: Mapping[str, tuple[int, str, bool]],
    changes: Sequence[Mapping[str, tuple[int, str, bool] | None]],
) -> list[Dictionary]:
    holders = []
    for name, change in zip("xyz", changes, strict=False):
        written = {**same, **change}
        contents = {
            key: thing(key, made, site, deleted=deleted)
            for key, value in written.items()
            if value
            for made, site, deleted in [value]
        }
        holders.append(Dictionary(name, contents))
    return holders


def expected(holders: Sequence[Dictionary], buried_since: int = YOUNG) -> set[str]:
    keys = {key for holder in holders for key in holder.contents}
    return {
        key
        for key in keys
        if differ([holder.contents.get(key) for holder in holders], buried_since)
    }


@pytest.mark.usefixtures("small")
class TestAnyHolders:
    """With everything small."""

    @settings(deadline=None, max_examples=150)
    @given(same=SAME, changes=CHANGES, buried_since=st.sampled_from([0, YOUNG, NEVER]))
    def test_exactly_the_keys_that_differ_are_found(
        self,
        same: dict[str, tuple[int, str, bool]],
        changes: list[dict[str, tuple[int, str, bool] | None]],
        buried_since: int,
    ) -> None:
        holders = holders_of(same, changes)

        found = asyncio.run(pages(holders, buried_since=buried_since))

        told = unlike(found)
        assert list(told) == sorted(told)
        assert expected(holders, buried_since) <= told.keys()
        assert all(is_late(key, holders) for key in told.keys() - expected(holders, buried_since))
        for key, held in told.items():
            for holder in holders:
                assert differ([held[holder.name], holder.contents.get(key)], buried_since) is False
        here = holders[0].contents.values()
        assert sum(page.objects for page in found) == sum(
            not one.deleted and one.milliseconds < LATE for one in here
        )
        assert found[-1].upto == ""

    @settings(deadline=None, max_examples=60)
    @given(same=SAME, changes=CHANGES, data=st.data())
    def test_going_on_from_any_place_loses_nothing(
        self,
        same: dict[str, tuple[int, str, bool]],
        changes: list[dict[str, tuple[int, str, bool] | None]],
        data: st.DataObject,
    ) -> None:
        holders = holders_of(same, changes)
        found = asyncio.run(pages(holders))
        stop = data.draw(st.integers(0, len(found) - 1))

        rest = asyncio.run(pages(holders, after=found[stop].upto)) if found[stop].upto else []

        assert unlike([*found[: stop + 1], *rest]) == unlike(found)
        assert all(key > found[stop].upto for key in unlike(rest))

    @settings(deadline=None, max_examples=60)
    @given(same=SAME, changes=CHANGES, prefix=st.text("ab", max_size=2))
    def test_a_prefix_is_compared_alone(
        self,
        same: dict[str, tuple[int, str, bool]],
        changes: list[dict[str, tuple[int, str, bool] | None]],
        prefix: str,
    ) -> None:
        holders = holders_of(same, changes)

        found = asyncio.run(pages(holders, within=range_of(prefix)))

        inside = {key for key in expected(holders) if key.startswith(prefix)}
        assert inside <= unlike(found).keys()
        assert all(
            key.startswith(prefix) and is_late(key, holders)
            for key in unlike(found).keys() - inside
        )


async def test_holders_that_are_alike_cost_one_exchange() -> None:
    here, there = (Dictionary(name, many(2000)) for name in "xy")

    [found] = await pages([here, there])

    assert (found.upto, found.objects, found.unlike) == ("", 2000, {})
    assert there.asked == [("digests", 1)]


async def test_the_cost_follows_the_difference() -> None:
    contents = many(20_000)
    changed = contents | {
        f"k/{number:06}": thing(f"k/{number:06}", site="b") for number in range(0, 20_000, 5000)
    }
    here, there = Dictionary("x", contents), Dictionary("y", changed)

    found = await pages([here, there])

    assert list(unlike(found)) == [f"k/{number:06}" for number in range(0, 20_000, 5000)]
    rows = sum(count for what, count in there.asked if what == "rows")
    assert rows == 4
    assert len(there.asked) < 8


async def test_who_is_like_here_is_asked_no_further() -> None:
    contents = many(5000)
    less = dict(contents)
    del less["k/002500"]
    here, same, other = Dictionary("x", contents), Dictionary("y", contents), Dictionary("z", less)

    found = unlike(await pages([here, same, other]))

    assert found == {"k/002500": {"x": contents["k/002500"], "y": contents["k/002500"], "z": None}}
    assert same.asked == [("digests", 1)]


@pytest.mark.parametrize("empty", [0, 1])
async def test_an_empty_holder_is_told_by_pages_of_the_other(empty: int) -> None:
    holders = [
        Dictionary(name, {} if number == empty else many(12_000))
        for number, name in enumerate("xy")
    ]

    found = await pages(holders)

    assert len(unlike(found)) == 12_000
    full = holders[1 - empty]
    assert full.told < 12_000 * 5
    assert len(full.asked) < 15


async def test_a_holder_that_fails_ends_it() -> None:
    class Broken(Dictionary):
        def _in(self, _: KeyRange) -> Iterator[Listed]:
            yield thing("k/000000")
            raise Unavailable("the listing broke off")

    here, there = Dictionary("x", many(100)), Broken("y", {})

    with pytest.raises(Unavailable):
        await pages([here, there])


async def test_pages_that_do_not_go_on_end_it() -> None:
    class Standing(Dictionary):
        async def rows(self, *_: object, **__: object) -> RangePage:
            return RangePage((), "a")

    with pytest.raises(Corrupt, match="ends before it begins"):
        await pages([Dictionary("x", {}), Standing("y", {})], after="b")


@pytest.fixture
async def states(tmp_path: Path) -> AsyncIterator[list[SQLiteState]]:
    """Two states; only the first one has the bucket."""
    opened = [SQLiteState.open(tmp_path / f"{name}.db", site=name, durable=False) for name in "xy"]
    await opened[0].create_bucket(Bucket("photos", "main", 0))
    yield opened
    for state in opened:
        await state.close()


async def test_states_are_compared(states: list[SQLiteState]) -> None:
    x, y = states
    await asyncio.gather(*(x.commit(row(f"k/{number:04}"), None) for number in range(1200)))
    here, there = StateHolder(x, "x"), StateHolder(y, "y")

    found = [page async for page in compare(here, [there], "photos", before=LATE)]
    assert len(unlike(found)) == 1200
    found = [page async for page in compare(there, [here], "photos", before=LATE)]
    assert len(unlike(found)) == 1200

    await y.create_bucket(Bucket("photos", "main", 0))
    await asyncio.gather(*(y.commit(row(f"k/{number:04}"), None) for number in range(1200)))
    await y.commit(row("k/0600", YOUNG, deleted=True), None)
    await y.commit(row("k/0700", LATE), None)
    found = [page async for page in compare(here, [there], "photos", before=LATE)]
    assert unlike(found) == {
        "k/0600": {"x": thing("k/0600"), "y": thing("k/0600", YOUNG, deleted=True)}
    }
