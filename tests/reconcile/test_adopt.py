"""Buckets that other programs filled become ours, while clients already use the gateway."""

import asyncio
import dataclasses
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any, Final

import pytest
from msgspec.structs import replace

from backends.clock import milliseconds
from backends.errors import AccessDenied, BucketNotFound, NotFound, Refused
from backends.model import Bucket, Facts, Version
from backends.state.completing import Completing
from backends.state.found import Given
from backends.state.rebuild import rebuild
from backends.storage.addresses import Place
from backends.storage.layers.forwarding import Forwarding
from backends.storage.layers.placed import Placed
from backends.storage.memory import MemoryStore
from backends.storage.protocol import Stored
from backends.storage.reserved import RESERVED
from backends.storage.source import BytesSource
from reconcile.jobs.work import START, Checkpoint, Outcome, checkpoint_of
from reconcile.storages import adopting
from reconcile.storages.adopt import Adopt, AdoptCheckpoint
from reconcile.storages.adopting import Terms, listed_page, take_one, taken
from tests.gateway.conftest import Body
from tests.reconcile.grounds import REQUESTED, Ground, Ran, job_of, opened, run
from tests.services.foreign import Foreign

MANY: Final = 30
PAGE: Final = 7
THINGS: Final = [
    Foreign(f"a/{n:03}", b"%d" % n * 10, {"content-type": "text/plain"}, {"number": f"{n}"})
    for n in range(MANY)
]
CAT: Final = Foreign("cat", b"meow", {"content-type": "text/plain"}, {"colour": "grey"})
DOG: Final = Foreign("dog", b"woof")
OTHER: Final = Foreign("cat", b"purr purr", {"content-type": "text/html"}, {"colour": "red"})


@pytest.fixture(params=["s3", "azure", "gcs"])
async def ground(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Ground]:
    async with opened(request, tmp_path, request.param) as found:
        yield found


@pytest.fixture
async def s3(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Ground]:
    async with opened(request, tmp_path, "s3") as found:
        yield found


class OneBucket(Forwarding):
    """A storage as if it had just the one bucket: others are of other tests."""

    def __init__(self, ground: Ground) -> None:
        super().__init__(ground.store)
        self._name = ground.bucket

    async def buckets(self) -> AsyncIterator[Bucket]:
        yield await self.find_bucket(self._name)


def adopt(ground: Ground) -> Adopt:
    return Adopt(ground.state, ground.store, ground.each, owner="main", page=PAGE, known_seconds=0)


def adopted(ran: Ran) -> int:
    return checkpoint_of(ran.steps[-1].checkpoint, AdoptCheckpoint).adopted


async def test_all_objects_are_ours_then_as_they_were(ground: Ground) -> None:
    ground.put(*THINGS, CAT)
    before = await ground.stored()

    ran = await run(adopt(ground), job_of("adopt", bucket=ground.bucket, owner="lena"))

    assert (ran.outcome, ran.done("adopting")) == (Outcome.ALIKE, MANY + 1)
    assert await ground.stored() == before
    assert (await ground.state.bucket(ground.bucket)).owner == "lena"
    rows = await ground.rows()
    assert [row.key for row in rows] == [thing.key for thing in (*THINGS, CAT)]
    for thing, row in zip((*THINGS, CAT), rows, strict=True):
        facts = row.facts
        assert not facts.listed
        assert (facts.owner, facts.size, facts.etag) == ("lena", len(thing.data), thing.md5)
        assert facts.headers["content-type"] == "text/plain"
        assert facts.metadata == thing.metadata
        assert await ground.read(thing.key) == thing.data


async def test_a_second_run_changes_nothing_nor_does_a_rebuild(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adopting, "SKEW", 0)  # the objects are older than a moment
    ground.put(*THINGS[:10])
    order = job_of("adopt", bucket=ground.bucket)
    await run(adopt(ground), order)
    rows = await ground.rows()

    again = await run(adopt(ground), order)
    await rebuild(OneBucket(ground), ground.known, owner="main", tell=lambda _, __: None)

    assert adopted(again) == 0
    assert await ground.rows() == rows


async def test_it_goes_on_from_any_checkpoint(s3: Ground) -> None:
    s3.put(*THINGS)
    order = job_of("adopt", bucket=s3.bucket)
    work = adopt(s3)
    seen = 0
    checkpoint: Checkpoint = START
    while True:
        steps = work.run(order, checkpoint)
        async with aclosing(steps):
            step = await anext(steps)
        seen += step.done
        checkpoint = step.checkpoint
        if step.outcome:
            break

    assert seen == 2 * MANY
    assert [row.key for row in await s3.rows()] == [thing.key for thing in THINGS]
    assert not any(row.facts.listed for row in await s3.rows())


