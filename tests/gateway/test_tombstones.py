"""Tombstones go when they are old, and when every other site has confirmed them: not before."""

from collections.abc import Mapping

import pytest
from msgspec.structs import replace

from backends.clock import milliseconds
from backends.model import Event
from replication.backfill import BACKFILL, Checkpoint
from replication.confirmed import Confirmations, KeptBack, confirm
from replication.documents import OWN, SHARED, Documents
from replication.parked import Parking
from replication.topology import SITES, Site, SiteState, group_of
from s3proxy.gateway.tombstones import Tombstones
from tests.gateway.conftest import FACTS, Body, House

HOUR = 3_600_000
CLOCK = 5_000


@pytest.fixture
async def own(house: House) -> Documents:
    documents = Documents(house.state, OWN)
    await documents.prepare()
    await Documents(house.state, SHARED).prepare()
    return documents


@pytest.fixture
async def shared(house: House, own: Documents) -> Documents:
    return Documents(house.state, SHARED)


async def know(shared: Documents, **sites: SiteState) -> None:
    for name, state in sites.items():
        await shared.put(SITES + name, Site(name, "http://nowhere", state=state))


async def hear(house: House, own: Documents, site: str) -> None:
    """The site was added, and all that was here before has been sent to it."""
    await house.state.subscribe(group_of(site))
    await own.put(BACKFILL + site, Checkpoint(done=True))


async def delete(house: House, key: str = "cat") -> None:
    await house.objects.put("photos", key, Body(b"meow"), FACTS, "1")
    await house.objects.delete("photos", key, "2")


async def acknowledge(house: House, site: str) -> None:
    unread = await house.state.unread(group_of(site), after=0, limit=1000)
    await house.state.acknowledge(group_of(site), unread[-1][0])


def confirmations(house: House, *, in_order: bool = True) -> Confirmations:
    return Confirmations(house.state, "here", clock=CLOCK, in_order=in_order)


def tombstones(house: House, confirmed: Mapping[str, int] | Confirmations) -> Tombstones:
    async def told() -> Mapping[str, int]:
        return confirmed if isinstance(confirmed, Mapping) else await confirmed.by_site()

    return Tombstones(house.state, HOUR, told, now=house.now)


async def is_remembered(house: House, key: str = "cat") -> bool:
    return await house.state.newest("photos", key) is not None


async def test_a_site_without_others_forgets_what_is_old(house: House) -> None:
    await delete(house)
    found = Tombstones(house.state, HOUR, now=house.now)
    assert await found.purge() == 0

    house.ahead = 2 * HOUR

    assert await found.purge() == 1
    assert (found.purged, await is_remembered(house)) == (1, False)


async def test_nothing_goes_that_one_site_has_not_confirmed(house: House) -> None:
    await delete(house)
    house.ahead = 2 * HOUR
    there = {"east": house.now(), "west": 0}
    found = tombstones(house, there)

    assert await found.purge() == 0
    assert found.held == {"west": 0}
    there["west"] = milliseconds() - 1_000
    assert await found.purge() == 0
    there["west"] = house.now()

    assert await found.purge() == 1
    assert found.held == {}


async def test_a_confirmation_does_not_shorten_the_retention(house: House) -> None:
    await delete(house)
    house.ahead = HOUR // 2

    assert await tombstones(house, {"west": house.now()}).purge() == 0


async def test_a_comparison_confirms_what_was_there_when_it_began(
    own: Documents, shared: Documents, house: House
) -> None:
    await know(shared, here=SiteState.ACTIVE, east=SiteState.ACTIVE, west=SiteState.PAUSED)
    found = confirmations(house)
    assert await found.by_site() == {"east": 0, "west": 0}

    await confirm(own, "east", 1_000_000)
    await confirm(own, "east", 500_000)

    assert await found.by_site() == {"east": 1_000_000 - CLOCK, "west": 0}


