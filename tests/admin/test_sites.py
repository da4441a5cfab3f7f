"""Sites, rules and dead letters over the API. That replication obeys is shown elsewhere."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from backends.model import Bucket, Event, Facts, Row, Version
from replication.documents import OWN, Documents
from replication.parked import Parking
from replication.topology import SITES, Site
from tests.admin.asking import Api, running

NOWHERE = "http://127.0.0.1:9"
NOON = 1_900_000_000_000


@pytest.fixture
async def api(api: Api) -> Api:
    """The API of a site that knows another one, which does not answer."""
    shared = Documents(api.state)
    await shared.put(f"{SITES}local", Site("local", "http://127.0.0.1:9003", "id-a", added=NOON))
    await shared.put(f"{SITES}b", Site("b", NOWHERE, "id-b", added=NOON))
    return api


async def state_of(api: Api, name: str = "b") -> tuple[str, Any]:
    site = (await api.ask("GET", f"/sites/{name}")).value
    return site["state"], site["resume_at"]


async def test_all_sites_are_listed(api: Api) -> None:
    sites = (await api.ask("GET", "/sites")).value["sites"]

    assert [site["name"] for site in sites] == ["b", "local"]
    assert sites[0] == {
        "name": "b",
        "id": "id-b",
        "endpoint": NOWHERE,
        "state": "active",
        "read_priority": 0,
        "added": datetime.fromtimestamp(NOON / 1000, UTC).isoformat().replace("+00:00", "Z"),
        "resume_at": None,
        "bandwidth": [],
    }


async def test_a_site_is_paused_and_resumed_at_once_or_at_a_time(api: Api) -> None:
    paused = await api.ask("POST", "/sites/b/pause")
    later = await api.ask("POST", "/sites/b/resume", {"at": "2031-01-31T22:00:00+01:00"})
    waiting = await state_of(api)
    resumed = await api.ask("POST", "/sites/b/resume")

    assert paused.value["state"] == "paused"
    assert (later.value["state"], later.value["resume_at"]) == waiting
    assert waiting == ("paused", "2031-01-31T21:00:00Z")
    assert (resumed.value["state"], resumed.value["resume_at"]) == ("active", None)
    assert await state_of(api) == ("active", None)


async def test_a_pause_ends_a_plan_to_resume(api: Api) -> None:
    await api.ask("POST", "/sites/b/resume", {"at": "2031-01-31T22:00:00Z"})

    await api.ask("POST", "/sites/b/pause")

    assert await state_of(api) == ("paused", None)


async def test_what_a_change_leaves_out_stays(api: Api) -> None:
    drained = await api.ask("PATCH", "/sites/b", {"state": "drained"})
    moved = await api.ask("PATCH", "/sites/b", {"endpoint": "http://127.0.0.1:10"})
    last = await api.ask("PATCH", "/sites/b", {"read_priority": 7})

    assert drained.value["state"] == "drained"
    assert moved.value == {**drained.value, "endpoint": "http://127.0.0.1:10"}
    assert last.value == {**moved.value, "read_priority": 7}


async def test_limits_of_bandwidth_are_set_shown_and_dropped(api: Api) -> None:
    day = {"direction": "out", "bytes_per_second": 5_000_000, "since": "08:00", "until": "18:00"}
    plain = {"direction": "in", "bytes_per_second": 0, "since": None, "until": None}

    limited = await api.ask("PATCH", "/sites/b", {"bandwidth": [day, plain]})
    other = await api.ask("PATCH", "/sites/b", {"read_priority": 7})
    cleared = await api.ask("PATCH", "/sites/b", {"bandwidth": []})

    assert limited.value["bandwidth"] == other.value["bandwidth"] == [day, plain]
    assert cleared.value["bandwidth"] == []


@pytest.mark.parametrize(
    "limit",
    [
        {"direction": "out", "bytes_per_second": 65_535},
        {"direction": "out", "bytes_per_second": -1},
        {"direction": "up", "bytes_per_second": 0},
        {"direction": "in", "bytes_per_second": 65_536, "since": "08:00"},
        {"direction": "in", "bytes_per_second": 65_536, "since": "08:00", "until": "24:00"},
        {"direction": "in", "bytes_per_second": 65_536, "since": "08:00", "until": "08:00"},
    ],
)
async def test_limits_that_say_nothing_or_let_nothing_pass_are_refused(
    api: Api, limit: dict[str, Any]
) -> None:
    answer = await api.ask("PATCH", "/sites/b", {"bandwidth": [limit]})

    assert (answer.status, answer.value["type"]) == (422, "urn:ccs:problem:invalid")
    assert (await api.ask("GET", "/sites/b")).value["bandwidth"] == []


async def test_a_removed_site_stays_listed_and_cannot_be_changed(api: Api) -> None:
    removed = await api.ask("DELETE", "/sites/b")
    paused = await api.ask("POST", "/sites/b/pause")

    assert removed.status == 204
    assert await state_of(api) == ("removed", None)
    assert (paused.status, paused.value["type"]) == (409, "urn:ccs:problem:refused")


async def test_a_site_cannot_remove_itself(api: Api) -> None:
    answer = await api.ask("DELETE", "/sites/local")

    assert answer.status == 409
    assert await state_of(api, "local") == ("active", None)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/sites/c"),
        ("PATCH", "/sites/c"),
        ("DELETE", "/sites/c"),
        ("POST", "/sites/c/pause"),
        ("POST", "/sites/c/resume"),
        ("POST", "/sites/c/sync"),
        ("GET", "/sites/c/status"),
        ("GET", "/sites/local/status"),
        ("GET", "/sites/c/dead-letters"),
        ("POST", "/sites/c/dead-letters/retry"),
        ("DELETE", "/sites/c/dead-letters"),
        ("GET", "/sites/c/sync"),
        ("GET", "/jobs/other"),
        ("GET", "/rules/none"),
        ("DELETE", "/rules/none"),
    ],
)
async def test_what_is_not_there_is_not_found(api: Api, method: str, path: str) -> None:
    answer = await api.ask(method, path, {} if method == "PATCH" else None)

    assert (answer.status, answer.value["type"]) == (404, "urn:ccs:problem:not-found")


async def test_a_site_that_does_not_answer_is_not_added(api: Api) -> None:
    answer = await api.ask("POST", "/sites", {"endpoint": NOWHERE})

    assert (answer.status, answer.value["type"]) == (503, "urn:ccs:problem:unavailable")


async def test_a_rule_is_put_replaced_shown_and_removed(api: Api) -> None:
    narrow: dict[str, Any] = {"buckets": ["a-*"], "prefixes": ["x/", "y/"], "sites": ["b"]}
    narrow |= {"enabled": False, "deletes": False}

    first = await api.ask("PUT", "/rules/r", {})
    replaced = await api.ask("PUT", "/rules/r", narrow)
    listed = await api.ask("GET", "/rules")
    shown = await api.ask("GET", "/rules/r")
    removed = await api.ask("DELETE", "/rules/r")

    everything: dict[str, Any] = {"buckets": ["*"], "prefixes": [""], "sites": ["*"]}
    everything |= {"enabled": True, "deletes": True}
    assert first.value == {"name": "r", **everything}
    assert replaced.value == shown.value == {"name": "r", **narrow}
    assert listed.value == {"rules": [shown.value]}
    assert removed.status == 204
    assert (await api.ask("GET", "/rules")).value == {"rules": []}


async def parked(api: Api, *keys: str) -> None:
    """Give up the removals of these objects."""
    parking = Parking(Documents(api.state, OWN))
    await api.state.create_bucket(Bucket("photos", "main", NOON))
    for key in keys:
        intent = await api.state.begin("photos", key, lease=60_000)
        row = Row("photos", key, Facts(intent.version), deleted=True)
        await api.state.commit(row, None, intent=intent)
        event = Event("ObjectRemoved:Delete", "photos", key, intent.version)
        await parking.park("b", event, "it does not fit", 10)


async def test_dead_letters_are_listed_retried_and_dropped(api: Api) -> None:
    await parked(api, "a/b c", "d")

    listed = (await api.ask("GET", "/sites/b/dead-letters")).value["dead_letters"]
    retried = await api.ask("POST", "/sites/b/dead-letters/retry", {"bucket": "photos"})
    none = await api.ask("DELETE", "/sites/b/dead-letters?bucket=films")
    one = await api.ask("DELETE", "/sites/b/dead-letters?bucket=photos&key=a/b%20c")
    left = (await api.ask("GET", "/sites/b/dead-letters")).value["dead_letters"]
    counted = (await api.ask("GET", "/sites/b/status")).value["dead_letters"]

    assert datetime.fromisoformat(listed[0].pop("since")).tzinfo
    assert Version.parse(listed[0].pop("version")).site == "local"
    assert listed[0] == {
        "bucket": "photos",
        "key": "a/b c",
        "event": "ObjectRemoved:Delete",
        "size": 0,
        "reason": "it does not fit",
        "attempts": 10,
    }
    assert (retried.status, retried.value["type"]) == (503, "urn:ccs:problem:unavailable")
    assert (none.value, one.value) == ({"count": 0}, {"count": 1})
    assert [letter["key"] for letter in left] == ["d"]
    assert counted == 1


async def test_status_says_how_each_other_site_stands(api: Api) -> None:
    targets = (await api.ask("GET", "/status")).value["targets"]
    one = (await api.ask("GET", "/sites/b/status")).value

    assert [target["site"] for target in targets] == ["b"]
    assert (one["site"], one["state"], one["dead_letters"]) == ("b", "active", 0)
    assert (one["last_success"], one["buckets"]) == (None, [])


async def test_a_sync_can_be_followed(api: Api) -> None:
    accepted = await api.ask("POST", "/sites/b/sync")
    job = await api.ask("GET", accepted.headers["location"].removeprefix("/v1"))

    assert (accepted.status, accepted.headers["location"]) == (202, "/v1/sites/b/sync")
    assert (accepted.value["state"], accepted.value["site"]) == ("running", "b")
    assert job.value == accepted.value


async def test_a_site_without_a_secret_says_that_it_is_alone(tmp_path: Path) -> None:
    async with running(tmp_path / "alone", sites={}) as alone:
        answer = await alone.ask("GET", "/sites")

    assert answer.status == 409
    assert "sites.secret" in answer.value["detail"]
