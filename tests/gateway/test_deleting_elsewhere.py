"""A delete at one of several sites also counts for objects that have not come there yet."""

import pytest

from backends.errors import NotFound
from s3proxy.gateway.objects import Objects
from s3proxy.gateway.writes import Writes
from tests.gateway.conftest import FACTS, LEASE, Body, House
from tests.gateway.replicated import body, facts_of, west


@pytest.fixture
def objects(site: House) -> Objects:
    writes = Writes(site.state, site.store, site.discards, lease=LEASE)
    return Objects(site.state, site.store, writes, site.discards, buries_unknown=True)


async def test_what_was_deleted_before_it_came_does_not_come(site: House, objects: Objects) -> None:
    await objects.delete("photos", "cat", "an operation")

    applied = await site.replicas.put("photos", "cat", body(b"late"), facts_of(b"late", west(1)))

    assert not applied
    with pytest.raises(NotFound):
        await objects.find("photos", "cat")
    [(_, event)] = await site.state.unread("group", after=0, limit=10)
    newest = await site.state.newest("photos", "cat")
    assert newest is not None
    assert (event.name, event.version) == ("ObjectRemoved:Delete", newest.version)
    assert newest.deleted


async def test_a_delete_behind_a_delete_is_newer(site: House, objects: Objects) -> None:
    await objects.put("photos", "cat", Body(b"x"), FACTS, "an operation")
    await objects.delete("photos", "cat", "an operation")
    first = await site.state.newest("photos", "cat")
    await objects.delete("photos", "cat", "an operation")
    second = await site.state.newest("photos", "cat")

    assert first is not None
    assert second is not None
    assert second.deleted
    assert second.version > first.version
