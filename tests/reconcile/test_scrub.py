"""State against storage: what is lost, unknown and changed is found, and mended where it can be."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest
from msgspec.structs import replace

from backends.errors import AccessDenied, BucketNotFound, Corrupt, NotFound, Refused, Unavailable
from backends.model import Bucket, Checksum, Facts, Row, Version
from backends.storage.layers.buffered import Buffered, BufferOptions
from backends.storage.layers.forwarding import Forwarding
from backends.storage.protocol import Stored
from backends.storage.source import BytesSource
from reconcile.jobs.work import START, Checkpoint, Outcome
from reconcile.storages import comparing
from reconcile.storages.remedies import Restores
from reconcile.storages.scrub import Scrub
from replication.documents import OWN, Documents
from s3proxy.gateway.lost import LostObjects
from s3proxy.s3.proofs import WholeProof
from tests.reconcile.grounds import Ground, Ran, Site, job_of, on_disk, opened, run
from tests.services.foreign import Foreign

LARGE: Final = bytes(range(256)) * 200
OLD: Final = Version(5 << 16, "attic")


@pytest.fixture(autouse=True)
def old_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test wrote a moment ago is as good as old."""
    monkeypatch.setattr(comparing, "SETTLED", 0)
    monkeypatch.setattr(comparing, "LATELY", 0)


@pytest.fixture(params=["s3", "azure", "gcs"])
async def ground(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Ground]:
    async with opened(request, tmp_path, request.param) as found:
        await found.known.create_bucket(Bucket(found.bucket, "main", 1))
        yield found


@pytest.fixture
async def s3(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Ground]:
    async with opened(request, tmp_path, "s3") as found:
        await found.known.create_bucket(Bucket(found.bucket, "main", 1))
        yield found


@pytest.fixture
async def disk(tmp_path: Path) -> AsyncIterator[Site]:
    async with on_disk(tmp_path) as site:
        yield site


@dataclass
class Copy:
    """An object as another site has it."""

    bucket: str
    key: str
    facts: Facts
    data: bytes
    others: list["Copy"] = field(default_factory=list)

    async def read(self, start: int, length: int) -> AsyncGenerator[bytes, None]:
        yield self.data[start : start + length]

    def elsewhere(self) -> "Copy | None":
        return self.others[0] if self.others else None


@dataclass
class Elsewhere:
    """Other sites, which have these objects by key."""

    copies: dict[str, Copy] = field(default_factory=dict)

    async def find(self, bucket: str, key: str) -> Copy | None:
        copy = self.copies.get(key)
        return copy if copy and copy.bucket == bucket else None

    def has(self, row: Row, data: bytes) -> None:
        self.copies[row.key] = Copy(row.bucket, row.key, row.facts, data)


def scrub(site: Site, restores: Restores | None = None, page: int = 3) -> Scrub:
    return Scrub(site.state, site.store, site.each, restores, WholeProof, page=page)


async def scrubbed(
    site: Site, elsewhere: Elsewhere | None = None, *, dry_run: bool = False, **order: Any
) -> Ran:
    restores = LostObjects(elsewhere, site.replicas) if elsewhere else None
    job = job_of("scrub", dry_run=dry_run, buckets=[site.bucket], **order)
    return await run(scrub(site, restores), job)


def told(ran: Ran) -> list[tuple[str, str, str, str]]:
    return [(one.kind, one.key, one.action, one.result) for one in ran.findings]


async def fill(site: Site) -> dict[str, Row]:
    """Seven objects, and one that was deleted."""
    keys = ("a", "b", "c", "d", "e", "f", "g", "gone")
    rows = {key: await site.put_here(key, key.encode() * 100) for key in keys}
    await site.objects.delete(site.bucket, "gone", "1")
    await drop_discards(site)
    del rows["gone"]
    return rows


async def drop_discards(site: Site) -> None:
    await site.discards.settle(older_than=-1000)


async def test_where_all_is_well_nothing_is_told(ground: Ground) -> None:
    await fill(ground)
    before = await ground.rows()

    ran = await scrubbed(ground, deep=True)

    assert (told(ran), ran.outcome) == ([], Outcome.ALIKE)
    assert ran.done("scrubbing") == 8
    assert await ground.rows() == before


async def test_each_class_is_found_and_a_dry_run_changes_nothing(ground: Ground) -> None:
    rows = await fill(ground)
    elsewhere = Elsewhere()
    elsewhere.has(rows["b"], b"b" * 100)
    ground.delete("b")
    ground.replace(Foreign("c", b"longer than before" * 10))
    ground.replace(Foreign("d", b"D" * 100))
    ground.put(Foreign("new", b"x"))
    before = (await ground.rows(), await ground.stored())

    ran = await scrubbed(ground, elsewhere, dry_run=True, unknown="adopt")

    assert told(ran) == [
        ("LOST", "b", "restore", ""),
        ("SIZE", "c", "restore", ""),
        ("DIGEST", "d", "restore", ""),
        ("UNKNOWN", "new", "adopt", ""),
    ]
    assert ran.outcome is Outcome.DIFFERENCES
    assert (await ground.rows(), await ground.stored()) == before


