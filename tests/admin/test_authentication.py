"""Who may ask: operators alone, by their keys."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from backends.errors import Unavailable
from replication.documents import OWN, Documents
from s3proxy.admin.application import admin
from s3proxy.admin.operators import Operator, Operators
from s3proxy.admin.records import OperatorFile
from s3proxy.admin.services import Services
from s3proxy.first_key import new_key
from tests.admin.asking import Api, running

PATHS: Sequence[tuple[str, str]] = (
    ("GET", "/health"),
    ("GET", "/keys"),
    ("POST", "/keys"),
    ("POST", "/sites"),
    ("DELETE", "/operators/tester"),
    ("GET", "/nowhere"),
    ("PATCH", "/health"),
)


@pytest.mark.parametrize(("method", "path"), PATHS)
async def test_without_a_key_nothing_is_answered(api: Api, method: str, path: str) -> None:
    answer = await api.without_key().ask(method, path, body=b"no JSON")

    assert answer.status == 401
    assert answer.headers["www-authenticate"].startswith("Bearer ")
    assert answer.kind == "application/problem+json"
    assert answer.value["status"] == 401


async def test_a_wrong_key_and_another_scheme_are_refused(api: Api) -> None:
    client = new_key("main", "main-key", "main-secret")
    await api.state.put_key(client)
    wrong = api.key[:-1] + ("a" if api.key[-1] != "a" else "b")
    tried = [
        f"Bearer {wrong}",
        f"Bearer {api.key}x",
        f"Basic {api.key}",
        f"Bearer {client.access_key}:{client.secret_key}",
        f"Bearer {client.secret_key}",
        "Bearer",
        "Bearer ",
        "Bearer caf\xe9",
        api.key,
    ]

    for authorization in tried:
        headers = {"authorization": authorization}
        answer = await api.without_key().ask("GET", "/health", headers=headers)
        assert answer.status == 401, authorization


async def test_the_scheme_may_be_written_in_any_case(api: Api) -> None:
    headers = {"authorization": f"bearer {api.key}"}

    assert (await api.without_key().ask("GET", "/health", headers=headers)).status == 200


async def test_the_state_does_not_have_the_key(api: Api) -> None:
    texts = [document.text for document in await Documents(api.state, OWN).under("operators/")]

    assert any(b"tester" in text for text in texts)
    assert not any(api.key.removeprefix("ccs_op_").encode() in text for text in texts)


async def test_an_operator_is_made_listed_used_and_removed(api: Api) -> None:
    made = await api.ask("POST", "/operators", {"name": "second"})
    second = Api(api.application, api.state, made.value["key"])

    assert made.status == 201
    assert (await second.ask("GET", "/health")).status == 200
    listed = (await second.ask("GET", "/operators")).value["operators"]
    assert [operator["name"] for operator in listed] == ["second", "tester"]
    assert all(set(operator) == {"name", "created"} for operator in listed)
    assert (await api.ask("POST", "/operators", {"name": "second"})).status == 409
    assert (await api.ask("POST", "/operators", {"name": "Not so"})).status == 422

    assert (await api.ask("DELETE", "/operators/second")).status == 204
    assert (await second.ask("GET", "/health")).status == 401
    assert (await api.ask("DELETE", "/operators/second")).status == 404


async def test_a_gateway_without_a_database_has_operators_too(tmp_path: Path) -> None:
    sections = {"state": {"kind": "none"}, "sites": {}}
    async with running(tmp_path / "data", **sections) as api:
        made = await api.ask("POST", "/operators", {"name": "second"})
        again = await api.ask("POST", "/operators", {"name": "second"})
        second = Api(api.application, api.state, made.value["key"])
        health = await second.ask("GET", "/health")
        removed = await api.ask("DELETE", "/operators/second")
        listed = (await api.ask("GET", "/operators")).value["operators"]

    assert [made.status, again.status, health.status, removed.status] == [201, 409, 200, 204]
    assert [operator["name"] for operator in listed] == ["tester"]
    file = tmp_path / "data/operators.json"
    assert file.stat().st_mode & 0o777 == 0o600
    assert api.key not in file.read_text()


class Away(OperatorFile):
    """Operators whose state is away."""

    async def every(self) -> list[Operator]:
        raise Unavailable("the state is away")


async def test_while_the_state_is_away_nobody_is_let_in(api: Api, tmp_path: Path) -> None:
    services = Services(
        Operators(Away(tmp_path / "operators.json")), api.state, (), {}, "1", "here"
    )
    answer = await Api(admin(services), api.state, api.key).ask("GET", "/health")

    assert answer.status == 503
    assert answer.headers["retry-after"] == "1"
    assert answer.value["type"] == "urn:ccs:problem:unavailable"