async def test_each_answer_is_complete_from_the_first_moment_on(s3: Ground) -> None:
    s3.put(CAT)
    steps = adopt(s3).run(job_of("adopt", bucket=s3.bucket), {})
    await anext(steps)
    await steps.aclose()
    assert [row.facts.listed for row in await s3.rows()] == [True]

    row = await s3.objects.find(s3.bucket, "cat")

    assert row.facts.headers["content-type"] == "text/plain"
    assert row.facts.metadata == {"colour": "grey"}
    assert await s3.rows() == [row]
    assert await s3.state.newest(s3.bucket, "cat") == row


async def test_what_another_gateway_wrote_keeps_its_facts(ground: Ground) -> None:
    facts = Facts(Version(5 << 16, "attic"), 4, "own-etag-2", "lena", metadata={"a": "b"})
    await ground.store.put(ground.bucket, "cat", BytesSource(b"meow", facts))

    await run(adopt(ground), job_of("adopt", bucket=ground.bucket))

    row = await ground.objects.find(ground.bucket, "cat")
    assert replace(row.facts, version=facts.version, headers={}) == facts
    assert row.version >= facts.version
    assert await ground.read("cat") == b"meow"


async def test_what_another_program_changes_meanwhile_is_seen(s3: Ground) -> None:
    s3.put(CAT)
    steps = adopt(s3).run(job_of("adopt", bucket=s3.bucket), {})
    await anext(steps)
    await steps.aclose()
    s3.put(OTHER)

    row = await s3.objects.find(s3.bucket, "cat")

    assert (row.facts.size, row.facts.metadata) == (len(OTHER.data), {"colour": "red"})
    assert await s3.read("cat") == OTHER.data


async def test_what_another_program_changed_later_is_adopted_by_the_next_run(
    ground: Ground,
) -> None:
    ground.put(CAT)
    await run(adopt(ground), job_of("adopt", bucket=ground.bucket))
    await asyncio.to_thread(ground.replace, OTHER)

    ran = await run(adopt(ground), job_of("adopt", bucket=ground.bucket))

    assert adopted(ran) == 1
    row = await ground.objects.find(ground.bucket, "cat")
    assert (row.facts.size, row.facts.metadata) == (len(OTHER.data), {"colour": "red"})
    assert await ground.read("cat") == OTHER.data


async def test_what_a_client_wrote_stays(ground: Ground) -> None:
    """Also where the storage's clock says that it was written after it was committed."""
    ground.put(CAT)
    await ground.known.create_bucket(Bucket(ground.bucket, "main", 1))
    body = Body(b"hiss", "hiss's etag")
    written = await ground.objects.put(ground.bucket, "cat", body, REQUESTED, "1")

    ran = await run(adopt(ground), job_of("adopt", bucket=ground.bucket))

    assert adopted(ran) == 0
    assert await ground.rows() == [written]


async def test_what_a_client_writes_while_a_page_is_taken_stays(ground: Ground) -> None:
    ground.put(CAT)
    await ground.known.create_bucket(Bucket(ground.bucket, "main", 1))
    terms = Terms(Given("main"), job_of("adopt").created)
    intent = await ground.state.begin(ground.bucket, "cat", lease=60_000, alone=True)
    ground.replace(OTHER)  # the client's bytes are there, its row is not
    listed = await listed_page(ground.store, ground.bucket, "", terms)

    page = await taken(ground.state, ground.store, ground.bucket, "", listed, terms)

    assert page.rows == []
    await ground.state.drop_intent(intent)
    assert await ground.rows() == []


async def test_what_a_client_deletes_meanwhile_does_not_come_back(ground: Ground) -> None:
    """The state does not know the object yet when it is deleted."""
    ground.put(CAT)
    await ground.known.create_bucket(Bucket(ground.bucket, "main", 1))
    terms = Terms(Given("main"), job_of("adopt").created)
    listed = await listed_page(ground.store, ground.bucket, "", terms)

    await ground.objects.delete(ground.bucket, "cat", "1")
    page = await taken(ground.state, ground.store, ground.bucket, "", listed, terms)

    assert page.rows == []
    assert await ground.stored() == []
    with pytest.raises(NotFound):
        await ground.objects.find(ground.bucket, "cat")


