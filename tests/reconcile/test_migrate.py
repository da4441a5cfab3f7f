"""A bucket moves from one storage to another while it is used: copied, made final, taken back."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from itertools import groupby
from pathlib import Path

import pytest
from msgspec.structs import replace

from backends.errors import BucketNotFound, NotFound, Refused
from backends.model import Row, Upload, Version
from backends.storage.layers.forwarding import Forwarding
from backends.storage.local import LocalStore
from backends.storage.memory import MemoryStore
from backends.storage.protocol import Source, Stored
from backends.storage.source import BytesSource
from reconcile.jobs.work import START, Finding, Outcome
from reconcile.migration import moving
from reconcile.migration.records import Phase
from s3proxy.gateway.uploads import Chosen, Whole
from tests.gateway.conftest import LEASE, Body
from tests.reconcile.moved import BUCKET, LARGE, House, Process, etag_of, facts_of

CONTENTS = {"a/small": b"meow", "b": LARGE, "b/c": b"", "d": b"dog", "\xe9": LARGE[1:]}


@pytest.fixture(params=[True, False], ids=["keeps replaced", "overwrites"])
async def house(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[House]:
    """One whose bucket lies in `near`, with CONTENTS; storages of either kind."""
    keeps: bool = request.param
    built = House(
        tmp_path / "state.db",
        LocalStore.open(tmp_path / "near", durable=False, keeps_replaced=keeps),
        MemoryStore(keeps_replaced=keeps),
    )
    await built.make()
    for key, data in CONTENTS.items():
        await built.here.put(key, data)
    yield built
    await built.here.store.close()
    await built.state.close()


async def phase_of(house: House) -> Phase:
    return (await house.migrations.find(BUCKET)).phase


async def used(process: Process, contents: dict[str, bytes]) -> dict[str, bytes]:
    """What a client believes after it has changed one object of each sort."""
    await process.put("new", b"new")
    await process.put("b", b"smaller than before")
    await process.delete("d")
    await process.objects.copy((BUCKET, "a/small"), BUCKET, "copy", lambda row: row.facts, "1")
    await process.discards.settle(older_than=-1)
    changed = {"new": b"new", "b": b"smaller than before", "copy": contents["a/small"]}
    return {key: data for key, data in {**contents, **changed}.items() if key != "d"}


async def test_a_bucket_moves_while_it_is_used(house: House) -> None:
    await house.migrations.start(BUCKET, "far")
    assert await house.here.contents() == CONTENTS
    believed = await used(house.here, CONTENTS)
    assert await house.here.contents() == believed

    steps = await house.run(deep=True)

    assert steps[-1].outcome is Outcome.ALIKE
    assert await phase_of(house) is Phase.COPIED
    assert await house.here.contents() == believed
    assert set((await house.storages()).values()) == {"far"}
    assert "a/small" in await house.keys_in("near")

    await house.migrations.cutover(BUCKET)
    assert (await house.run())[-1].outcome is Outcome.ALIKE

    assert await phase_of(house) is Phase.DONE
    assert await house.here.contents() == believed
    assert await house.keys_in("far") == sorted(believed, key=str.encode)
    with pytest.raises(BucketNotFound):
        await house.stores["near"].find_bucket(BUCKET)
    believed = await used(house.here, believed)
    assert await house.here.contents() == believed


async def test_a_bucket_comes_back_with_all_that_was_written_meanwhile(house: House) -> None:
    await house.migrations.start(BUCKET, "far")
    await house.run()
    believed = await used(house.here, CONTENTS)

    await house.migrations.rollback(BUCKET)
    assert await house.here.contents() == believed
    steps = await house.run()

    assert steps[-1].outcome is Outcome.ALIKE
    assert await phase_of(house) is Phase.RETURNED
    assert await house.here.contents() == believed
    assert await house.keys_in("near") == sorted(believed, key=str.encode)
    carried = sum(len(believed[key]) for key in ("new", "b", "copy"))
    assert sum(step.moved for step in steps) == carried
    with pytest.raises(BucketNotFound):
        await house.stores["far"].find_bucket(BUCKET)
    await house.migrations.start(BUCKET, "far")
    await house.run()
    assert await house.here.contents() == believed


async def test_one_that_is_half_way_comes_back_too(house: House) -> None:
    await house.migrations.start(BUCKET, "far")
    row = await house.here.objects.find(BUCKET, "b")
    await house.relocations.move(row, "near", "far")

    await house.migrations.rollback(BUCKET)
    assert (await house.run())[-1].outcome is Outcome.ALIKE

    assert await house.here.contents() == CONTENTS
    assert set((await house.storages()).values()) == {"near"}


async def test_a_second_move_goes_on_from_where_the_first_one_ended(house: House) -> None:
    house.stores["third"] = MemoryStore(
        keeps_replaced=house.stores["near"].capabilities.keeps_replaced
    )
    for storage in ("far", "third", "near"):
        await house.migrations.start(BUCKET, storage)
        await house.run()
        await house.migrations.cutover(BUCKET)
        await house.run()
        assert await house.here.contents() == CONTENTS
        assert set((await house.storages()).values()) == {storage}
        assert await house.keys_in(storage) == sorted(CONTENTS, key=str.encode)


async def test_what_makes_no_sense_is_refused_and_changes_nothing(house: House) -> None:
    with pytest.raises(NotFound, match="there is no storage cloud: there are near, far"):
        await house.migrations.start(BUCKET, "cloud")
    with pytest.raises(Refused, match="photos lies in near already"):
        await house.migrations.start(BUCKET, "near")
    with pytest.raises(BucketNotFound):
        await house.migrations.start("nowhere", "far")
    with pytest.raises(BucketNotFound):
        await house.migrations.start(".ccs", "far")
    with pytest.raises(NotFound, match="photos was never moved"):
        await house.migrations.cutover(BUCKET)
    await house.stores["far"].create_bucket(await house.state.bucket(BUCKET))
    facts = facts_of(b"moo", (await house.here.objects.find(BUCKET, "b")).version)
    await house.stores["far"].put(BUCKET, "cow", BytesSource(b"moo", facts))
    with pytest.raises(Refused, match="with objects in it"):
        await house.migrations.start(BUCKET, "far")
    assert house.orders.jobs == []
    assert await house.here.contents() == CONTENTS


async def test_nothing_is_final_before_all_is_there_and_nothing_comes_back_after(
    house: House,
) -> None:
    await house.migrations.start(BUCKET, "far")
    with pytest.raises(Refused, match=r"photos is not yet all in far: .* job migrate-0"):
        await house.migrations.cutover(BUCKET)
    with pytest.raises(Refused, match="from near to far"):
        await house.migrations.start(BUCKET, "near")
    assert (await house.migrations.start(BUCKET, "far")).job == "migrate-1"
    await house.run()
    await house.migrations.cutover(BUCKET)
    with pytest.raises(Refused, match="start a migration to near"):
        await house.migrations.rollback(BUCKET)
    await house.run()
    assert (await house.migrations.cutover(BUCKET)).phase is Phase.DONE
    with pytest.raises(Refused, match="start a migration to near"):
        await house.migrations.rollback(BUCKET)


async def test_the_old_storage_keeps_its_bytes_where_that_is_asked_for(house: House) -> None:
    await house.migrations.start(BUCKET, "far")
    await house.run()
    await house.migrations.cutover(BUCKET, keeps=True)
    await house.run()

    await house.here.delete("b")

    assert await phase_of(house) is Phase.DONE
    assert await house.keys_in("near") == sorted(CONTENTS, key=str.encode)


async def upload_of(process: Process, key: str) -> Upload:
    draft = Upload(BUCKET, key, "", "", 0, "main")
    return await process.uploads.create(draft)


async def completed(process: Process, upload: Upload, data: bytes) -> None:
    part = await process.uploads.put_part(upload, 1, Body(data, etag_of(data)))
    whole = Whole(f"{etag_of(bytes.fromhex(part.etag))}-1", None)
    await process.uploads.complete(upload, [Chosen(1, part.etag)], lambda _: whole, "1")


async def test_an_upload_stays_in_the_storage_where_it_began(house: House) -> None:
    before = await upload_of(house.here, "before")
    await house.migrations.start(BUCKET, "far")
    during = await upload_of(house.here, "during")
    await completed(house.here, before, LARGE)
    await completed(house.here, during, LARGE)
    assert {key: name for key, name in (await house.storages()).items() if name == "far"} == {
        "during": "far"
    }

    late = await _late(house)
    await house.run()
    assert set((await house.storages()).values()) == {"far"}
    await house.migrations.cutover(BUCKET)
    steps = await house.run()

    findings = [finding for step in steps for finding in step.findings]
    assert [(one.kind, one.key) for one in findings] == [("UPLOAD", "late")]
    assert steps[-1].outcome is Outcome.DIFFERENCES
    assert await phase_of(house) is Phase.DROPPING
    await completed(house.here, late, b"late")
    assert await house.here.read("late") == b"late"
    await house.run()
    assert await phase_of(house) is Phase.DONE
    assert await house.here.contents() == {
        **CONTENTS,
        "before": LARGE,
        "during": LARGE,
        "late": b"late",
    }


async def _late(house: House) -> Upload:
    """An upload that a process began which did not know of the migration yet."""
    token = await house.stores["near"].create_upload(BUCKET, "late", facts_of(b"", _version()))
    upload = Upload(BUCKET, "late", "late", token, 0, "main")
    await house.state.create_upload(upload)
    return upload


def _version() -> Version:
    return Version(1, "here")


async def test_a_process_that_does_not_know_of_the_move_reads_and_writes_right(
    house: House,
) -> None:
    stale = house.process(trusted_seconds=3600)
    assert await stale.contents() == CONTENTS
    await house.migrations.start(BUCKET, "far")
    await house.here.put("b", b"new here")
    assert await stale.read("b") == b"new here"
    await stale.put("b", b"new there")
    await stale.put("stale", b"stale")
    await stale.delete("d")
    believed = {**CONTENTS, "b": b"new there", "stale": b"stale"}
    del believed["d"]
    assert await house.here.contents() == await stale.contents() == believed

    await house.run()
    assert set((await house.storages()).values()) == {"far"}
    await stale.put("a/small", b"late")
    await house.migrations.cutover(BUCKET)
    assert (await house.run())[-1].outcome is Outcome.ALIKE

    believed["a/small"] = b"late"
    assert await house.here.contents() == await stale.contents() == believed
    assert set((await house.storages()).values()) == {"far"}


async def test_a_bucket_that_was_made_anew_lies_where_it_was_made(house: House) -> None:
    await house.migrations.start(BUCKET, "far")
    for key in CONTENTS:
        await house.here.delete(key)
    await house.here.discards.settle(older_than=-1)
    await house.here.buckets.delete(BUCKET)
    await asyncio.sleep(0.002)  # so that it is made at another time

    await house.make_bucket()
    await house.here.put("cat", b"meow")

    assert await house.storages() == {"cat": "near"}
    assert await house.keys_in("near") == ["cat"]
    with pytest.raises(NotFound, match="never moved"):
        await house.migrations.find(BUCKET)
    assert await house.migrations.every() == []
    await house.migrations.start(BUCKET, "far")


async def test_the_job_goes_on_from_every_checkpoint(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(moving, "PAGE", 2)
    await house.migrations.start(BUCKET, "far")
    checkpoint = START
    phases: list[str] = []
    while await phase_of(house) is Phase.COPYING:
        async with aclosing(house.steps(checkpoint)) as steps:
            step = await anext(steps)
        checkpoint = json.loads(json.dumps(step.checkpoint))
        phases.append(step.phase)

    assert [name for name, _ in groupby(phases)] == ["copy", "verify", ""]
    assert await phase_of(house) is Phase.COPIED
    assert set((await house.storages()).values()) == {"far"}
    assert await house.here.contents() == CONTENTS


async def test_a_job_of_a_phase_that_is_over_does_nothing_more(house: House) -> None:
    await house.migrations.start(BUCKET, "far")
    async with aclosing(house.steps()) as steps:
        await anext(steps)
        await house.migrations.rollback(BUCKET)
        left = [step async for step in steps]

    assert [step.outcome for step in left] == [Outcome.DIFFERENCES]
    assert await phase_of(house) is Phase.RETURNING


async def test_what_is_lost_or_changed_in_the_old_storage_is_reported_and_holds_the_end_up(
    house: House,
) -> None:
    lost, changed = [await house.here.objects.find(BUCKET, key) for key in ("b", "d")]
    await house.stores["near"].delete(BUCKET, "b", lost.locator)
    stored = await house.stores["near"].put(
        BUCKET, "d", BytesSource(b"cow", replace(changed.facts, version=changed.version))
    )
    await _relocated(house, changed, stored.locator)
    await house.migrations.start(BUCKET, "far")

    steps = await house.run()

    findings = [finding for step in steps for finding in step.findings]
    assert [(one.kind, one.key) for one in findings] == [("MISSING", "b"), ("DIGEST", "d")]
    assert steps[-1].outcome is Outcome.DIFFERENCES
    assert await phase_of(house) is Phase.COPYING
    with pytest.raises(Refused, match="not yet all"):
        await house.migrations.cutover(BUCKET)
    await house.here.put("b", b"again")
    await house.here.put("d", b"again")
    assert (await house.run())[-1].outcome is Outcome.ALIKE


@pytest.mark.parametrize("kind", ["MISSING", "SIZE", "DIGEST"])
async def test_a_copy_that_went_bad_is_found(house: House, kind: str) -> None:
    bad = {"SIZE": b"not a dog", "DIGEST": b"cow"}
    await house.migrations.start(BUCKET, "far")
    far = house.stores["far"]
    findings: list[Finding] = []
    async for step in house.steps(deep=kind == "DIGEST"):
        findings += step.findings
        if step.phase == "copy" and step.checkpoint.get("stage"):
            row = await house.here.objects.find(BUCKET, "d")
            await far.delete(BUCKET, "d")
            if kind in bad:
                stored = await far.put(BUCKET, "d", BytesSource(bad[kind], row.facts))
                await _relocated(house, row, f">far>{stored.locator}")

    assert [(one.kind, one.key) for one in findings] == [(kind, "d")]
    assert await phase_of(house) is Phase.COPYING


@pytest.mark.parametrize("deep", [False, True])
async def test_what_went_bad_after_the_copy_keeps_the_cut_over_away(
    house: House, *, deep: bool
) -> None:
    await house.migrations.start(BUCKET, "far")
    await house.run()
    assert (await house.run(deep=True))[-1].outcome is Outcome.ALIKE
    assert await phase_of(house) is Phase.COPIED
    row = await house.here.objects.find(BUCKET, "d")
    await house.stores["far"].delete(BUCKET, "d")
    if deep:
        stored = await house.stores["far"].put(BUCKET, "d", BytesSource(b"cow", row.facts))
        await _relocated(house, row, f">far>{stored.locator}")

    findings = [finding for step in await house.run(deep=deep) for finding in step.findings]

    assert [(one.kind, one.key) for one in findings] == [("DIGEST" if deep else "MISSING", "d")]
    with pytest.raises(Refused, match="not yet all"):
        await house.migrations.cutover(BUCKET)
    await house.migrations.rollback(BUCKET)
    assert (await house.run(deep=True))[-1].outcome is Outcome.ALIKE
    assert await house.here.contents() == CONTENTS


async def _relocated(house: House, row: Row, locator: str) -> None:
    intent = await house.state.begin(BUCKET, row.key, lease=LEASE, version=row.version, again=True)
    await house.state.commit(replace(row, locator=locator), None, intent=intent, overwrote=True)


class Interrupting(Forwarding):
    """A storage to which something happens before, and after, it takes an object."""

    def __init__(self, inner: MemoryStore) -> None:
        super().__init__(inner)
        self.before = asyncio.Event()
        self.go_on = asyncio.Event()
        self.dies = False

    async def put(
        self, bucket: str, key: str, source: Source, *, replacing: str | None = None
    ) -> Stored:
        self.before.set()
        await self.go_on.wait()
        stored = await super().put(bucket, key, source, replacing=replacing)
        if self.dies:
            raise Killed
        return stored


class Killed(BaseException):
    """As when the process is gone: nothing is cleaned up."""


@pytest.fixture
def interrupted(house: House) -> Interrupting:
    """The storage that the bucket moves to."""
    far = house.stores["far"]
    assert isinstance(far, MemoryStore)
    house.stores["far"] = interrupting = Interrupting(far)
    return interrupting


async def test_a_client_who_writes_while_the_object_is_moved_wins(
    house: House, interrupted: Interrupting
) -> None:
    await house.migrations.start(BUCKET, "far")
    moving_ = asyncio.create_task(house.run())
    await interrupted.before.wait()

    writing = asyncio.create_task(house.here.put("b", b"from a client"))
    deleting = asyncio.create_task(house.here.delete("d"))
    await asyncio.sleep(0)
    interrupted.go_on.set()
    await asyncio.gather(writing, deleting)

    assert (await moving_)[-1].outcome is Outcome.ALIKE
    believed = {**CONTENTS, "b": b"from a client"}
    del believed["d"]
    assert await house.here.contents() == believed
    assert await house.keys_in("far") == sorted(believed, key=str.encode)


async def test_a_move_that_was_killed_before_its_commit_is_settled(
    house: House, interrupted: Interrupting, monkeypatch: pytest.MonkeyPatch
) -> None:
    await house.migrations.start(BUCKET, "far")
    row = await house.here.objects.find(BUCKET, "b")
    interrupted.go_on.set()
    monkeypatch.setattr(type(house.here.writes), "_forget", _forgets_nothing)
    interrupted.dies = True
    with pytest.raises(Killed):
        await house.relocations.move(row, "near", "far")
    interrupted.dies = False
    monkeypatch.undo()
    house.ahead = LEASE + 1
    assert await house.here.contents() == CONTENTS

    await house.here.recovery.run()

    assert (await house.storages())["b"] == "far"
    assert await house.state.unsettled() == 0
    assert await house.here.contents() == CONTENTS
    assert (await house.run())[-1].outcome is Outcome.ALIKE


async def _forgets_nothing(*_: object) -> None:
    """A process that is gone drops no intent."""
