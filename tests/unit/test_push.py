"""How an object goes to another site: whole or in parts, and always so that it can be verified."""

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from backends.errors import Corrupt
from backends.model import Bucket, Facts, Row, Version
from backends.state.sqlite import SQLiteState
from backends.storage.memory import MemoryStore
from backends.storage.source import BytesSource
from replication.client import SiteClient
from replication.messages import Completion, Offer, PartMark
from replication.outgoing import Body, checksum_of
from replication.push import Push

MIB = 1024 * 1024
CONTENT = hashlib.shake_256(b"content").digest(12 * MIB)
PARTS = [CONTENT[start : start + 5 * MIB] for start in range(0, len(CONTENT), 5 * MIB)]


def md5(data: bytes) -> str:
    return hashlib.md5(data).hexdigest()


class Site(SiteClient):
    """Another site that notes what it is sent."""

    def __init__(self, there: tuple[PartMark, ...] = ()) -> None:
        self._there = there
        self.whole: list[bytes] = []
        self.parts: dict[int, bytes] = {}
        self.done: Completion | None = None

    @property
    def name(self) -> str:
        return "west"

    async def put(
        self, bucket: str, key: str, facts: Facts, body: AsyncIterator[bytes], *, owner: str
    ) -> bool:
        del bucket, key, facts, owner
        self.whole.append(b"".join([block async for block in body]))
        return True

    async def begin(self, bucket: str, key: str, facts: Facts, *, owner: str) -> Offer:
        del bucket, key, facts, owner
        return Offer(wanted=True, parts=self._there)

    async def put_part(
        self, bucket: str, key: str, version: Version, number: int, part: Body
    ) -> PartMark:
        del bucket, key, version
        data = b"".join([block async for block in part.blocks])
        assert part.digest == checksum_of([data])
        self.parts[number] = data
        return PartMark(number, len(data), md5(data))

    async def complete(self, bucket: str, key: str, done: Completion) -> bool:
        del bucket, key
        self.done = done
        return True


class Ground:
    """A state and a storage of our own, and what sends what they hold."""

    def __init__(self, state: SQLiteState) -> None:
        self._state = state
        self._store = MemoryStore()

    async def prepare(self) -> None:
        bucket = Bucket("photos", "main", 0)
        await self._state.create_bucket(bucket)
        await self._store.create_bucket(bucket)

    async def send(self, content: bytes, etag: str, site: Site, whole_bytes: int = 0) -> None:
        facts = Facts(Version(1 << 16, "east"), size=len(content), etag=etag)
        stored = await self._store.put("photos", "k", BytesSource(content, facts))
        push = Push(
            self._state, self._store, site="east", part_bytes=5 * MIB, whole_bytes=whole_bytes
        )
        await push.row(Row("photos", "k", facts, stored.locator), site)


@pytest.fixture
async def ground(tmp_path: Path) -> AsyncIterator[Ground]:
    state = SQLiteState.open(tmp_path / "state.db", site="east", durable=False)
    found = Ground(state)
    await found.prepare()
    yield found
    await state.close()


async def test_an_object_goes_whole_up_to_a_size(ground: Ground) -> None:
    site = Site()

    await ground.send(CONTENT, md5(CONTENT), site, whole_bytes=len(CONTENT))

    assert (site.whole, site.parts) == ([CONTENT], {})


async def test_a_larger_one_goes_in_parts_that_are_named_as_they_arrived(ground: Ground) -> None:
    site = Site()

    await ground.send(CONTENT, md5(CONTENT), site, whole_bytes=len(CONTENT) - 1)

    assert (site.whole, list(site.parts.values())) == ([], PARTS)
    assert site.done
    marks = [PartMark(number, len(part), md5(part)) for number, part in enumerate(PARTS, 1)]
    assert list(site.done.parts) == marks


async def test_what_has_no_md5_to_be_verified_by_goes_in_parts_however_small(
    ground: Ground,
) -> None:
    site = Site()

    await ground.send(b"small", f"{md5(b'x')}-1", site, whole_bytes=MIB)

    assert (site.whole, site.parts) == ([], {1: b"small"})


async def test_a_part_that_is_there_is_not_sent_again_unless_it_is_another(ground: Ground) -> None:
    same = PartMark(1, len(PARTS[0]), md5(PARTS[0]))
    other = PartMark(2, len(PARTS[1]), md5(PARTS[0]))
    site = Site((same, other))

    await ground.send(CONTENT, md5(CONTENT), site)

    assert sorted(site.parts) == [2, 3]


async def test_bytes_that_are_not_those_of_the_etag_are_never_completed(ground: Ground) -> None:
    site = Site()

    with pytest.raises(Corrupt):
        await ground.send(CONTENT, md5(b"what was put"), site)

    assert site.done is None
