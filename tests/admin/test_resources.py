"""What operators see and change at one site."""

from pathlib import Path
from typing import Any

import pytest

from backends.errors import Unavailable
from backends.model import Bucket
from s3proxy.admin.application import admin
from s3proxy.admin.operators import Operators
from s3proxy.admin.records import OperatorFile
from s3proxy.admin.services import Services, Storage
from tests.admin.asking import SECRET, Api, running


async def test_a_clients_key_is_made_shown_disabled_and_removed(api: Api) -> None:
    made = await api.ask("POST", "/keys", {"owner": "ann"})
    path = made.headers["location"].removeprefix("/v1")
    shown = await api.ask("GET", path)
    disabled = await api.ask("PATCH", path, {"enabled": False})
    listed = await api.ask("GET", "/keys?owner=ann")
    clients = await api.ask("GET", "/clients")
    removed = await api.ask("DELETE", path)
    gone = [(await api.ask(method, path)).status for method in ("GET", "DELETE")]

    assert made.status == 201
    assert len(made.value.pop("secret_key")) == 40
    assert shown.value == made.value
    assert disabled.value == {**made.value, "enabled": False}
    assert listed.value == {"keys": [disabled.value]}
    assert clients.value["clients"] == [{"owner": "ann", "keys": 1, "enabled_keys": 0}]
    assert (removed.status, removed.value, gone) == (204, None, [404, 404])


async def test_a_key_of_ones_own_is_taken_once(api: Api) -> None:
    own = {"owner": "bob", "access_key": "b-key", "secret_key": "12345678"}

    made = await api.ask("POST", "/keys", own)
    again = await api.ask("POST", "/keys", own)
    half = await api.ask("POST", "/keys", {"owner": "bob", "access_key": "half"})

    assert (made.status, made.value["secret_key"]) == (201, "12345678")
    assert (again.status, again.value["type"]) == (409, "urn:ccs:problem:already-exists")
    assert (half.status, half.value["detail"]) == (
        422,
        "an access key and a secret key go together",
    )


async def test_buckets_of_all_owners_are_listed_page_by_page_without_our_own(api: Api) -> None:
    names = [f"bucket-{number}" for number in range(5)]
    for number, name in enumerate(names):
        await api.state.create_bucket(Bucket(name, f"owner-{number}", 1_000))

    found, after = [], ""
    while after is not None:
        page = (await api.ask("GET", f"/buckets?limit=2&after={after}")).value
        found += [bucket["name"] for bucket in page["buckets"]]
        after = page["next"]

    assert found == names
    assert (await api.ask("GET", "/buckets/bucket-3")).value == {
        "name": "bucket-3",
        "owner": "owner-3",
        "created": "1970-01-01T00:00:01Z",
        "region": "",
        "storage": "default",
        "home": "",
        "remote_read": "",
        "expire_days": 0,
        "archive_to": "",
    }


async def test_a_bucket_tells_when_its_objects_expire(api: Api) -> None:
    for name in ("photos", "archive"):
        await api.state.create_bucket(Bucket(name, "main", 1_000))

    changed = await api.ask(
        "PATCH", "/buckets/photos", {"expire_days": 30, "archive_to": "archive"}
    )
    again = await api.ask("PATCH", "/buckets/photos", {"expire_days": 0})

    assert (changed.value["expire_days"], changed.value["archive_to"]) == (30, "archive")
    assert (again.value["expire_days"], again.value["archive_to"]) == (0, "archive")
    refused = await api.ask("PATCH", "/buckets/photos", {"archive_to": "photos"})
    assert (refused.status, "own archive" in refused.value["detail"]) == (409, True)
    unknown = await api.ask("PATCH", "/buckets/photos", {"archive_to": "nowhere"})
    assert unknown.status == 404
    less = await api.ask("PATCH", "/buckets/photos", {"expire_days": -1})
    assert less.status == 422


@pytest.mark.parametrize("name", ["none", ".ccs", ".ccs.local"])
async def test_buckets_of_our_own_are_not_there_for_operators(api: Api, name: str) -> None:
    shown = await api.ask("GET", f"/buckets/{name}")
    changed = await api.ask("PATCH", f"/buckets/{name}", {"home": "local"})

    assert [shown.status, changed.status] == [404, 404]


async def test_the_configuration_in_force_is_told_without_secrets(tmp_path: Path) -> None:
    sections: dict[str, Any] = {
        "storages": {"far": {"s3": {"access_key": "far-key", "secret_key": "far-secret"}}},
        "events": {"kafka": {"password": "kafka-secret", "servers": ["a:1", "b:2"]}},
        "server": {"port": 9100},
    }
    async with running(tmp_path / "data", **sections) as api:
        told = await api.ask("GET", "/configuration")

    assert told.value["server"]["port"] == 9100
    assert told.value["events"]["kafka"]["servers"] == ["a:1", "b:2"]
    assert told.value["storages"]["far"]["s3"]["access_key"] == "far-key"
    assert told.value["storages"]["far"]["s3"]["secret_key"] == "***"
    assert told.value["sites"]["secret"] == "***"
    assert told.value["storage"]["azure"]["account_key"] == ""
    text = str(told.value)
    assert not [secret for secret in (SECRET, "far-secret", "kafka-secret") if secret in text]


async def test_storages_are_told_with_their_kinds_and_places(tmp_path: Path) -> None:
    async with running(
        tmp_path / "data", storages={"archive": {"buckets": ["old-*"], "kind": "local"}}
    ) as api:
        told = (await api.ask("GET", "/storages")).value["storages"]
        archive = (await api.ask("GET", "/storages/archive")).value
        missing = await api.ask("GET", "/storages/tape")

    assert [(one["name"], one["kind"], one["healthy"]) for one in told] == [
        ("default", "local", True),
        ("archive", "local", True),
    ]
    assert (archive["buckets"], archive["location"]) == (["old-*"], "archive")
    assert missing.status == 404


async def test_what_does_not_answer_is_named(api: Api, tmp_path: Path) -> None:
    async def down() -> None:
        raise Unavailable("no answer from far")

    operators = Operators(OperatorFile(tmp_path / "operators.json"))
    key = (await operators.create("tester")).key
    storages = [Storage("default", "local", api.state.ping), Storage("far", "s3", down)]
    sick = Api(admin(Services(operators, api.state, storages, {}, "1.2", "here")), api.state, key)

    health = await sick.ask("GET", "/health")
    far = (await sick.ask("GET", "/storages/far")).value

    assert health.status == 200
    assert health.value == {
        "healthy": False,
        "faults": {"storage far": "no answer from far"},
        "site": "here",
        "version": "1.2",
    }
    assert (far["healthy"], far["fault"]) == (False, "no answer from far")


async def test_a_healthy_gateway_says_so(api: Api) -> None:
    health = (await api.ask("GET", "/health")).value

    assert (health["healthy"], health["faults"], health["site"]) == (True, {}, "local")
