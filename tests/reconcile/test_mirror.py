"""A bucket and a plain storage are made alike, whichever storage that is and whoever writes."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import aclosing
from pathlib import Path
from typing import Any, Final

import pytest

from backends.errors import BucketNotFound, Refused, Unavailable
from backends.model import Bucket, Facts, Row
from backends.storage import carried
from backends.storage.local import LocalStore
from backends.storage.memory import MemoryStore
from backends.storage.protocol import ObjectStore
from backends.storage.reserved import RESERVED
from backends.storage.source import BytesSource
from reconcile.jobs.work import START, Checkpoint, Finding, Outcome
from reconcile.mirror import mirror as mirror_module
from reconcile.mirror import sides
from replication.documents import OWN
from tests.reconcile.grounds import Ran, Site, job_of, on_disk, opened, run
from tests.reconcile.mirrored import (
    STORAGE,
    Breaking,
    Interrupted,
    Meanwhile,
    Pair,
    Plain,
    made,
    plain_of,
)
from tests.services.foreign import Foreign

LARGE: Final = bytes(range(256)) * 2_000
CAT: Final = Foreign("new/cat", b"meow", {"content-type": "text/cat"}, {"colour": "grey"})
OURS_THERE: Final = ("copied", "digest", "gone", "gone, not ours", "newer", "size")
Told = tuple[str, str, str, str]


@pytest.fixture(autouse=True)
def old_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test wrote a moment ago is as good as old; and pages are short."""
    monkeypatch.setattr(mirror_module, "SETTLED", -60_000)
    monkeypatch.setattr(sides, "PAGE", 3)
    monkeypatch.setattr(mirror_module, "APPLIED_A_STEP", 2)


@pytest.fixture(params=["memory", "overwriting", "disk", "s3", "azure", "gcs"])
async def pair(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Pair]:
    async with on_disk(made(tmp_path / "here")) as here:
        if request.param in {"s3", "azure", "gcs"}:
            async with opened(request, tmp_path, request.param) as other:

                async def write(thing: Foreign) -> None:
                    await asyncio.to_thread(other.replace if await has(thing.key) else put, thing)

                def put(thing: Foreign) -> None:
                    other.put(thing)

                async def has(key: str) -> bool:
                    listing = other.store.listing(other.bucket, prefix=key)
                    return any([stored.key == key async for stored in listing])

                async def delete(key: str) -> None:
                    await asyncio.to_thread(other.delete, key)

                yield Pair(here, Plain(other.store, other.bucket, write, delete))
            return
        store = STORES[request.param](tmp_path / "there")
        await store.create_bucket(Bucket(STORAGE, "", 1))
        yield Pair(here, plain_of(store))
        await store.close()


STORES: Final[Mapping[str, Callable[[Path], ObjectStore]]] = {
    "memory": lambda _: MemoryStore(),
    "overwriting": lambda _: MemoryStore(keeps_replaced=False),
    "disk": lambda folder: LocalStore.open(folder, durable=False),
}


@pytest.fixture
async def quick(tmp_path: Path) -> AsyncIterator[Pair]:
    """Beside a storage in memory."""
    async with on_disk(made(tmp_path / "here")) as here:
        store = MemoryStore(keeps_replaced=False)
        await store.create_bucket(Bucket(STORAGE, "", 1))
        yield Pair(here, plain_of(store))


def told(found: Ran | list[Finding]) -> list[Told]:
    lines = found.findings if isinstance(found, Ran) else found
    return [(one.kind, one.key, one.action, one.result) for one in lines]


async def differ(pair: Pair) -> None:
    """Let both have what the other has not, in every class."""
    for key in OURS_THERE:
        await pair.here.put_here(key, key.encode())
    assert (await pair.run()).outcome is Outcome.ALIKE
    for key in ("gone", "gone, not ours"):
        await pair.here.objects.delete(pair.here.bucket, key, "1")
    await pair.here.put_here("newer", b"newer, and longer")
    await pair.here.put_here("only", LARGE)
    for thing in (CAT, Foreign("digest", b"DIGEST"), Foreign("size", b"another size")):
        await pair.there.write(thing)
    await pair.there.write(Foreign("gone, not ours", b"another"))


def classes(*actions: str) -> list[tuple[str, str, str]]:
    """The classes of what differs, by key, with these actions."""
    kinds = (
        ("DIGEST", "digest"),
        ("TOMBSTONE", "gone"),
        ("TOMBSTONE", "gone, not ours"),
        ("MISSING", CAT.key),
        ("VERSION", "newer"),
        ("ONLY_HERE", "only"),
        ("SIZE", "size"),
    )
    return [(kind, key, action) for (kind, key), action in zip(kinds, actions, strict=True)]