async def test_what_is_lost_or_changed_is_restored_from_another_site(ground: Ground) -> None:
    rows = await fill(ground)
    elsewhere = Elsewhere()
    for key in "bcd":
        elsewhere.has(rows[key], key.encode() * 100)
    ground.delete("b")
    ground.replace(Foreign("c", b"longer than before" * 10))
    ground.replace(Foreign("d", b"D" * 100))
    ground.delete("e")

    ran = await scrubbed(ground, elsewhere)

    assert told(ran) == [
        ("LOST", "b", "restore", "restored"),
        ("SIZE", "c", "restore", "restored"),
        ("DIGEST", "d", "restore", "restored"),
        ("LOST", "e", "restore", "not elsewhere"),
    ]
    for key in "bcd":
        assert await ground.read(key) == key.encode() * 100
        assert (await ground.state.find(ground.bucket, key)).facts == rows[key].facts
    assert await ground.state.find(ground.bucket, "e") == rows["e"]
    assert told(await scrubbed(ground)) == [("LOST", "e", "", "")]


async def test_a_site_alone_reports_and_keeps_the_row(s3: Ground) -> None:
    rows = await fill(s3)
    s3.delete("b")

    ran = await scrubbed(s3)

    assert told(ran) == [("LOST", "b", "", "")]
    assert [row for row in await s3.rows() if not row.deleted] == list(rows.values())


async def test_unknown_objects_are_adopted_where_that_is_asked_for(ground: Ground) -> None:
    await fill(ground)
    thing = Foreign("new", b"x", {"content-type": "text/plain"})
    ground.put(thing)
    assert told(await scrubbed(ground)) == [("UNKNOWN", "new", "", "")]

    ran = await scrubbed(ground, unknown="adopt")

    assert (told(ran), ran.outcome) == ([("UNKNOWN", "new", "adopt", "adopted")], Outcome.ALIKE)
    assert await ground.read("new") == b"x"
    row = await ground.objects.find(ground.bucket, "new")
    assert row.facts.headers["content-type"] == "text/plain"


async def test_only_leftovers_of_our_own_are_removed(ground: Ground) -> None:
    """Bytes of ours below a tombstone are left over; foreign ones, and those of no key, are not."""
    await fill(ground)
    await ground.store.put(ground.bucket, "gone", BytesSource(b"old", Facts(OLD, 3, "e")))
    await ground.store.put(ground.bucket, "mine", BytesSource(b"old", Facts(OLD, 3, "e")))
    ground.put(Foreign("new", b"x"))

    ran = await scrubbed(ground, unknown="remove")

    assert told(ran) == [
        ("UNKNOWN", "gone", "remove", "removed"),
        ("UNKNOWN", "mine", "", ""),
        ("UNKNOWN", "new", "", ""),
    ]
    assert [key for key, _, _ in await ground.stored()][-2:] == ["mine", "new"]


