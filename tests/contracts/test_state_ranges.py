"""Ranges of every state store: what they amount to, and where they are split."""

import asyncio
import itertools

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from backends.errors import BucketNotFound
from backends.fingerprint import MODULUS, fingerprint_of
from backends.model import (
    COUNTER_BITS,
    Checksum,
    Facts,
    KeyRange,
    ObjectPart,
    RangeDigest,
    Row,
    Version,
)
from backends.state.protocol import StateStore
from tests.contracts.state_stores import (
    BUCKET,
    NOON,
    Processes,
    Wall,
    commit,
    make_bucket,
    put,
)

WHOLE = KeyRange()
SAME_STORE_FOR_ALL = settings(
    deadline=None,
    max_examples=25,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
EDGES = st.sampled_from("\x00\x01/a\x7f\u0080\ud7ff\ue000\uffff\U00010000\U0010ffff")
KEYS = st.text(EDGES, min_size=1, max_size=3)
fresh = itertools.count()


def row(key: str, milliseconds: int = NOON, *, bucket: str = BUCKET, deleted: bool = False) -> Row:
    version = Version(milliseconds << COUNTER_BITS, "there")
    facts = Facts(version) if deleted else Facts(version, size=3, etag="e")
    return Row(bucket, key, facts, "" if deleted else f"at {version}", deleted)


async def commit_all(state: StateStore, *rows: Row) -> None:
    await asyncio.gather(*(state.commit(one, None) for one in rows))


def expected(*rows: Row) -> RangeDigest:
    buried = sum(one.deleted for one in rows)
    total = sum(map(fingerprint_of, rows)) % MODULUS
    return RangeDigest(len(rows) - buried, buried, total)


async def digest(
    state: StateStore,
    *ranges: KeyRange,
    bucket: str = BUCKET,
    before: int = NOON + 1,
    buried_since: int = 0,
) -> list[RangeDigest]:
    return await state.digests(bucket, ranges or [WHOLE], before=before, buried_since=buried_since)


async def test_an_empty_bucket_amounts_to_nothing_and_none_is_refused(state: StateStore) -> None:
    assert await digest(state) == [RangeDigest()]
    assert await state.digests(BUCKET, [], before=NOON, buried_since=0) == []
    assert await state.split(BUCKET, WHOLE, every=1, limit=5) == []
    with pytest.raises(BucketNotFound):
        await digest(state, bucket="nowhere")
    with pytest.raises(BucketNotFound):
        await state.split("nowhere", WHOLE, every=1, limit=5)


@SAME_STORE_FOR_ALL
@given(
    keys=st.sets(KEYS, max_size=10),
    buried=st.sets(KEYS, max_size=4),
    bounds=st.lists(st.tuples(KEYS | st.just(""), KEYS | st.just("")), max_size=4),
)
async def test_a_range_amounts_to_the_rows_in_it(
    state: StateStore, keys: set[str], buried: set[str], bounds: list[tuple[str, str]]
) -> None:
    bucket = (await make_bucket(state, f"ranges-{next(fresh)}")).name
    rows = [row(key, bucket=bucket) for key in keys - buried]
    rows += [row(key, bucket=bucket, deleted=True) for key in buried]
    await commit_all(state, *rows)
    ranges = [KeyRange(*bound) for bound in bounds]

    assert await digest(state, *ranges, bucket=bucket) == [
        expected(*(one for one in rows if one.key > after and (not upto or one.key <= upto)))
        for after, upto in ranges or [WHOLE]
    ]


async def test_what_replication_or_a_purge_has_in_hand_is_left_out(state: StateStore) -> None:
    settled, late = row("a", NOON - 10), row("b", NOON)
    old, young, fresh_one = (
        row("c", NOON - 30, deleted=True),
        row("d", NOON - 20, deleted=True),
        row("e", NOON, deleted=True),
    )
    await commit_all(state, settled, late, old, young, fresh_one)

    assert await digest(state, before=NOON, buried_since=NOON - 20) == [expected(settled, young)]
    assert await digest(state, before=1 << 60, buried_since=1 << 60) == [expected(settled, late)]
    assert await digest(state, before=-1, buried_since=-1) == [RangeDigest()]


async def test_a_fingerprint_follows_the_row(state: StateStore, wall: Wall) -> None:
    wall.milliseconds = NOON - 10
    first = await put(state, "cat")
    assert await digest(state) == [expected(first)]

    again = await put(state, "cat", etag="other")
    assert await digest(state) == [expected(again)]

    intent = await state.begin(BUCKET, "cat", lease=1000, version=again.version, again=True)
    await state.commit(replace(again, locator="elsewhere"), None, intent=intent)
    assert await digest(state) == [expected(again)]

    await state.bury(BUCKET, "cat", "ObjectRemoved:Delete", "DeleteObject")
    buried = await state.newest(BUCKET, "cat")
    assert buried is not None
    assert await digest(state) == [expected(buried)]

    late = row("cat", NOON, deleted=True)
    await commit(state, late)
    assert await digest(state) == [expected(late)]


async def test_what_replicas_share_counts_and_nothing_else(state: StateStore) -> None:
    plain = row("cat")
    facts = plain.facts
    same = replace(facts, owner="somebody", upload="u", parts=(ObjectPart(1, 3),), listed=True)
    await commit_all(state, replace(plain, facts=same, locator="elsewhere"))
    assert await digest(state) == [expected(plain)]

    others = (
        replace(facts, etag="f"),
        replace(facts, size=4),
        replace(facts, headers={"content-type": "text/plain"}),
        replace(facts, metadata={"color": "red"}),
        replace(facts, storage_class="GLACIER_IR"),
        replace(facts, checksum=Checksum("SHA1", "AA==")),
        replace(facts, expires=NOON),
        replace(facts, version=Version(facts.version.stamp, "here")),
    )
    rows = [plain, row("cat", deleted=True), *(replace(plain, facts=other) for other in others)]
    assert len({fingerprint_of(one) for one in rows}) == len(rows)


async def test_sums_are_exact(state: StateStore) -> None:
    rows = [row(f"k/{number:04}") for number in range(700)]
    rows += [row(f"gone/{number:04}", deleted=True) for number in range(300)]
    await commit_all(state, *rows)

    assert await digest(state) == [expected(*rows)]


async def test_a_split_cuts_into_pieces_of_so_many_rows(state: StateStore) -> None:
    keys = [f"k/{number:03}" for number in range(100)]
    await commit_all(state, *map(row, keys))

    assert await state.split(BUCKET, WHOLE, every=30, limit=9) == [keys[29], keys[59], keys[89]]
    assert await state.split(BUCKET, WHOLE, every=30, limit=2) == [keys[29], keys[59]]
    assert await state.split(BUCKET, WHOLE, every=101, limit=2) == []
    inside = KeyRange(keys[9], keys[50])
    assert await state.split(BUCKET, inside, every=20, limit=9) == [keys[29], keys[49]]


async def test_a_split_counts_tombstones_too(state: StateStore) -> None:
    keys = [f"k/{number:03}" for number in range(40)]
    await commit_all(
        state, *(row(key, deleted=bool(number % 2)) for number, key in enumerate(keys))
    )

    cuts = await state.split(BUCKET, WHOLE, every=10, limit=9)

    assert cuts == sorted(cuts)
    ranges = [KeyRange(*pair) for pair in itertools.pairwise(["", *cuts, ""])]
    sizes = [one.rows for one in await digest(state, *ranges)]
    assert sum(sizes) == 40
    assert max(sizes) <= 20
    assert len(sizes) > 2


@SAME_STORE_FOR_ALL
@given(keys=st.sets(KEYS, min_size=1, max_size=10), every=st.integers(1, 4))
async def test_cuts_are_keys_in_order(state: StateStore, keys: set[str], every: int) -> None:
    bucket = (await make_bucket(state, f"ranges-{next(fresh)}")).name
    await commit_all(state, *(row(key, bucket=bucket) for key in keys))

    cuts = await state.split(bucket, WHOLE, every=every, limit=100)

    assert cuts == sorted(keys)[every - 1 :: every]


async def test_an_inventory_ends_where_it_is_told(state: StateStore) -> None:
    await commit_all(state, *(row(key, deleted=key == "b") for key in "abcd"))

    found = await state.inventory(BUCKET, after="a", upto="c", limit=10)

    assert [one.key for one in found] == ["b", "c"]
    assert len(await state.inventory(BUCKET, after="a", upto="c", limit=1)) == 1


async def test_other_buckets_do_not_count(state: StateStore) -> None:
    await make_bucket(state, "photos-2")
    await commit_all(state, row("cat"), row("cat", bucket="photos-2"))

    assert await digest(state) == [expected(row("cat"))]
    assert await state.split(BUCKET, WHOLE, every=1, limit=9) == ["cat"]


async def test_another_process_reads_the_same(processes: Processes, state: StateStore) -> None:
    await commit_all(state, row("cat"), row("dog", deleted=True))
    other = await processes.open(site="other")

    assert (
        await digest(other)
        == await digest(state)
        == [expected(row("cat"), row("dog", deleted=True))]
    )