AFTER: Final = {
    "copied": b"copied",
    "newer": b"newer, and longer",
    "only": LARGE,
}


async def test_each_class_is_found_and_a_dry_run_changes_nothing(pair: Pair) -> None:
    await differ(pair)
    before = await pair.everything()

    ran = await pair.run(dry_run=True)

    expected = classes("KEEP", "DELETE", "KEEP", "COPY", "COPY", "COPY", "KEEP")
    assert told(ran) == [(*line, "") for line in expected]
    assert ran.outcome is Outcome.DIFFERENCES
    assert await pair.everything() == before


async def test_both_get_what_they_lack_and_nobody_loses_anything(pair: Pair) -> None:
    await differ(pair)

    ran = await pair.run()

    results = ("KEPT", "APPLIED", "KEPT", "APPLIED", "APPLIED", "APPLIED", "KEPT")
    actions = classes("KEEP", "DELETE", "KEEP", "COPY", "COPY", "COPY", "KEEP")
    applied = [step for step in ran.steps if step.phase == "apply"]
    lines = [finding for step in applied for finding in step.findings]
    assert told(lines) == [(*line, result) for line, result in zip(actions, results, strict=True)]
    assert ran.outcome is Outcome.DIFFERENCES
    verified = [one for one in told(ran) if one[3] == "REMAINS"]
    assert [key for _, key, _, _ in verified] == ["digest", "gone, not ours", "size"]
    both = {**AFTER, CAT.key: CAT.data}
    assert await pair.contents() == {**both, "digest": b"digest", "size": b"size"}
    others = {"digest": b"DIGEST", "gone, not ours": b"another", "size": b"another size"}
    assert await pair.there.contents() == {**both, **others}
    assert sum(step.moved for step in applied) == len(LARGE) + len(CAT.data) + 17


async def test_with_this_site_as_the_source_the_storage_becomes_as_it_is(pair: Pair) -> None:
    await differ(pair)

    ran = await pair.run(source="here")

    assert [one[1:3] for one in told(ran) if one[3] == "REMAINS"] == [
        ("gone, not ours", "KEEP"),
        (CAT.key, "KEEP"),
    ]
    expected = {**AFTER, "digest": b"digest", "size": b"size"}
    assert await pair.contents() == expected
    kept = {"gone, not ours": b"another", CAT.key: CAT.data}
    assert await pair.there.contents() == {**expected, **kept}
    assert told(await pair.run(source="here", prefix="n")) == [
        ("MISSING", CAT.key, "KEEP", result) for result in ("KEPT", "REMAINS")
    ]


async def test_with_the_storage_as_the_source_clients_read_here_what_it_has(pair: Pair) -> None:
    await differ(pair)
    there = await pair.there.contents()

    ran = await pair.run(source="storage")

    assert [one[1] for one in told(ran) if one[3] == "REMAINS"] == [
        "gone",
        "gone, not ours",
        "newer",
        "only",
    ]
    assert await pair.there.contents() == there
    assert await pair.contents() == {
        **AFTER,
        CAT.key: CAT.data,
        "digest": b"DIGEST",
        "size": b"another size",
    }
    row = await pair.here.state.find(pair.here.bucket, CAT.key)
    assert row.facts.headers["content-type"] == "text/cat"
    assert (row.facts.metadata, row.facts.owner) == (CAT.metadata, "main")
    assert (row.facts.etag, row.version.site) == (CAT.md5, "here")


async def test_what_comes_in_is_an_event_for_other_sites(quick: Pair) -> None:
    await quick.here.known.subscribe("west")
    await quick.there.write(CAT)

    await quick.run()

    [(_, event)] = await quick.here.known.unread("west", after=0, limit=10)
    row = await quick.here.state.find(quick.here.bucket, CAT.key)
    assert (event.name, event.key, event.version) == ("ObjectCreated:Put", CAT.key, row.version)
    assert (await quick.run()).findings == []


@pytest.mark.parametrize("data", [b"", LARGE])
async def test_what_has_no_etag_there_gets_the_md5_of_its_bytes(quick: Pair, data: bytes) -> None:
    thing = Foreign("plain", data)
    facts = carried.foreign(1, len(data), "")
    await quick.there.store.put(STORAGE, thing.key, BytesSource(data, facts))

    assert (await quick.run()).outcome is Outcome.ALIKE

    assert (await quick.here.state.find("films", thing.key)).facts.etag == thing.md5
    assert await quick.contents() == {thing.key: data}


