"""A bucket that is being adopted: clients see what is not listed yet, too."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
from msgspec.structs import replace

from backends.clock import milliseconds
from backends.errors import BucketNotFound, Busy, NotEmpty, NotFound, PreconditionFailed
from backends.model import Bucket, Facts, Precondition, Row, Upload, Version
from backends.state.protocol import FIRST_DUE
from reconcile.jobs.work import Checkpoint, Outcome
from reconcile.storages.adopt import KNOWN_SECONDS, Adopt
from reconcile.storages.adoptions import Adoptions
from replication.documents import OWN, Documents
from s3proxy.gateway.buckets import Buckets
from s3proxy.gateway.pulling import PullingObjects, Pulls
from s3proxy.gateway.replicas import Replicas
from s3proxy.gateway.uploads import Chosen, Uploads, Whole
from s3proxy.sites.facts import known_of
from tests.gateway.conftest import Body
from tests.reconcile.grounds import REQUESTED, Ground, job_of, opened, run
from tests.reconcile.moved import etag_of
from tests.services.foreign import Foreign

PAGE: Final = 2
FIRST: Final = [Foreign(f"a/{n}", b"first") for n in range(PAGE)]
CAT: Final = Foreign("cat", b"meow", {"content-type": "text/plain"}, {"colour": "grey"})
DOG: Final = Foreign("dog", b"woof")
EEL: Final = Foreign("eel", b"...")
LATER: Final = [CAT, DOG, EEL]
NEW: Final = Precondition(none_match="*")


@dataclass
class Seen:
    """What clients see of a ground, in one process of the gateway."""

    ground: Ground
    known_seconds: float = 0

    def __post_init__(self) -> None:
        ground = self.ground
        pulls = Pulls(ground.state, ground.store, ground.each)
        self.buckets = Buckets(ground.state, ground.store, pulls=pulls)
        self.objects = PullingObjects(ground.objects, pulls)
        self.replicas = Replicas(ground.state, ground.store, ground.writes, ground.discards, pulls)
        self.uploads = Uploads(ground.state, ground.store, ground.writes, pulls)

    @property
    def bucket(self) -> str:
        return self.ground.bucket

    @property
    def work(self) -> Adopt:
        return Adopt(
            self.ground.state,
            self.ground.store,
            self.ground.each,
            owner="main",
            page=PAGE,
            known_seconds=self.known_seconds,
        )

    async def stopped(self, **order: Any) -> Checkpoint:
        """A job that was cancelled behind its first page."""
        steps = self.work.run(job_of("adopt", bucket=self.bucket, **order), {})
        async with aclosing(steps):
            step = await anext(steps)
        assert [row.key for row in await self.ground.rows()] == [one.key for one in FIRST]
        return step.checkpoint

    async def adopted(self, **order: Any) -> None:
        """Another job, that comes to its end."""
        job = replace(job_of("adopt", bucket=self.bucket, **order), id="job-2")
        ran = await run(self.work, job)
        assert ran.outcome is Outcome.ALIKE

    async def find(self, key: str) -> Row:
        return await self.objects.find(self.bucket, key)

    async def read(self, key: str) -> bytes:
        reading = await self.objects.read(self.bucket, key, lambda _: None)
        return b"".join([block async for block in reading.body])

    async def put(self, key: str, data: bytes, condition: Precondition) -> Row:
        body = Body(data, etag_of(data))
        return await self.objects.put(self.bucket, key, body, REQUESTED, "1", condition=condition)

    async def complete(self, key: str, condition: Precondition) -> Row:
        upload = await self.uploads.create(Upload(self.bucket, key, "", "", 0, "main"))
        part = await self.uploads.put_part(upload, 1, Body(b"part", etag_of(b"part")))
        return await self.uploads.complete(
            upload,
            [Chosen(1, part.etag)],
            lambda _: Whole(f"{DOG.md5}-1", None),
            "1",
            condition=condition,
        )

    async def live(self) -> dict[str, bytes]:
        """What listings tell, and what reads tell of it."""
        entries = await self.ground.known.page(self.bucket, prefix="", after="", limit=100)
        return {entry.key: await self.read(entry.key) for entry in entries}

    async def notes(self) -> list[str]:
        """What is written down of adoptions."""
        found = await Documents(self.ground.known, OWN).under("adoptions/")
        return [one.name for one in found]


@pytest.fixture(params=["s3", "azure", "gcs"])
async def seen(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Seen]:
    async with opened(request, tmp_path, request.param) as ground:
        ground.put(*FIRST, *LATER)
        yield Seen(ground)


@pytest.fixture
async def s3(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Seen]:
    async with opened(request, tmp_path, "s3") as ground:
        ground.put(*FIRST, *LATER)
        yield Seen(ground)


async def test_what_is_not_listed_yet_is_seen_as_it_will_be(seen: Seen) -> None:
    job = job_of(
        "adopt", bucket=seen.bucket, owner="lena", metadata={"from": "attic", "colour": "none"}
    )
    steps = seen.work.run(job, {})
    await anext(steps)

    row = await seen.find("cat")
    assert await seen.read("dog") == DOG.data

    facts = row.facts
    assert (facts.owner, facts.size, facts.etag, facts.listed) == ("lena", 4, CAT.md5, False)
    assert facts.headers["content-type"] == "text/plain"
    assert facts.metadata == {"colour": "grey", "from": "attic"}
    for key in ("unheard of", ".clone-cloud-store/bucket"):
        with pytest.raises(NotFound):
            await seen.find(key)
    assert [step.outcome async for step in steps][-1] is Outcome.ALIKE
    assert await seen.find("cat") == row
    assert await seen.live() == {one.key: one.data for one in (*FIRST, *LATER)}
    assert await seen.notes() == []


async def test_conditions_are_of_what_is_there_with_a_row_or_without(seen: Seen) -> None:
    await seen.stopped()

    with pytest.raises(PreconditionFailed):
        await seen.put("cat", b"hiss", NEW)
    with pytest.raises(PreconditionFailed):
        await seen.complete("dog", NEW)
    with pytest.raises(PreconditionFailed):
        await seen.put("dog", b"bark", Precondition(match=CAT.md5))
    await seen.put("eel", b"zap", Precondition(match=EEL.md5))
    await seen.complete("fox", NEW)

    assert await seen.read("cat") == CAT.data
    await seen.adopted()
    expected = {one.key: one.data for one in (*FIRST, *LATER)} | {"eel": b"zap", "fox": b"part"}
    assert await seen.live() == expected


async def test_what_is_not_listed_yet_can_be_copied_and_deleted(seen: Seen) -> None:
    await seen.ground.known.subscribe("site")
    await seen.stopped()

    await seen.objects.copy((seen.bucket, "cat"), seen.bucket, "kitten", lambda row: row.facts, "1")
    with pytest.raises(PreconditionFailed):
        await seen.objects.copy(
            (seen.bucket, "cat"), seen.bucket, "eel", lambda row: row.facts, "1", condition=NEW
        )
    await seen.objects.delete(seen.bucket, "dog", "1", condition=Precondition(match=DOG.md5))
    await seen.adopted()

    assert "dog" not in [key for key, _, _ in await seen.ground.stored()]
    rest = {one.key: one.data for one in (*FIRST, CAT, EEL)}
    assert await seen.live() == {**rest, "kitten": CAT.data}
    told = [event.key for _, event in await seen.ground.known.unread("site", after=0, limit=10)]
    assert told == ["kitten", "dog"]


async def test_a_bucket_with_objects_that_have_no_row_is_not_empty(seen: Seen) -> None:
    await seen.stopped()
    for thing in FIRST:
        await seen.objects.delete(seen.bucket, thing.key, "1")

    with pytest.raises(NotEmpty):
        await seen.buckets.delete(seen.bucket)

    for thing in LATER:
        await seen.objects.delete(seen.bucket, thing.key, "1")
    await seen.buckets.delete(seen.bucket)
    with pytest.raises(BucketNotFound):
        await seen.ground.store.find_bucket(seen.bucket)


async def test_other_sites_that_ask_are_told_of_it(s3: Seen) -> None:
    await s3.stopped()
    await s3.objects.delete(s3.bucket, "dog", "1")

    cat, dog, fox = [
        await known_of(s3.ground.state, s3.objects, s3.bucket, key) for key in ("cat", "dog", "fox")
    ]

    assert cat.facts is not None
    assert (cat.facts.etag, cat.facts.metadata, cat.deleted) == (CAT.md5, CAT.metadata, False)
    assert (dog.deleted, fox.facts) == (True, None)


async def test_what_other_sites_send_replaces_only_what_is_older(seen: Seen) -> None:
    await seen.stopped()
    old, new = Version(1 << 16, "far"), Version((milliseconds() + 60_000) << 16, "far")
    other = Facts(old, 5, etag_of(b"other"), "main")

    assert not await seen.replicas.put(seen.bucket, "cat", Body(b"other"), other)
    assert not await seen.replicas.delete(seen.bucket, "dog", old)
    assert await seen.replicas.begin(seen.bucket, "dog", other) is None
    assert await seen.replicas.delete(seen.bucket, "eel", new)

    await seen.adopted()
    assert await seen.live() == {one.key: one.data for one in (*FIRST, CAT, DOG)}


async def test_what_was_cancelled_holds_until_all_is_listed(s3: Seen) -> None:
    await s3.stopped()
    assert len(await s3.notes()) == 1
    assert await s3.read("cat") == CAT.data

    await s3.adopted(prefix="a/")
    assert len(await s3.notes()) == 1
    assert await s3.read("dog") == DOG.data

    await s3.adopted()
    assert await s3.notes() == []


async def test_it_ends_also_where_a_job_was_killed_behind_its_listing(s3: Seen) -> None:
    job = job_of("adopt", bucket=s3.bucket)
    steps = s3.work.run(job, {})
    async with aclosing(steps):
        while not (step := await anext(steps)).checkpoint.get("completing"):
            pass
    assert len(await s3.notes()) == 1

    await run(s3.work, job, step.checkpoint)

    assert await s3.notes() == []


async def test_only_the_keys_that_are_adopted_are_seen(s3: Seen) -> None:
    await s3.stopped(prefix="a/")

    for key in ("cat", "a/x"):
        with pytest.raises(NotFound):
            await s3.find(key)
    await s3.put("dog", b"bark", NEW)

    await s3.adopted()
    rest = {one.key: one.data for one in (*FIRST, CAT, EEL)}
    assert await s3.live() == {**rest, "dog": b"bark"}


async def test_a_later_bucket_of_that_name_has_nothing_to_do_with_it(s3: Seen) -> None:
    job = job_of("adopt", bucket=s3.bucket)
    first, *_ = await s3.ground.known.every_bucket(after="", limit=10)
    assert first.name == OWN
    bucket = Bucket(s3.bucket, "main", 1)
    await s3.ground.known.create_bucket(bucket)
    steps = s3.work.run(job, {})
    async with aclosing(steps):
        await anext(steps)
    for thing in FIRST:
        await s3.objects.delete(s3.bucket, thing.key, "1")
    assert len(await Adoptions(s3.ground.known).of(bucket)) == 1
    await s3.ground.known.delete_bucket(s3.bucket)
    again = Bucket(s3.bucket, "main", 2)
    await s3.ground.known.create_bucket(again)

    assert await Adoptions(s3.ground.known).of(again) == []


async def test_a_dry_run_writes_nothing_down(s3: Seen) -> None:
    steps = s3.work.run(job_of("adopt", bucket=s3.bucket, dry_run=True), {})
    async with aclosing(steps):
        await anext(steps)
        assert await s3.notes() == []
        with pytest.raises(BucketNotFound):
            await s3.find("cat")


async def test_other_processes_know_before_the_first_page_is_listed(s3: Seen) -> None:
    """One that has just read that there is nothing to pull goes by that for a while."""
    s3.known_seconds = KNOWN_SECONDS
    await s3.ground.known.create_bucket(Bucket(s3.bucket, "main", 1))
    with pytest.raises(NotFound):
        await s3.find("dog")

    await s3.stopped()

    assert await s3.read("dog") == DOG.data


async def test_a_client_at_work_is_waited_for(s3: Seen) -> None:
    await s3.stopped()
    intent = await s3.ground.state.begin(s3.bucket, "dog", lease=60_000, alone=True)
    s3.ground.replace(Foreign("dog", b"of the client, whose row is not there yet"))

    with pytest.raises(Busy):
        await s3.find("dog")

    await s3.ground.state.drop_intent(intent)
    assert (await s3.find("dog")).facts.size == 41


async def test_what_is_to_expire_does(s3: Seen) -> None:
    hour = 3_600_000
    ordered = milliseconds() - 2 * hour
    job = job_of("adopt", created=ordered, bucket=s3.bucket, expires_days=1 / 24)

    steps = s3.work.run(job, {})
    async with aclosing(steps):
        await anext(steps)
    await s3.find("dog")

    over = await s3.ground.state.expired(after=FIRST_DUE, limit=10)
    assert {row.key for row in over} == {*(one.key for one in FIRST), "dog"}
    assert {row.facts.expires for row in over} == {ordered + hour}
    await s3.adopted(expires_days=1)
    assert (await s3.find("cat")).facts.expires > milliseconds()
