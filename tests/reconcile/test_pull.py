"""A bucket of an account that knows nothing of us: seen at once, indexed, moved."""

import dataclasses
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path

import pytest
from msgspec.structs import replace

from backends.clock import milliseconds
from backends.errors import BucketNotFound, NotFound, PreconditionFailed, Refused
from backends.model import COUNTER_BITS, Bucket, Precondition, Upload, Version
from backends.storage.layers.forwarding import Forwarding
from backends.storage.memory import MemoryStore
from backends.storage.protocol import Capabilities, Stored
from backends.storage.source import BytesSource
from reconcile.jobs.work import Outcome
from reconcile.migration import indexing
from reconcile.migration.records import Phase
from s3proxy.gateway.pulling import PullingObjects, Pulls
from s3proxy.gateway.uploads import Chosen, Uploads, Whole
from tests.gateway.conftest import FACTS, Body
from tests.reconcile.moved import House, etag_of, facts_of

FILMS = "films"
CONTENTS = {f"{number:02}": b"film %d" % number for number in range(7)}


@dataclass
class Pulled:
    """A house, and what clients see in it."""

    house: House
    objects: PullingObjects
    pulls: Pulls

    async def read(self, key: str) -> bytes:
        reading = await self.objects.read(FILMS, key, lambda _: None)
        return b"".join([block async for block in reading.body])

    async def start(self, **given: str) -> None:
        await self.house.migrations.pull(FILMS, given.get("source", "near"), "far", "main")

    async def contents(self) -> dict[str, bytes]:
        """What listings tell, and what reads tell of it."""
        entries = await self.house.state.page(FILMS, prefix="", after="", limit=100)
        return {entry.key: await self.read(entry.key) for entry in entries}


@pytest.fixture
async def pulled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Pulled]:
    """One where the storage `near` has CONTENTS in a bucket that no state knows.

    Its clock is an hour ahead.
    """
    monkeypatch.setattr(indexing, "PAGE", 3)
    near, far = (MemoryStore(keeps_replaced=False) for _ in range(2))
    house = House(tmp_path / "state.db", near, far)
    await house.make()
    await near.create_bucket(Bucket(FILMS, "", 0))
    ahead = (milliseconds() + 3_600_000) << COUNTER_BITS
    for key, data in CONTENTS.items():
        facts = facts_of(data, Version(ahead, ""))
        await near.put(FILMS, key, BytesSource(data, facts))
    pulls = Pulls(house.state, house.here.store, house.stores)
    yield Pulled(house, PullingObjects(house.here.objects, pulls), pulls)
    await house.state.close()


async def test_every_object_is_seen_before_it_is_indexed_and_moves(pulled: Pulled) -> None:
    await pulled.start()
    found = await pulled.objects.find(FILMS, "06")
    assert (found.facts.etag, found.facts.owner) == (etag_of(b"film 6"), "main")
    assert {key: await pulled.read(key) for key in ("00", "05")} == {
        key: CONTENTS[key] for key in ("00", "05")
    }
    for key in ("unheard of", ".clone-cloud-store/bucket"):
        with pytest.raises(NotFound):
            await pulled.objects.find(FILMS, key)

    steps = [step async for step in pulled.house.steps(bucket=FILMS)]

    assert steps[-1].outcome is Outcome.ALIKE
    assert [step.phase for step in steps if step.phase == "index"] == ["index"] * 3
    assert await pulled.contents() == CONTENTS
    assert (await pulled.house.migrations.find(FILMS)).phase is Phase.COPIED
    assert (await pulled.house.migrations.cutover(FILMS)).keeps
    steps = [step async for step in pulled.house.steps(bucket=FILMS)]
    assert steps[-1].outcome is Outcome.ALIKE
    assert (await pulled.house.migrations.find(FILMS)).phase is Phase.DONE
    assert await pulled.contents() == CONTENTS
    assert [one.key async for one in pulled.house.stores["near"].listing(FILMS)] == list(CONTENTS)


async def test_what_clients_write_meanwhile_is_newer_whatever_the_clocks_say(
    pulled: Pulled,
) -> None:
    await pulled.start()
    await pulled.objects.delete(FILMS, "01", "1")
    await pulled.objects.put(FILMS, "02", Body(b"new", etag_of(b"new")), FACTS, "1")
    await pulled.objects.copy((FILMS, "03"), FILMS, "04", lambda row: row.facts, "1")
    with pytest.raises(PreconditionFailed):
        await pulled.objects.put(
            FILMS, "05", Body(b""), FACTS, "1", condition=Precondition(none_match="*")
        )
    with pytest.raises(PreconditionFailed):
        await pulled.objects.copy(
            (FILMS, "03"),
            FILMS,
            "06",
            lambda row: row.facts,
            "1",
            condition=Precondition(none_match="*"),
        )

    assert [step async for step in pulled.house.steps(bucket=FILMS)]

    expected = {**CONTENTS, "02": b"new", "04": b"film 3"}
    del expected["01"]
    assert await pulled.contents() == expected