async def test_more_deletes_than_allowed_change_nothing(quick: Pair) -> None:
    """Not even what comes before them."""
    await differ(quick)
    for key in ("a", "b"):
        await quick.here.put_here(key, b"only here")
    before = await quick.everything()

    with pytest.raises(Refused, match="1 objects would be deleted, 0 may be"):
        await quick.run(max_deletes=0)

    assert await quick.everything() == before
    await quick.run(max_deletes=1)
    assert "gone" not in await quick.there.contents()


async def test_what_came_lately_is_left_alone(quick: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    await differ(quick)
    before = await quick.everything()
    monkeypatch.setattr(mirror_module, "SETTLED", 3_600_000)

    assert (await quick.run()).outcome is Outcome.ALIKE

    assert await quick.everything() == before


async def test_what_a_client_writes_or_deletes_meanwhile_wins(quick: Pair) -> None:
    await quick.there.write(CAT)

    async def write() -> None:
        await quick.here.put_here(CAT.key, b"written")

    async def delete() -> None:
        await quick.here.objects.delete(quick.here.bucket, CAT.key, "1")

    inner = quick.intake
    for happens, left in ((delete, {}), (write, {CAT.key: b"written"})):
        quick.intake = Meanwhile(inner, happens)
        ran = await quick.run(source="storage")
        assert told(ran)[0] == ("MISSING", CAT.key, "COPY", "NEWER")
        assert await quick.contents() == left
        await quick.here.known.purge_tombstones(older_than=-60_000, limit=10)
    quick.intake = Meanwhile(inner, delete)
    ran = await quick.run(source="storage")
    assert told(ran)[0] == ("SIZE", CAT.key, "COPY", "NEWER")
    assert await quick.contents() == {}


@pytest.mark.parametrize("before", [None, Foreign("k", b"before")])
async def test_what_another_program_writes_there_meanwhile_stays(
    quick: Pair, before: Foreign | None
) -> None:
    await quick.here.put_here("k", b"ours")
    if before:
        await quick.there.write(before)

    async def happens() -> None:
        await quick.there.write(Foreign("k", b"theirs!"))

    store = Interrupted(quick.there.store, happens)
    ran = await quick.run(store=store, source="here")

    assert told(ran)[0][3] == "NEWER"
    assert await quick.there.contents() == {"k": b"theirs!"}


async def test_what_is_written_here_before_its_turn_comes_deletes_nothing(
    quick: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mirror_module, "APPLIED_A_STEP", 1)
    for key in ("b", "c"):
        await quick.here.put_here(key, b"before")
    await quick.run()
    for key in ("b", "c"):
        await quick.here.objects.delete(quick.here.bucket, key, "1")
    await quick.here.put_here("a", b"goes out first")

    async def happens() -> None:
        await quick.here.put_here("b", b"again")

    ran = await quick.run(store=Interrupted(quick.there.store, happens))

    results = {key: result for _, key, _, result in told(ran) if result != "REMAINS"}
    assert results == {"a": "APPLIED", "b": "NEWER", "c": "APPLIED"}
    assert await quick.there.contents() == {"a": b"goes out first", "b": b"before"}


async def test_a_listing_that_breaks_off_means_nothing(quick: Pair) -> None:
    await differ(quick)
    before = await quick.everything()

    with pytest.raises(Unavailable):
        await quick.run(store=Breaking(quick.there.store, 4), source="here")

    assert await quick.everything() == before


async def test_it_goes_on_from_any_checkpoint(tmp_path: Path) -> None:
    """Killed behind each step, and in the middle of one."""
    number = 0
    while True:
        number += 1
        async with on_disk(made(tmp_path / f"{number}")) as here:
            store = MemoryStore(keeps_replaced=False)
            await store.create_bucket(Bucket(STORAGE, "", 1))
            pair = Pair(here, plain_of(store))
            await differ(pair)
            ended = await _killed_behind(pair, number)
            assert await pair.there.contents() == {
                **AFTER,
                "digest": b"digest",
                "size": b"size",
                "gone, not ours": b"another",
                CAT.key: CAT.data,
            }
        if ended:
            assert number > 6
            return


async def _killed_behind(pair: Pair, number: int) -> bool:
    """Whether the job came to its end before it was killed; it has done so in the end."""
    job = job_of(
        "mirror", bucket=pair.here.bucket, storage=STORAGE, storage_bucket=STORAGE, source="here"
    )
    checkpoint: Checkpoint = START
    async with aclosing(pair.mirror().run(job, checkpoint)) as steps:
        while number and (step := await anext(steps, None)):
            number, checkpoint = number - 1, step.checkpoint
        if number:
            return True
    ran = await run(pair.mirror(), job, checkpoint)
    assert ran.steps[-1].outcome is Outcome.DIFFERENCES
    return False


async def test_wrong_bytes_go_nowhere(quick: Pair) -> None:
    facts = carried.foreign(1, 4, Foreign("x", b"right").md5)
    await quick.there.store.put(STORAGE, "wrong", BytesSource(b"bad!", facts))
    row = await quick.here.put_here("changed", b"right")
    await _replace_bytes(quick.here, row)
    for key in ("lost", "soon new"):
        gone = await quick.here.put_here(key, b"lost")
        await quick.here.store.delete(quick.here.bucket, key, gone.locator)
    await quick.here.known.begin(quick.here.bucket, "soon new", lease=60_000, alone=True)

    ran = await quick.run()

    assert [one[1:] for one in told(ran) if one[3] != "REMAINS"] == [
        ("changed", "COPY", "FAILED"),
        ("lost", "COPY", "FAILED"),
        ("soon new", "COPY", "NEWER"),
        ("wrong", "COPY", "FAILED"),
    ]
    assert list(await quick.there.contents()) == ["wrong"]
    assert [row.key for row in await quick.here.rows()] == ["changed", "lost", "soon new"]


async def _replace_bytes(site: Site, row: Row) -> None:
    """Let the row name other bytes than those that were put."""
    stored = await site.store.put(site.bucket, row.key, BytesSource(b"wrong", row.facts))
    changed = Row(row.bucket, row.key, row.facts, stored.locator)
    intent = await site.known.begin(
        site.bucket, row.key, lease=1000, version=row.version, again=True
    )
    await site.known.commit(changed, None, intent=intent)


async def test_a_bucket_is_made_there_unless_it_is_the_source(quick: Pair) -> None:
    await quick.here.put_here("k", b"ours")
    named: dict[str, Any] = {"storage_bucket": "other"}

    with pytest.raises(BucketNotFound):
        await quick.run(source="storage", **named)
    dry = await quick.run(dry_run=True, **named)
    with pytest.raises(BucketNotFound):
        await quick.there.store.find_bucket("other")
    assert (await quick.run(**named)).outcome is Outcome.ALIKE

    assert told(dry) == [("ONLY_HERE", "k", "COPY", "")]
    stored = await quick.there.store.head("other", "k")
    assert stored.facts == (await quick.here.state.find("films", "k")).facts
    assert (await quick.there.store.find_bucket("other")).name == "other"


async def test_reserved_keys_are_left_alone(quick: Pair) -> None:
    key = f"{RESERVED}parts/1"
    facts: Facts = carried.foreign(1, 1, "")
    await quick.there.store.put(STORAGE, key, BytesSource(b"x", facts))

    assert (await quick.run()).findings == []

    assert await quick.here.rows() == []
    assert list(await quick.there.contents()) == [key]


@pytest.mark.parametrize(
    ("order", "says"),
    [
        ({"bucket": "nowhere"}, "no bucket nowhere here: use `ccs adopt` or `ccs migrate`"),
        ({"bucket": OWN}, "the system's own"),
        ({"storage": "other"}, "no storage 'other' under storages; named are: plain"),
        ({"storage": ""}, "no storage ''"),
        ({"storage_bucket": "ours"}, "the bucket ours of this gateway lies in plain"),
        ({"source": "west"}, "source"),
        ({"deep": True}, "deep"),
    ],
)
async def test_an_order_that_makes_no_sense_is_refused(
    quick: Pair, order: Mapping[str, Any], says: str
) -> None:
    await quick.here.known.create_bucket(Bucket("ours", "main", 1, storage=STORAGE))

    with pytest.raises(Refused, match=says):
        await quick.run(**order)


async def test_keys_of_many_pages_are_all_compared(quick: Pair) -> None:
    """However unevenly they lie at both sides."""
    here = {f"a/{number:02}" for number in range(14)} | {"\U0001f408", "\uffee"}
    there = {f"{letter}/{number}" for letter in "bc" for number in range(9)} | {"a/05x"}
    for key in here:
        await quick.here.put_here(key, key.encode())
    for key in there:
        await quick.there.write(Foreign(key, key.encode()))

    within = await quick.run(prefix="b/")
    assert [finding.key for finding in within.findings] == [f"b/{number}" for number in range(9)]
    ran = await quick.run()

    left = (here | there) - {f"b/{number}" for number in range(9)}
    assert [finding.key for finding in ran.findings] == sorted(left)
    assert ran.outcome is Outcome.ALIKE
    assert ran.done("plan") == ran.done("verify") == len(here | there)
    assert set(await quick.there.contents()) == here | there == set(await quick.contents())
