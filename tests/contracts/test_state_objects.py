"""Objects in every state store: rows, versions, conditions, tombstones."""

import asyncio
import itertools

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backends.errors import BackendError, BucketNotFound, NotFound, PreconditionFailed
from backends.model import Checksum, ChecksumType, Facts, ObjectPart, Precondition, Row
from backends.state.protocol import Committed, StateStore
from tests.contracts.state_stores import (
    BUCKET,
    LEASE,
    NOON,
    Processes,
    commit,
    make_bucket,
    put,
    row,
    version,
)

WRITERS = 100
ONLY_NEW = Precondition(none_match="*")
SITES = ("east", "here", "west")
SAME_STORE_FOR_ALL = settings(
    deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
fresh = itertools.count()


async def bury(
    state: StateStore, key: str = "cat", condition: Precondition | None = None
) -> Row | None:
    return await state.bury(
        BUCKET, key, "ObjectRemoved:Delete", "DELETE", condition=condition or Precondition()
    )


async def test_what_was_committed_is_found_with_all_its_facts(state: StateStore) -> None:
    facts = Facts(
        version(1),
        size=10,
        etag="e-2",
        owner="main",
        headers={"content-type": "text/x-cat"},
        metadata={"näme": "Tom"},
        storage_class="STANDARD_IA",
        checksum=Checksum("CRC32", "AAAAAA==", ChecksumType.COMPOSITE),
        parts=(ObjectPart(1, 6, "a"), ObjectPart(2, 4)),
        upload="upload",
        expires=NOON,
    )
    written = Row(BUCKET, "cat", facts, "somewhere")

    await commit(state, written)

    assert await state.find(BUCKET, "cat") == written


async def test_a_key_that_was_never_written_is_not_found(state: StateStore) -> None:
    with pytest.raises(NotFound) as caught:
        await state.find(BUCKET, "cat")

    assert not isinstance(caught.value, BucketNotFound)


async def test_nothing_is_done_in_a_bucket_that_is_not_there(state: StateStore) -> None:
    with pytest.raises(BucketNotFound):
        await state.find("nowhere", "cat")
    with pytest.raises(BucketNotFound):
        await commit(state, row(version(1), bucket="nowhere"))
    with pytest.raises(BucketNotFound):
        await state.begin("nowhere", "cat", lease=LEASE)
    with pytest.raises(BucketNotFound):
        await state.bury("nowhere", "cat", "ObjectRemoved:Delete", "DELETE")
    with pytest.raises(BucketNotFound):
        await state.bury("nowhere", "cat", "name", "DELETE", condition=Precondition(match="*"))


async def test_an_overwrite_answers_the_row_that_it_replaced(state: StateStore) -> None:
    first = row(version(1))

    assert await commit(state, first) == Committed(won=True)
    assert await commit(state, row(version(2))) == Committed(won=True, replaced=first)


async def test_a_second_commit_of_the_same_version_has_won_and_changes_nothing(
    state: StateStore,
) -> None:
    first = row(version(1), locator="first")
    await commit(state, first)

    again = await commit(state, row(version(1), locator="second"), condition=ONLY_NEW)

    assert again == Committed(won=True)
    assert await state.find(BUCKET, "cat") == first


@SAME_STORE_FOR_ALL
@given(
    order=st.lists(
        st.tuples(st.integers(1, 4), st.sampled_from(SITES), st.booleans()),
        min_size=1,
        max_size=6,
        unique_by=lambda one: one[:2],
    )
)
async def test_the_highest_version_wins_in_any_order_of_commits(
    state: StateStore, order: list[tuple[int, str, bool]]
) -> None:
    key = f"key {next(fresh)}"
    rows = [row(version(stamp, site), key=key, deleted=deleted) for stamp, site, deleted in order]
    newest = max(rows, key=lambda one: one.version)

    won = [(await commit(state, one)).won for one in rows]

    highest_yet = itertools.accumulate((one.version for one in rows), max)
    assert won == [one.version == highest for one, highest in zip(rows, highest_yet, strict=True)]
    if newest.deleted:
        with pytest.raises(NotFound):
            await state.find(BUCKET, key)
    else:
        assert await state.find(BUCKET, key) == newest


async def test_two_sites_that_wrote_at_the_same_stamp_are_ranked_by_name(
    state: StateStore,
) -> None:
    await commit(state, row(version(5, "west")))

    assert not (await commit(state, row(version(5, "east")))).won
    assert (await state.find(BUCKET, "cat")).version == version(5, "west")


async def test_a_tombstone_hides_the_object_and_holds_against_a_late_commit(
    state: StateStore,
) -> None:
    intent = await state.begin(BUCKET, "cat", lease=LEASE)
    await put(state)
    removed = await bury(state)

    late = await commit(state, row(intent.version), intent=intent)

    assert removed is not None
    assert not late.won
    with pytest.raises(NotFound):
        await state.find(BUCKET, "cat")


async def test_an_object_can_be_written_again_above_its_tombstone(state: StateStore) -> None:
    await put(state)
    await bury(state)

    written = await put(state, etag="again")

    assert await state.find(BUCKET, "cat") == written
    [entry] = await state.page(BUCKET, prefix="", after="", limit=10)
    assert (entry.key, entry.stamp) == ("cat", written.version.stamp)


async def test_a_delete_answers_the_row_it_removed_and_nothing_where_there_was_none(
    state: StateStore,
) -> None:
    written = await put(state)

    assert await bury(state) == written
    assert await bury(state) is None
    assert await bury(state, "never there") is None


@pytest.mark.parametrize(
    ("condition", "error"),
    [
        (Precondition(match="etag"), None),
        (Precondition(match="*"), None),
        (Precondition(match="other"), PreconditionFailed),
        (Precondition(none_match="other"), None),
        (Precondition(none_match="etag"), PreconditionFailed),
        (Precondition(none_match="*"), PreconditionFailed),
    ],
)
async def test_a_condition_is_asked_of_the_row_that_is_there(
    state: StateStore, condition: Precondition, error: type[BackendError] | None
) -> None:
    current = await put(state)
    written = row(version(current.version.stamp + 1), etag="etag")

    if error is None:
        await state.begin(BUCKET, "cat", lease=LEASE, condition=condition)
        assert (await commit(state, written, condition=condition)).won
        assert await bury(state, condition=condition) == written
        return
    with pytest.raises(error):
        await state.begin(BUCKET, "cat", lease=LEASE, condition=condition)
    with pytest.raises(error):
        await commit(state, written, condition=condition)
    with pytest.raises(error):
        await bury(state, condition=condition)
    assert await state.find(BUCKET, "cat") == current


@pytest.mark.parametrize("buried", [False, True])
async def test_a_condition_on_nothing_there_asks_for_an_object_only_by_if_match(
    state: StateStore, *, buried: bool
) -> None:
    if buried:
        await put(state)
        await bury(state)

    with pytest.raises(NotFound):
        await state.begin(BUCKET, "cat", lease=LEASE, condition=Precondition(match="*"))
    with pytest.raises(NotFound):
        await bury(state, condition=Precondition(match="etag"))
    intent = await state.begin(BUCKET, "cat", lease=LEASE, condition=ONLY_NEW)
    with pytest.raises(NotFound):
        await commit(state, row(intent.version), intent=intent, condition=Precondition(match="*"))
    assert (await commit(state, row(intent.version), intent=intent, condition=ONLY_NEW)).won


async def test_of_a_hundred_writers_that_want_the_key_new_exactly_one_wins(
    processes: Processes,
) -> None:
    stores = [await processes.open(), await processes.open()]
    await make_bucket(stores[0])

    async def write(number: int) -> str:
        state, etag = stores[number % 2], f"etag {number}"
        intent = await state.begin(BUCKET, "cat", lease=LEASE)
        await commit(state, row(intent.version, etag=etag), intent=intent, condition=ONLY_NEW)
        return etag

    ended = await asyncio.gather(*map(write, range(WRITERS)), return_exceptions=True)

    winners = [one for one in ended if isinstance(one, str)]
    losers = [one for one in ended if isinstance(one, PreconditionFailed)]
    assert (len(winners), len(losers)) == (1, WRITERS - 1)
    assert (await stores[0].find(BUCKET, "cat")).facts.etag == winners[0]


async def test_two_processes_see_each_others_rows_and_never_promise_the_same_version(
    processes: Processes,
) -> None:
    here, there = await processes.open(), await processes.open()
    await make_bucket(here)

    intents = await asyncio.gather(
        *(state.begin(BUCKET, "cat", lease=LEASE) for state in [here, there] * 20)
    )
    written = await put(here)

    assert len({intent.version for intent in intents}) == 40
    assert await there.find(BUCKET, "cat") == written
    assert written.version > max(intent.version for intent in intents)


async def test_a_clock_set_back_never_lowers_a_version(processes: Processes) -> None:
    state = await processes.open()
    await make_bucket(state)
    first = await put(state)
    processes.wall.milliseconds -= 86_400_000
    restarted = await processes.open()

    second = await put(restarted)
    await bury(restarted)
    third = await put(restarted)
    promised = await restarted.begin(BUCKET, "cat", lease=LEASE)

    assert first.version < second.version < third.version < promised.version
    assert await state.find(BUCKET, "cat") == third


async def test_a_new_version_is_above_those_that_other_sites_wrote(state: StateStore) -> None:
    ahead = version(2**60, "west")
    await commit(state, row(ahead))

    assert (await put(state)).version > ahead


async def test_a_delete_is_above_what_was_promised_before_it(state: StateStore) -> None:
    await put(state)
    promised = await state.begin(BUCKET, "cat", lease=LEASE)
    await bury(state)

    assert not (await commit(state, row(promised.version), intent=promised)).won


async def test_a_row_that_comes_without_an_event_tells_nobody(state: StateStore) -> None:
    await state.subscribe("group")

    await state.commit(row(version(1)), None)

    assert (await state.find(BUCKET, "cat")).version == version(1)
    assert await state.unread("group", after=0, limit=10) == []


async def test_an_inventory_has_each_key_once_with_its_tombstones(state: StateStore) -> None:
    kept = [await put(state, key) for key in ("a", "b", "é", "\U0001f408")]
    await put(state, "a/b")
    await bury(state, "a/b")
    await bury(state, "b")

    found = await state.inventory(BUCKET, after="", limit=10)

    assert [(one.key, one.deleted) for one in found] == [
        ("a", False),
        ("a/b", True),
        ("b", True),
        ("é", False),
        ("\U0001f408", False),
    ]
    assert found[0] == kept[0]
    assert found[2].version > kept[1].version


async def test_an_inventory_is_read_page_by_page(state: StateStore) -> None:
    for number in range(10):
        await put(state, f"{number}")
        if number % 3 == 0:
            await bury(state, f"{number}")
    whole = await state.inventory(BUCKET, after="", limit=100)

    found: list[Row] = []
    while page := await state.inventory(BUCKET, after=found[-1].key if found else "", limit=3):
        assert len(page) <= 3
        found += page

    assert found == whole
    assert len(found) == 10


async def test_an_inventory_needs_its_bucket(state: StateStore) -> None:
    with pytest.raises(BucketNotFound):
        await state.inventory("films", after="", limit=10)