async def test_one_that_is_taken_back_is_served_from_where_it_was(pulled: Pulled) -> None:
    await pulled.start()
    assert [step async for step in pulled.house.steps(bucket=FILMS)]
    await pulled.objects.put(FILMS, "new", Body(b"new", etag_of(b"new")), FACTS, "1")

    await pulled.house.migrations.rollback(FILMS)
    steps = [step async for step in pulled.house.steps(bucket=FILMS)]

    assert sum(step.moved for step in steps) == len(b"new")
    assert await pulled.contents() == {**CONTENTS, "new": b"new"}
    assert (await pulled.house.migrations.find(FILMS)).phase is Phase.RETURNED


async def test_what_cannot_be_pulled_is_refused(pulled: Pulled) -> None:
    with pytest.raises(NotFound, match="there is no storage cloud"):
        await pulled.start(source="cloud")
    await pulled.house.stores["far"].create_bucket(Bucket(FILMS, "", 0))
    with pytest.raises(Refused, match="films lies in far already"):
        await pulled.start(source="far")
    with pytest.raises(BucketNotFound):
        await pulled.house.migrations.pull("nowhere", "near", "far", "main")
    await pulled.start()
    with pytest.raises(Refused, match="films does not lie in far"):
        await pulled.start(source="far")
    await pulled.start()


class Terse(Forwarding):
    """As S3: its listings tell nothing of headers and metadata."""

    heads = 0

    @property
    def capabilities(self) -> Capabilities:
        return dataclasses.replace(super().capabilities, lists_facts=False)

    async def head(self, bucket: str, key: str, version: Version | None = None) -> Stored:
        self.heads += 1
        return await super().head(bucket, key, version)

    async def listing(
        self, bucket: str, *, prefix: str = "", after: str = "", most: int | None = None
    ) -> AsyncGenerator[Stored, None]:
        listing = super().listing(bucket, prefix=prefix, after=after, most=most)
        async with aclosing(listing) as found:
            async for one in found:
                told = replace(one.facts, headers={}, metadata={})
                yield dataclasses.replace(one, facts=told)


async def test_what_a_listing_does_not_tell_is_known_when_a_page_is_indexed(
    pulled: Pulled,
) -> None:
    near = pulled.house.stores["near"]
    facts = replace(facts_of(b"meow", Version(1 << COUNTER_BITS, "")), metadata={"a": "b"})
    await near.put(FILMS, "00", BytesSource(b"meow", facts))
    terse = Terse(near)
    pulled.house.stores["near"] = terse
    await pulled.start()

    steps = pulled.house.steps(bucket=FILMS)
    async with aclosing(steps):
        await anext(steps)

    rows = await pulled.house.state.inventory(FILMS, after="", limit=10)
    assert [(row.key, row.facts.listed) for row in rows] == [
        (key, False) for key in list(CONTENTS)[:3]
    ]
    assert (rows[0].facts.metadata, rows[0].facts.owner) == ({"a": "b"}, "main")
    assert terse.heads == len(rows)
    assert (await pulled.objects.find(FILMS, "06")).facts.etag == etag_of(b"film 6")


async def test_a_completion_of_an_upload_heeds_what_is_not_indexed_yet(pulled: Pulled) -> None:
    await pulled.start()
    process = pulled.house.here
    uploads = Uploads(process.state, process.store, process.writes, pulled.pulls)
    upload = await uploads.create(Upload(FILMS, "05", "", "", 0, "main"))
    part = await uploads.put_part(upload, 1, Body(b"new", etag_of(b"new")))

    with pytest.raises(PreconditionFailed):
        await uploads.complete(
            upload,
            [Chosen(1, part.etag)],
            lambda _: Whole("etag-1", None),
            "1",
            condition=Precondition(none_match="*"),
        )

    assert await pulled.read("05") == CONTENTS["05"]


async def test_what_gateways_wrote_into_the_account_before_moves_too(pulled: Pulled) -> None:
    """Up to the moment in which the migration began."""
    before = (milliseconds() - 1) << COUNTER_BITS
    facts = facts_of(b"meow", Version(before, "attic"))
    await pulled.house.stores["near"].put(FILMS, "cat", BytesSource(b"meow", facts))
    await pulled.start()

    assert [step async for step in pulled.house.steps(bucket=FILMS)]

    assert await pulled.contents() == {**CONTENTS, "cat": b"meow"}
    assert (await pulled.objects.find(FILMS, "cat")).version.site == "attic"