async def test_a_site_that_was_removed_holds_nothing_up(shared: Documents, house: House) -> None:
    await know(shared, here=SiteState.ACTIVE, west=SiteState.REMOVED)

    assert await confirmations(house).by_site() == {}


async def test_the_other_of_two_confirms_by_taking_all_changes(
    own: Documents, shared: Documents, house: House
) -> None:
    await know(shared, here=SiteState.ACTIVE, west=SiteState.ACTIVE)
    await hear(house, own, "west")
    began = milliseconds()
    await delete(house)
    [waiting] = (await confirmations(house).by_site()).values()

    await acknowledge(house, "west")

    assert waiting < began
    assert (await confirmations(house).by_site())["west"] >= began


async def test_a_change_that_was_given_up_confirms_nothing_behind_it(
    own: Documents, shared: Documents, house: House
) -> None:
    await know(shared, here=SiteState.ACTIVE, west=SiteState.ACTIVE)
    await hear(house, own, "west")
    await delete(house)
    [_, (_, event)] = await house.state.unread(group_of("west"), after=0, limit=9)
    await acknowledge(house, "west")

    await Parking(own).park("west", event, "it refuses", 3)
    held = (await confirmations(house).by_site())["west"]
    await Parking(own).settle("west", event.bucket, event.key)

    assert held < event.made
    assert (await confirmations(house).by_site())["west"] > event.made


async def test_a_site_that_lacks_what_was_here_before_confirms_nothing(
    own: Documents, shared: Documents, house: House
) -> None:
    await know(shared, here=SiteState.ACTIVE, west=SiteState.ACTIVE)
    await house.state.subscribe(group_of("west"))
    assert await confirmations(house).by_site() == {"west": 0}

    await own.put(f"{BACKFILL}west", Checkpoint("photos", "cat"))

    assert await confirmations(house).by_site() == {"west": 0}


async def test_a_delete_that_rules_keep_back_is_confirmed_by_a_comparison_alone(
    own: Documents, shared: Documents, house: House
) -> None:
    await know(shared, here=SiteState.ACTIVE, west=SiteState.ACTIVE)
    await hear(house, own, "west")
    began = milliseconds()
    await KeptBack(own).tell("west")
    assert await confirmations(house).by_site() == {"west": 0}

    await confirm(own, "west", began)
    assert await confirmations(house).by_site() == {"west": began - CLOCK}
    await confirm(own, "west", milliseconds() + HOUR)

    assert (await confirmations(house).by_site())["west"] > milliseconds()


@pytest.mark.parametrize("why", ["a third site", "a third that was removed", "a broker"])
async def test_taking_changes_is_no_proof_where_there_are_other_ways(
    own: Documents, shared: Documents, house: House, why: str
) -> None:
    await know(shared, here=SiteState.ACTIVE, west=SiteState.ACTIVE)
    await hear(house, own, "west")
    if why == "a third site":
        await know(shared, east=SiteState.ACTIVE)
    if why == "a third that was removed":
        await know(shared, east=SiteState.REMOVED)

    found = await confirmations(house, in_order=why != "a broker").by_site()

    assert set(found.values()) == {0}


async def test_the_end_of_an_old_object_waits_for_the_site_that_has_not_read_it(
    own: Documents, shared: Documents, house: House
) -> None:
    await know(shared, here=SiteState.ACTIVE, west=SiteState.ACTIVE)
    await hear(house, own, "west")
    await delete(house, "dog")
    await acknowledge(house, "west")
    row = await house.objects.put("photos", "cat", Body(b"meow"), FACTS, "1")
    await acknowledge(house, "west")
    buried = replace(row, facts=replace(FACTS, version=row.version.end), deleted=True, locator="")
    event = Event("LifecycleExpiration:Delete", "photos", "cat", buried.version, at=house.now())
    await house.state.commit(buried, event)
    house.ahead = 2 * HOUR

    assert await tombstones(house, {"west": house.now()}).purge() == 1
    assert await is_remembered(house, "cat")
    await acknowledge(house, "west")

    assert await tombstones(house, {"west": house.now()}).purge() == 1