class Ahead(Forwarding):
    """A storage whose clock is an hour ahead."""

    async def listing(
        self, bucket: str, *, prefix: str = "", after: str = "", most: int | None = None
    ) -> AsyncGenerator[Stored, None]:
        listing = super().listing(bucket, prefix=prefix, after=after, most=most)
        async with aclosing(listing) as found:
            async for one in found:
                version = Version(one.facts.version.stamp + (3_600_000 << 16), "")
                yield dataclasses.replace(one, facts=replace(one.facts, version=version))


async def test_the_clock_of_a_storage_ranks_above_no_client(s3: Ground) -> None:
    s3.put(CAT, DOG)
    await s3.known.create_bucket(Bucket(s3.bucket, "main", 1))
    terms = Terms(Given("main"), job_of("adopt").created)
    listed = await listed_page(Ahead(s3.store), s3.bucket, "", terms)
    await s3.objects.delete(s3.bucket, "cat", "1")

    page = await taken(s3.state, s3.store, s3.bucket, "", listed, terms)
    written = await s3.put_here("dog", b"bark")

    assert [row.key for row in page.rows] == ["dog"]
    assert [row for row in await s3.rows() if not row.deleted] == [written]


async def test_a_write_between_listing_and_commit_stays(s3: Ground) -> None:
    """Also where it was not there when the state was asked what it knows."""
    s3.put(CAT)
    await s3.known.create_bucket(Bucket(s3.bucket, "main", 1))
    terms = Terms(Given("main"), job_of("adopt").created)
    [stored] = (await listed_page(Ahead(s3.store), s3.bucket, "", terms)).objects
    written = await s3.put_here("cat", b"hiss")

    later = milliseconds() + 60_000
    row = await take_one(s3.state, s3.store, s3.bucket, stored, terms, asked=later, new=True)

    assert row is None
    assert await s3.rows() == [written]


async def test_clients_at_work_lose_nothing(s3: Ground) -> None:
    """Each writes, or deletes, keys that are being adopted; the last answer they got holds."""
    s3.put(*THINGS)
    await s3.known.create_bucket(Bucket(s3.bucket, "main", 1))
    expected: dict[str, bytes | None] = {thing.key: thing.data for thing in THINGS}
    stop = asyncio.Event()

    async def client(number: int) -> None:
        turn = 0
        while not stop.is_set() or turn == 0:
            thing = THINGS[(turn * 5 + number) % MANY]
            if int(thing.key[2:]) % 3 != number:
                turn += 1
                continue
            turn += 1
            if turn % 2:
                await s3.objects.delete(s3.bucket, thing.key, "1")
                expected[thing.key] = None
            else:
                data = f"{number}-{turn}".encode()
                await s3.objects.put(s3.bucket, thing.key, Body(data, f"e{turn}"), REQUESTED, "1")
                expected[thing.key] = data

    async with asyncio.TaskGroup() as group:
        for number in range(3):
            group.create_task(client(number))
        for _ in range(3):
            await run(adopt(s3), job_of("adopt", bucket=s3.bucket))
        stop.set()

    live = {row.key for row in await s3.rows() if not row.deleted}
    assert live == {key for key, data in expected.items() if data is not None}
    for key in live:
        assert await s3.read(key) == expected[key]


async def test_reserved_keys_are_left_out_and_told(s3: Ground) -> None:
    s3.put(Foreign(RESERVED + "x", b"1"), CAT)

    ran = await run(adopt(s3), job_of("adopt", bucket=s3.bucket))

    assert [row.key for row in await s3.rows()] == ["cat"]
    assert [(one.kind, one.key, one.result) for one in ran.findings] == [
        ("RESERVED", RESERVED + "x", "skipped")
    ]


async def test_a_dry_run_tells_and_changes_nothing(ground: Ground) -> None:
    ground.put(*THINGS[:3])

    ran = await run(adopt(ground), job_of("adopt", dry_run=True, bucket=ground.bucket))

    assert ran.outcome is Outcome.DIFFERENCES
    assert [(one.key, one.action) for one in ran.findings] == [
        (thing.key, "adopt") for thing in THINGS[:3]
    ]
    with pytest.raises(BucketNotFound):
        await ground.known.bucket(ground.bucket)


