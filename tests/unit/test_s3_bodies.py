"""In which requests a body goes out: one, or parts of an upload, a few at a time."""

import asyncio
import hashlib
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trustme

from backends.bounded import windowed
from backends.errors import NotFound, Refused, Unavailable
from backends.model import Facts, Version
from backends.storage.s3 import writing
from backends.storage.source import BytesSource
from tests.contracts.sources import Blocks
from tests.unit.s3_endpoint import Answer, Endpoint, failure, opened, serving

MIB = 1024 * 1024
FIRST = Facts(Version(1, "here"))
MD5_OF_MEOW = "SkuJlc9NFuJ5nzpR3QG02w=="


@pytest.fixture
async def endpoint() -> AsyncIterator[Endpoint]:
    async with serving() as found:
        yield found


async def put(endpoint: Endpoint, source: Blocks, **options: int) -> list[tuple[str, int]]:
    """Method and length of each request that a body goes out in."""
    async with opened(endpoint.url, object_tags=False, **options) as store:
        stored = await store.put("photos", "cat", source)
    assert stored.size == len(source.data)
    return [(one.method, len(one.body)) for one in endpoint.asked if one.method == "PUT"]


@pytest.mark.parametrize(
    ("size", "known", "sent"),
    [
        (0, True, [0]),
        (0, False, [0]),
        (100, True, [100]),
        (5 * MIB - 1, False, [5 * MIB - 1]),
        (5 * MIB, False, [5 * MIB]),
        (5 * MIB + 1, False, [5 * MIB, 1]),
        (11 * MIB, False, [5 * MIB, 5 * MIB, MIB]),
        (6 * MIB, True, [6 * MIB]),
        (6 * MIB + 1, True, [6 * MIB, 1]),
        (12 * MIB, True, [6 * MIB, 6 * MIB]),
    ],
)
async def test_a_body_goes_out_in_as_few_requests_as_it_can(
    endpoint: Endpoint, size: int, known: bool, sent: list[int]
) -> None:
    source = Blocks(bytes(size), 300_000, size=size if known else None)

    puts = await put(endpoint, source, part_bytes=6 * MIB, parts_at_once=1)

    assert [length for _, length in puts] == sent


async def test_a_short_body_is_checked_by_the_endpoint(endpoint: Endpoint) -> None:
    facts = Facts(Version(1, "here"), 4, "4a4b8995cf4d16e2799f3a51dd01b4db")
    async with opened(endpoint.url) as store:
        await store.put("photos", "cat", BytesSource(b"meow", facts))
        await store.put("photos", "cat", Blocks(b"meow", 1, facts=facts))

    assert [one.headers.get("Content-MD5") for one in endpoint.asked] == [MD5_OF_MEOW] * 2


async def test_empty_blocks_end_nothing(endpoint: Endpoint) -> None:
    class Gaps(Blocks):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            for block in (b"", b"me", b"", b"ow", b""):
                yield block

    await put(endpoint, Gaps(b"meow", 1))

    assert [one.body for one in endpoint.asked] == [b"meow"]


async def test_parts_keep_their_order_whichever_ends_first(endpoint: Endpoint) -> None:
    source = Blocks(bytes(31 * MIB), MIB)

    await put(endpoint, source, parts_at_once=4)

    completion = endpoint.asked[-1].body.decode()
    numbers = [int(part.partition("<")[0]) for part in completion.split("<PartNumber>")[1:]]
    assert numbers == list(range(1, 8))


async def test_no_more_than_a_window_is_under_way() -> None:
    taken, done, most = 0, 0, 0

    async def items() -> AsyncIterator[int]:
        nonlocal taken, most
        for number in range(20):
            taken += 1
            most = max(most, taken - done)
            yield number

    async def work(number: int) -> int:
        nonlocal done
        for _ in range(20 - number):
            await asyncio.sleep(0)
        done += 1
        return number

    assert await windowed(work, items(), at_once=3) == list(range(20))
    assert most == 3


@pytest.mark.parametrize("where", ["item", "work"])
async def test_the_first_error_ends_all_that_is_under_way(where: str) -> None:
    ended: list[int] = []

    async def items() -> AsyncIterator[int]:
        for number in range(3):
            yield number
            await asyncio.sleep(0)
        if where == "item":
            raise ZeroDivisionError
        await asyncio.Event().wait()

    async def work(number: int) -> None:
        try:
            if number == 2 and where == "work":
                raise ZeroDivisionError
            await asyncio.Event().wait()
        finally:
            ended.append(number)

    with pytest.raises(ZeroDivisionError):
        await windowed(work, items(), at_once=8)
    assert set(ended) >= {0, 1}


async def test_a_part_that_fails_ends_the_upload(endpoint: Endpoint) -> None:
    begun = Answer(pieces=[b"<I><UploadId>u1</UploadId></I>"])
    endpoint.answers = [begun, *[failure(500, "InternalError")] * 20]

    with pytest.raises(Unavailable):
        await put(endpoint, Blocks(bytes(21 * MIB), MIB))

    assert endpoint.methods[0] == "POST"
    assert endpoint.methods.count("POST") == 1
    assert "DELETE" in endpoint.methods


async def test_more_than_parts_can_hold_is_refused(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "MOST_PARTS", 2)

    with pytest.raises(Refused, match="does not say its length"):
        await put(endpoint, Blocks(bytes(16 * MIB), MIB))
    assert "DELETE" in endpoint.methods

    endpoint.asked.clear()
    puts = await put(endpoint, Blocks(bytes(16 * MIB), MIB, size=16 * MIB), part_bytes=5 * MIB)
    assert [length for _, length in puts] == [8 * MIB, 8 * MIB]


async def test_tags_of_another_writer_are_not_taken_for_those_of_the_object(
    endpoint: Endpoint,
) -> None:
    early = Facts(Version(1, "here"))
    data = bytes(300_000)
    late = Facts(Version(1, "here"), len(data), hashlib.md5(data).hexdigest())
    endpoint.answers = [Answer(headers={"ETag": f'"{late.etag}"'})]
    async with opened(endpoint.url) as store:
        source = Blocks(data, 200_000, size=len(data), facts=early, late=late)
        await store.put("photos", "cat", source)
        put_object, put_tags = endpoint.asked
        mine = put_object.headers["X-Amz-Meta-Ccs"]
        for version, taken in ((1, True), (2, False)):
            full = Facts(Version(version, "here"), 300_000, "f" * 32)
            await store.complete_upload("photos", "cat", "u1", [], full)
            tags = endpoint.asked[-1].body
            head = Answer(headers={"ETag": f'"{version}"', "x-amz-meta-ccs": mine})
            endpoint.answers = [head, Answer(pieces=[tags])]
            found = await store.head("photos", "cat")
            assert (found.facts.etag == "f" * 32) is taken
    assert put_tags.target == "/photos/cat?tagging"


async def test_a_private_authority_is_trusted_when_it_is_named(tmp_path: Path) -> None:
    authority = trustme.CA()
    named = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(str(named))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    async with serving(tls=context) as endpoint:
        url = f"https://localhost:{endpoint.port}"
        async with opened(url, ca_file=str(named)) as store:
            await store.head("photos", "cat")
            endpoint.answers = [failure(404, "NoSuchBucket")]
            with pytest.raises(NotFound):
                await store.find_bucket("photos")
        async with opened(url) as stranger:
            with pytest.raises(Unavailable, match=r"(?i)certificate"):
                await stranger.head("photos", "cat")
