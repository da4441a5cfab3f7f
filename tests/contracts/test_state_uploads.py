"""Multipart uploads in every state store."""

import pytest

from backends.errors import BucketNotFound, UploadNotFound
from backends.model import Checksum, ChecksumType, Part, Upload
from backends.state.protocol import StateStore
from tests.contracts.state_stores import BUCKET, LEASE, NOON, Wall, commit, row

BEHIND_ALL = "\U0010ffff"


def upload(key: str = "cat", name: str = "one", *, bucket: str = BUCKET) -> Upload:
    return Upload(bucket, key, name, f"token of {name}", NOON, "main")


def part(number: int, etag: str = "etag") -> Part:
    return Part(number, 5, etag, NOON, f"token of {etag}")


async def listed(
    state: StateStore, *, prefix: str = "", after: tuple[str, str] = ("", ""), limit: int = 100
) -> list[tuple[str, str]]:
    found = await state.uploads(BUCKET, prefix=prefix, after=after, limit=limit)
    return [(one.key, one.name) for one in found]


async def test_an_upload_comes_back_with_all_it_began_with(state: StateStore) -> None:
    begun = Upload(
        BUCKET,
        "cat",
        "one",
        "token",
        NOON,
        "main",
        headers={"content-type": "text/x-cat"},
        metadata={"name": "Tom"},
        storage_class="STANDARD_IA",
        algorithm="CRC32C",
        kind=ChecksumType.FULL_OBJECT,
        expires=NOON,
    )

    await state.create_upload(begun)

    assert await state.upload(BUCKET, "cat", "one") == begun
    assert await state.uploads(BUCKET, prefix="", after=("", ""), limit=10) == [begun]


async def test_no_upload_begins_in_a_bucket_that_is_not_there(state: StateStore) -> None:
    with pytest.raises(BucketNotFound):
        await state.create_upload(upload(bucket="nowhere"))
    with pytest.raises(BucketNotFound):
        await state.uploads("nowhere", prefix="", after=("", ""), limit=10)


@pytest.mark.parametrize(("key", "name"), [("cat", "never begun"), ("dog", "one")])
async def test_an_upload_is_known_by_its_key_and_name_alone(
    state: StateStore, key: str, name: str
) -> None:
    await state.create_upload(upload("cat", "one"))

    with pytest.raises(UploadNotFound):
        await state.upload(BUCKET, key, name)
    with pytest.raises(UploadNotFound):
        await state.put_part(BUCKET, key, name, part(1))
    with pytest.raises(UploadNotFound):
        await state.parts(BUCKET, key, name)
    with pytest.raises(UploadNotFound):
        await state.delete_upload(BUCKET, key, name)


async def test_uploads_are_listed_by_key_then_name(state: StateStore) -> None:
    for key, name in [("b", "1"), ("a/b", "1"), ("a", "2"), ("a", "1"), ("é", "1")]:
        await state.create_upload(upload(key, name))

    assert await listed(state) == [("a", "1"), ("a", "2"), ("a/b", "1"), ("b", "1"), ("é", "1")]
    assert await listed(state, prefix="a") == [("a", "1"), ("a", "2"), ("a/b", "1")]


async def test_a_page_of_uploads_starts_before_or_behind_those_of_a_key(state: StateStore) -> None:
    for key, name in [("a", "1"), ("a", "2"), ("b", "1"), ("b", "2")]:
        await state.create_upload(upload(key, name))

    assert await listed(state, after=("a", "1"), limit=2) == [("a", "2"), ("b", "1")]
    assert await listed(state, after=("b", "")) == [("b", "1"), ("b", "2")]
    assert await listed(state, after=("a", BEHIND_ALL)) == [("b", "1"), ("b", "2")]
    assert await listed(state, prefix="a", after=("a", "2")) == []
    assert await listed(state, prefix="b", after=("a", "1")) == [("b", "1"), ("b", "2")]


async def test_parts_are_listed_by_number_in_pages(state: StateStore) -> None:
    await state.create_upload(upload())
    for number in (10_000, 2, 1):
        assert await state.put_part(BUCKET, "cat", "one", part(number)) is None

    first = await state.parts(BUCKET, "cat", "one", limit=2)
    rest = await state.parts(BUCKET, "cat", "one", after=first[-1].number)

    assert first == [part(1), part(2)]
    assert rest == [part(10_000)]


async def test_a_part_sent_again_answers_the_one_that_it_replaced(state: StateStore) -> None:
    again = Part(1, 9, "again", NOON, "token", Checksum("SHA256", "AA=="))
    await state.create_upload(upload())
    await state.put_part(BUCKET, "cat", "one", part(1))

    assert await state.put_part(BUCKET, "cat", "one", again) == part(1)
    assert await state.parts(BUCKET, "cat", "one") == [again]


async def test_two_uploads_of_one_key_keep_their_parts_apart(state: StateStore) -> None:
    for name in ("one", "two"):
        await state.create_upload(upload("cat", name))
        await state.put_part(BUCKET, "cat", name, part(1, name))

    await state.delete_upload(BUCKET, "cat", "one")

    assert await listed(state) == [("cat", "two")]
    assert await state.parts(BUCKET, "cat", "two") == [part(1, "two")]


async def test_an_upload_that_is_deleted_is_over(state: StateStore) -> None:
    await state.create_upload(upload())
    await state.put_part(BUCKET, "cat", "one", part(1))

    await state.delete_upload(BUCKET, "cat", "one")

    with pytest.raises(UploadNotFound):
        await state.upload(BUCKET, "cat", "one")
    with pytest.raises(UploadNotFound):
        await state.delete_upload(BUCKET, "cat", "one")
    await state.create_upload(upload())
    assert await state.parts(BUCKET, "cat", "one") == []


async def test_a_commit_ends_the_upload_that_it_completes(state: StateStore) -> None:
    await state.create_upload(upload())
    await state.put_part(BUCKET, "cat", "one", part(1))
    intent = await state.begin(BUCKET, "cat", lease=LEASE, upload="one")

    await commit(state, row(intent.version), intent=intent, upload="one")

    with pytest.raises(UploadNotFound):
        await state.parts(BUCKET, "cat", "one")
    with pytest.raises(UploadNotFound):
        await state.begin(BUCKET, "cat", lease=LEASE, upload="one")


async def test_a_commit_that_does_not_win_leaves_the_upload(state: StateStore) -> None:
    await state.create_upload(upload())
    late = await state.begin(BUCKET, "cat", lease=LEASE, upload="one")
    newer = await state.begin(BUCKET, "cat", lease=LEASE)
    await commit(state, row(newer.version), intent=newer)

    assert not (await commit(state, row(late.version), intent=late, upload="one")).won
    assert await state.upload(BUCKET, "cat", "one") == upload()


async def test_an_intent_remembers_the_upload_it_would_consume(
    state: StateStore, wall: Wall
) -> None:
    await state.create_upload(upload())
    await state.begin(BUCKET, "cat", lease=LEASE, upload="one")
    wall.milliseconds += LEASE

    [claimed] = await state.claim_expired_intents(lease=LEASE, limit=10)

    assert claimed.upload == "one"


async def test_stale_uploads_are_those_begun_long_ago(state: StateStore, wall: Wall) -> None:
    await state.create_upload(upload("old"))
    wall.milliseconds += 1000
    young = Upload(BUCKET, "young", "young", "token", wall(), "main")
    await state.create_upload(young)

    assert await state.stale_uploads(older_than=1000, limit=10) == []
    assert await state.stale_uploads(older_than=500, limit=10) == [upload("old")]
    assert len(await state.stale_uploads(older_than=-1, limit=1)) == 1