async def test_only_a_prefix_is_adopted_and_what_lacks_is_added(s3: Ground) -> None:
    s3.put(*THINGS[:3], CAT)
    order = job_of(
        "adopt",
        bucket=s3.bucket,
        prefix="ca",
        metadata={"colour": "none", "from": "attic"},
        headers={"cache-control": "no-store"},
    )

    await run(adopt(s3), order)

    [row] = await s3.rows()
    assert row.facts.metadata == {"colour": "grey", "from": "attic"}
    assert row.facts.headers["cache-control"] == "no-store"
    assert row.facts.headers["content-type"] == "text/plain"


async def test_other_sites_hear_of_it_where_that_is_asked_for(s3: Ground) -> None:
    s3.put(CAT)
    await s3.known.subscribe("site")

    await run(adopt(s3), job_of("adopt", bucket=s3.bucket, announce=True))

    [(_, event)] = await s3.known.unread("site", after=0, limit=10)
    assert (event.name, event.key, event.size) == ("ObjectCreated:Put", "cat", 4)


@pytest.mark.parametrize(
    ("order", "why"),
    [
        ({"bucket": ".ccs"}, "the system's own"),
        ({"storage": "attic"}, "no storage 'attic'"),
        ({"buckets": "x"}, "unknown field"),
        ({"owner": 7}, "wrong"),
    ],
)
async def test_an_order_that_makes_no_sense_is_refused(
    s3: Ground, order: dict[str, Any], why: str
) -> None:
    with pytest.raises(Refused, match=why):
        await adopt(s3).check(job_of("adopt", **{"bucket": s3.bucket, **order}))


async def test_a_bucket_that_is_not_there_is_not_found(s3: Ground) -> None:
    with pytest.raises(BucketNotFound):
        await adopt(s3).check(job_of("adopt", bucket="nowhere"))


async def test_a_bucket_stays_with_its_owner(s3: Ground) -> None:
    await s3.known.create_bucket(Bucket(s3.bucket, "lena", 1))

    with pytest.raises(Refused, match="lena's"):
        await adopt(s3).check(job_of("adopt", bucket=s3.bucket, owner="main"))


@pytest.mark.parametrize("order", [{}, {"storage": "attic"}])
async def test_a_bucket_of_a_named_storage_is_found_there(
    s3: Ground, order: dict[str, Any]
) -> None:
    s3.put(CAT)
    each = {"": MemoryStore(keeps_replaced=False), "attic": s3.store}

    async def locate(bucket: str) -> Place:
        storage = (await s3.known.bucket(bucket)).storage
        return Place(storage, storage)

    placed = Placed(each, locate)
    work = Adopt(s3.known, placed, each, owner="main", known_seconds=0)

    await run(work, job_of("adopt", bucket=s3.bucket, **order))
    await run(work, job_of("adopt", bucket=s3.bucket, storage="attic"))

    assert (await s3.known.bucket(s3.bucket)).storage == "attic"
    assert (await placed.head(s3.bucket, "cat")).size == len(CAT.data)
    with pytest.raises(Refused, match="lies in the storage 'attic'"):
        await work.check(job_of("adopt", bucket=s3.bucket, storage=""))


async def test_other_sites_are_told_of_the_bucket(s3: Ground) -> None:
    told: list[Bucket] = []

    async def tell(bucket: Bucket) -> None:
        told.append(bucket)

    await run(
        Adopt(s3.state, s3.store, s3.each, owner="main", tell=tell, known_seconds=0),
        job_of("adopt", bucket=s3.bucket),
    )

    assert told == [await s3.known.bucket(s3.bucket)]


async def test_an_object_that_nobody_may_look_at_holds_up_no_other(s3: Ground) -> None:
    class Guarded(Forwarding):
        """As S3 answers where a key of the encryption is not ours."""

        async def head(self, bucket: str, key: str, version: Version | None = None) -> Stored:
            if key == CAT.key:
                raise AccessDenied("not yours")
            return await super().head(bucket, key, version)

    s3.put(CAT, DOG)
    guarded = Guarded(s3.store)
    state = Completing(s3.known, guarded)

    ran = await run(
        Adopt(state, guarded, {"": guarded}, owner="main", known_seconds=0),
        job_of("adopt", bucket=s3.bucket),
    )

    assert ran.outcome is Outcome.DIFFERENCES
    assert [(one.kind, one.key) for one in ran.findings] == [("INCOMPLETE", "cat")]
    assert [(row.key, row.facts.listed) for row in await s3.rows()] == [
        ("cat", True),
        ("dog", False),
    ]
    with pytest.raises(AccessDenied):
        await state.find(s3.bucket, "cat")
