"""Which change goes to which site, and which site suits us: pure decisions."""

import pytest

from backends.errors import Refused
from replication.documents import OWN, SHARED
from replication.federation import require_compatible
from replication.messages import Hello
from replication.topology import PROTOCOL, Rule, Site, SiteState, Topology

WEST = Site("west", "http://west")
NOW = 1_000_000


def topology(*rules: Rule, **own: tuple[Rule, ...]) -> Topology:
    return Topology({"west": WEST}, rules, own)


def test_without_rules_everything_goes_everywhere_but_what_is_a_sites_own() -> None:
    assert topology().sends("photos", "cat", "west")
    assert topology().sends(SHARED, "sites/west", "west")
    assert not topology().sends(OWN, "identity", "west")


@pytest.mark.parametrize(
    ("rule", "sent"),
    [
        (Rule("r", buckets=("photos",)), True),
        (Rule("r", buckets=("ph*",), prefixes=("c", "d")), True),
        (Rule("r", buckets=("papers",)), False),
        (Rule("r", prefixes=("d",)), False),
        (Rule("r", sites=("east",)), False),
        (Rule("r", sites=("w?st",)), True),
    ],
)
def test_a_rule_chooses_by_bucket_prefix_and_site(rule: Rule, sent: bool) -> None:
    assert topology(rule).sends("photos", "cat", "west") is sent


def test_rules_that_are_off_are_none() -> None:
    off = Rule("off", buckets=("papers",), enabled=False)
    assert topology(off).sends("photos", "cat", "west")
    assert not topology(off, Rule("on", buckets=("papers",))).sends("photos", "cat", "west")


def test_a_bucket_goes_where_anything_in_it_may_go() -> None:
    narrow = topology(Rule("r", buckets=("photos",), prefixes=("public/",)))
    assert narrow.sends(SHARED, "buckets/photos", "west")
    assert not narrow.sends(SHARED, "buckets/papers", "west")
    assert narrow.sends(SHARED, "rules/r", "west")


def test_rules_of_a_bucket_stand_in_the_place_of_the_others() -> None:
    both = topology(Rule("all"), photos=(Rule("p", prefixes=("public/",)),))
    assert both.sends("photos", "public/cat", "west")
    assert not both.sends("photos", "private/cat", "west")
    assert both.sends("papers", "private/cat", "west")


def test_a_rule_without_deletes_lets_what_is_removed_stay_there() -> None:
    kept = topology(Rule("r", deletes=False))
    assert kept.sends("photos", "cat", "west")
    assert not kept.sends("photos", "cat", "west", deleted=True)


@pytest.mark.parametrize(
    ("state", "resume_at", "takes", "gives"),
    [
        (SiteState.ACTIVE, 0, True, True),
        (SiteState.PAUSED, 0, False, False),
        (SiteState.PAUSED, NOW + 1, False, False),
        (SiteState.PAUSED, NOW, True, True),
        (SiteState.DRAINED, 0, True, False),
        (SiteState.REMOVED, 0, False, False),
    ],
)
def test_what_is_done_with_a_site(
    state: SiteState, resume_at: int, takes: bool, gives: bool
) -> None:
    site = Site("west", "http://west", state=state, resume_at=resume_at)
    assert (site.takes(NOW), site.gives(NOW)) == (takes, gives)


@pytest.mark.parametrize("now", [NOW - 100, NOW, NOW + 100])
def test_a_clock_that_is_near_enough_is_good(now: int) -> None:
    hello = Hello("west", "id", PROTOCOL, now)
    require_compatible(hello, asked=NOW - 10, answered=NOW + 10, clock=100)


@pytest.mark.parametrize("now", [NOW - 200, NOW + 200])
def test_a_clock_that_is_off_is_refused_with_how_much(now: int) -> None:
    hello = Hello("west", "id", PROTOCOL, now)
    with pytest.raises(Refused, match="190 ms off ours, 100 ms are allowed"):
        require_compatible(hello, asked=NOW - 10, answered=NOW + 10, clock=100)


def test_another_protocol_is_refused() -> None:
    hello = Hello("west", "id", PROTOCOL + 1, NOW)
    with pytest.raises(Refused, match="bring both to one release"):
        require_compatible(hello, asked=NOW, answered=NOW, clock=100)