async def test_what_clients_just_wrote_is_left_alone(
    s3: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(comparing, "SETTLED", 60_000)
    await fill(s3)
    s3.delete("b")
    s3.put(Foreign("new", b"x"))

    assert told(await scrubbed(s3, unknown="adopt")) == []


async def test_what_is_being_written_is_left_alone(s3: Ground) -> None:
    await fill(s3)
    s3.delete("b")
    s3.put(Foreign("new", b"x"))
    for key in ("b", "new"):
        await s3.state.begin(s3.bucket, key, lease=60_000, alone=True)

    assert told(await scrubbed(s3, unknown="adopt")) == []


async def test_clients_at_work_are_no_difference(s3: Ground) -> None:
    """A young row is left alone in truth; here even those are looked at."""
    stop = asyncio.Event()

    async def client(number: int) -> None:
        turn = 0
        while not stop.is_set():
            turn += 1
            key = f"{number}-{turn % 5}"
            await s3.put_here(key, f"{turn}".encode())
            if turn % 3 == 0:
                await s3.objects.delete(s3.bucket, key, "1")

    async with asyncio.TaskGroup() as group:
        for number in range(3):
            group.create_task(client(number))
        try:
            for _ in range(10):
                assert told(await scrubbed(s3, deep=True, unknown="adopt")) == []
        finally:
            stop.set()


async def test_it_goes_on_from_any_checkpoint(s3: Ground) -> None:
    await fill(s3)
    for key in "bf":
        s3.delete(key)
    job = job_of("scrub", buckets=[s3.bucket])
    checkpoint: Checkpoint = START
    found = []
    while True:
        steps = scrub(s3).run(job, checkpoint)
        async with aclosing(steps):
            step = await anext(steps)
        found += [finding.key for finding in step.findings]
        checkpoint = step.checkpoint
        if step.outcome:
            break

    assert (found, step.outcome) == (["b", "f"], Outcome.DIFFERENCES)


async def test_a_listing_that_fails_ends_it_and_nothing_is_lost(s3: Ground) -> None:
    class Torn(Forwarding):
        """Lists one object, then fails."""

        async def listing(
            self, bucket: str, *, prefix: str = "", after: str = "", most: int | None = None
        ) -> AsyncGenerator[Stored, None]:
            async with aclosing(
                super().listing(bucket, prefix=prefix, after=after, most=most)
            ) as found:
                yield await anext(found)
            raise Unavailable("torn")

    await fill(s3)
    s3.store = Torn(s3.store)
    before = await s3.rows()

    with pytest.raises(Unavailable):
        await scrubbed(s3, unknown="remove")
    assert await s3.rows() == before


@pytest.mark.parametrize("deep", [False, True])
async def test_what_nobody_may_read_holds_up_no_other(s3: Ground, *, deep: bool) -> None:
    class Guarded(Forwarding):
        """As S3 answers where a key of the encryption is not ours."""

        async def get(
            self,
            bucket: str,
            key: str,
            locator: str = "",
            *,
            start: int = 0,
            length: int | None = None,
        ) -> AsyncGenerator[bytes, None]:
            if key == "b":
                raise AccessDenied("not yours")
            return await super().get(bucket, key, locator, start=start, length=length)

    await fill(s3)
    s3.delete("c")
    if not deep:
        s3.replace(Foreign("b", b"other"))
    s3.store = Guarded(s3.store)

    ran = await scrubbed(s3, deep=deep)

    assert told(ran) == [("UNREADABLE", "b", "", ""), ("LOST", "c", "", "")]


async def test_a_prefix_and_a_pattern_say_what_is_looked_at(s3: Ground) -> None:
    await s3.put_here("logs/1", b"1")
    await s3.put_here("log", b"2")
    await s3.put_here("zoo", b"3")
    for key in ("logs/1", "log", "zoo"):
        s3.delete(key)

    assert [one.key for one in (await scrubbed(s3, prefix="logs/")).findings] == ["logs/1"]
    ran = await run(scrub(s3), job_of("scrub", buckets=[f"{s3.bucket[:10]}*"], prefix="l"))
    assert [one.key for one in ran.findings] == ["log", "logs/1"]


async def test_buckets_that_the_state_does_not_know_are_told(s3: Ground) -> None:
    other = f"{s3.bucket}-other"
    s3.writer.make(other)

    ran = await run(scrub(s3), job_of("scrub", buckets=[f"{s3.bucket}*"]))

    [one] = ran.findings
    assert (one.kind, one.bucket, one.key) == ("UNKNOWN", other, "")
    assert f"ccs adopt {other}" in one.detail


async def test_a_bucket_that_the_storage_lost_is_made_and_filled_again(disk: Site) -> None:
    row = await disk.put_here("cat", LARGE)
    elsewhere = Elsewhere()
    elsewhere.has(row, LARGE)
    await disk.store.delete(disk.bucket, "cat")
    await disk.store.delete_bucket(disk.bucket)
    assert [one[0] for one in told(await scrubbed(disk, elsewhere, dry_run=True))] == ["LOST"]
    with pytest.raises(BucketNotFound):
        await disk.store.find_bucket(disk.bucket)

    ran = await scrubbed(disk, elsewhere)

    assert told(ran) == [
        ("LOST", "", "restore", "restored"),
        ("LOST", "cat", "restore", "restored"),
    ]
    assert await disk.read("cat") == LARGE


def segments(folder: Path) -> list[Path]:
    found = [path for path in (folder / "disk").rglob("*") if path.is_file()]
    return [path for path in found if not path.name.startswith("catalog")]


async def test_what_waits_in_a_buffer_is_no_difference_nor_is_what_left_it(
    s3: Ground, tmp_path: Path
) -> None:
    """Rows name bytes as the buffer did, also when the storage has them."""
    buffer = Buffered(s3.store, BufferOptions(tmp_path / "buffer", always=True, durable=False))
    site = Site(s3.bucket, s3.known, buffer)
    rows = await fill(site)
    assert told(await scrubbed(site, deep=True)) == []
    flushing = asyncio.create_task(buffer.run())
    await until_stored(s3, rows)

    assert told(await scrubbed(site, deep=True)) == []
    s3.delete("b")
    assert told(await scrubbed(site, deep=True)) == [("LOST", "b", "", "")]

    flushing.cancel()
    await asyncio.wait([flushing])


async def until_stored(ground: Ground, rows: dict[str, Row]) -> None:
    async with asyncio.timeout(20):
        while {key for key, _, _ in await ground.stored()} != rows.keys():
            await asyncio.sleep(0.01)


async def test_files_that_the_disk_lost_are_found(disk: Site, tmp_path: Path) -> None:
    await disk.put_here("cat", LARGE)
    await disk.put_here("small", b"meow")
    [segment] = segments(tmp_path)
    segment.unlink()

    assert told(await scrubbed(disk)) == [("LOST", "cat", "", "")]


async def test_files_that_the_disk_cut_are_found(disk: Site, tmp_path: Path) -> None:
    await disk.put_here("cat", LARGE)
    [segment] = segments(tmp_path)
    segment.write_bytes(LARGE[:-1])

    assert told(await scrubbed(disk)) == [("SIZE", "cat", "", "")]


async def test_bits_that_the_disk_turned_are_found_by_reading_alone(
    disk: Site, tmp_path: Path
) -> None:
    row = await disk.put_here("cat", LARGE)
    elsewhere = Elsewhere()
    elsewhere.has(row, LARGE)
    [turned] = segments(tmp_path)
    turned.write_bytes(b"\xff" + LARGE[1:])
    assert told(await scrubbed(disk)) == []

    ran = await scrubbed(disk, elsewhere, deep=True)

    assert sum(step.moved for step in ran.steps) == 2 * len(LARGE)  # read here, then sent here
    assert told(ran) == [("DIGEST", "cat", "restore", "restored")]
    assert await disk.read("cat") == LARGE
    assert told(await scrubbed(disk, deep=True)) == []


async def test_a_stored_checksum_is_compared_too(disk: Site) -> None:
    wrong = Checksum("CRC32", "AAAAAA==")
    row = await disk.put_here("cat", b"meow")
    version = Version(row.version.stamp + 1, "here")
    await disk.known.commit(
        replace(row, facts=replace(row.facts, version=version, checksum=wrong)), None
    )

    [one] = (await scrubbed(disk, deep=True)).findings

    assert (one.kind, one.detail) == (
        "DIGEST",
        "films/cat: other bytes than were put, by CRC32",
    )


async def test_of_several_sites_one_with_the_right_bytes_is_found(disk: Site) -> None:
    row = await disk.put_here("cat", LARGE)
    await disk.store.delete(disk.bucket, "cat", row.locator)
    right = Copy(disk.bucket, "cat", row.facts, LARGE)
    wrong = Copy(disk.bucket, "cat", row.facts, b"x" * len(LARGE), [right])

    restored = await LostObjects(Elsewhere({"cat": wrong}), disk.replicas).restore(row)

    assert restored
    assert await disk.read("cat") == LARGE
    await disk.store.delete(disk.bucket, "cat")
    with pytest.raises(Corrupt):
        await LostObjects(Elsewhere({"cat": replace_others(wrong)}), disk.replicas).restore(row)


def replace_others(copy: Copy) -> Copy:
    return Copy(copy.bucket, copy.key, copy.facts, copy.data)


async def test_what_is_about_to_go_from_a_disk_is_no_difference(
    disk: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bytes that were replaced or removed stay for a while, until somebody drops them."""
    monkeypatch.setattr(comparing, "LATELY", 600_000)
    await disk.put_here("cat", LARGE)
    await disk.put_here("cat", b"new")
    await disk.put_here("dog", b"x")
    await disk.objects.delete(disk.bucket, "dog", "1")

    assert [key for key, _, _ in await disk.stored()] == ["cat", "dog"]
    assert told(await scrubbed(disk, unknown="remove")) == []


async def test_documents_are_not_looked_at(disk: Site) -> None:
    own = Documents(disk.state, OWN)
    await own.prepare()
    await own.put("x", 1)

    assert told(await run(scrub(disk), job_of("scrub"))) == []


@pytest.mark.parametrize(
    "order", [{"buckets": [".ccs"]}, {"unknown": "burn"}, {"bucket": "films"}, {"deep": 3}]
)
async def test_an_order_that_makes_no_sense_is_refused(disk: Site, order: dict[str, Any]) -> None:
    with pytest.raises(Refused):
        await scrub(disk).check(job_of("scrub", **order))


async def test_a_bucket_that_is_not_there_is_not_found(disk: Site) -> None:
    with pytest.raises(NotFound):
        await scrub(disk).check(job_of("scrub", buckets=["nowhere"]))
