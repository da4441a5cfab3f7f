"""A storage that lost a bucket of which the state knows: the first write makes it there again."""

import pytest

from backends.errors import BucketNotFound, Unreached
from backends.model import Upload
from tests.gateway.conftest import FACTS, Body, House
from tests.gateway.replicated import body, facts_of, west


@pytest.fixture
async def bare(site: House) -> House:
    """A house whose storage has no bucket any more."""
    await site.store.delete_bucket("photos")
    return site


async def test_a_write_makes_it_again_and_comes_once_more(bare: House) -> None:
    with pytest.raises(Unreached, match="had lost the bucket photos"):
        await bare.objects.put("photos", "cat", Body(b"meow"), FACTS, "1")

    await bare.objects.put("photos", "cat", Body(b"meow"), FACTS, "2")

    assert await bare.read("photos", "cat") == b"meow"
    assert (await bare.store.find_bucket("photos")).owner == "main"
    assert await bare.state.unsettled() == 0


async def test_so_does_a_replica(bare: House) -> None:
    data, facts = b"meow", facts_of(b"meow", west(10))
    with pytest.raises(Unreached):
        await bare.replicas.put("photos", "cat", body(data), facts)

    assert await bare.replicas.put("photos", "cat", body(data), facts)

    assert await bare.read("photos", "cat") == data


async def test_so_does_one_that_comes_in_parts(bare: House) -> None:
    facts = facts_of(b"meow", west(10))
    with pytest.raises(Unreached):
        await bare.replicas.begin("photos", "cat", facts)

    assert await bare.replicas.begin("photos", "cat", facts) == []


async def test_so_does_an_upload(bare: House) -> None:
    upload = Upload("photos", "cat", name="", token="", started=0, owner="main")
    with pytest.raises(Unreached):
        await bare.uploads.create(upload)

    assert (await bare.uploads.create(upload)).token


async def test_a_bucket_that_the_state_does_not_know_is_not_made(bare: House) -> None:
    await bare.state.delete_bucket("photos")

    with pytest.raises(BucketNotFound):
        await bare.objects.put("photos", "cat", Body(b"meow"), FACTS, "1")

    with pytest.raises(BucketNotFound):
        await bare.store.find_bucket("photos")
