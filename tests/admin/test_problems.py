"""Errors are problem details (RFC 9457), wherever they come from."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from backends import errors
from s3proxy.admin import problems
from tests.admin.asking import Api, answer_of

STATUSES = {
    "NotFound": 404,
    "BucketNotFound": 404,
    "UploadNotFound": 404,
    "AlreadyExists": 409,
    "NotEmpty": 409,
    "Refused": 409,
    "PreconditionFailed": 412,
    "InvalidName": 422,
    "NotSupported": 501,
    "AccessDenied": 502,
    "Unavailable": 503,
    "Unreached": 503,
    "Busy": 503,
    "NoSpace": 507,
}


def every(kind: type[errors.BackendError]) -> Iterator[type[errors.BackendError]]:
    yield kind
    for narrower in kind.__subclasses__():
        yield from every(narrower)


@pytest.mark.parametrize("kind", list(every(errors.BackendError)), ids=lambda kind: kind.__name__)
def test_each_error_has_a_status_and_keeps_its_sentence(kind: type[errors.BackendError]) -> None:
    answer = problems.of(kind("what happened to what"))

    told = json.loads(bytes(answer.body))
    known = next((STATUSES[one.__name__] for one in kind.__mro__ if one.__name__ in STATUSES), 500)
    assert answer.media_type == "application/problem+json"
    assert (answer.status_code, told["status"]) == (known, known)
    assert told["detail"] == "what happened to what"
    assert told["type"].startswith("urn:ccs:problem:")
    assert ("retry-after" in answer.headers) == (known == 503)


async def test_a_path_that_is_not_there_is_a_problem(api: Api) -> None:
    answer = await api.ask("GET", "/nowhere")

    assert answer.kind == "application/problem+json"
    assert answer.value == {"type": "about:blank", "title": "Not Found", "status": 404}


async def test_a_method_that_is_not_there_is_a_problem_and_names_those_that_are(api: Api) -> None:
    answer = await api.ask("PATCH", "/health")

    assert answer.kind == "application/problem+json"
    assert (answer.status, answer.headers["allow"]) == (405, "GET")


@pytest.mark.parametrize(
    ("method", "path", "body", "at"),
    [
        ("POST", "/keys", {"owner": ""}, "/owner"),
        ("POST", "/keys", {}, "/owner"),
        ("POST", "/keys", {"owner": "ann", "acess_key": "x"}, "/acess_key"),
        ("POST", "/keys", [], ""),
        ("POST", "/sites", {"endpoint": "b.example"}, "/endpoint"),
        ("PATCH", "/sites/b", {"state": "removed"}, "/state"),
        ("POST", "/sites/b/resume", {"at": "2030-01-31T22:00:00"}, "/at"),
        ("PUT", "/rules/r", {"buckets": []}, "/buckets"),
        ("GET", "/buckets?limit=0", None, "limit"),
    ],
)
async def test_an_invalid_request_is_a_problem_that_says_where(
    api: Api, method: str, path: str, body: Any, at: str
) -> None:
    answer = await api.ask(method, path, body)

    assert answer.kind == "application/problem+json"
    assert (answer.status, answer.value["type"]) == (422, "urn:ccs:problem:invalid")
    assert [fault["at"] for fault in answer.value["errors"]] == [at]
    assert answer.value["errors"][0]["detail"] in answer.value["detail"]


async def test_a_body_that_is_no_json_is_a_problem(api: Api) -> None:
    answer = await api.ask("POST", "/keys", b"{")

    assert answer.kind == "application/problem+json"
    assert answer.status == 422


async def test_a_bug_is_a_problem_without_details(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail() -> None:
        raise ZeroDivisionError("with a secret in it")

    monkeypatch.setattr(api.state, "keys", fail)
    messages: list[Any] = []

    async def send(message: Any) -> None:
        messages.append(message)

    with pytest.raises(ZeroDivisionError):
        await ask_raw(api, "/v1/keys", send)

    answer = answer_of(messages)
    assert answer.value == {
        "type": "about:blank",
        "title": "Internal Server Error",
        "status": 500,
    }


async def ask_raw(api: Api, path: str, send: Any) -> None:
    headers = [(b"authorization", f"Bearer {api.key}".encode())]
    scope = {
        "type": "http",
        "method": "GET",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": headers,
    }

    async def receive() -> Any:
        return {"type": "http.request", "body": b""}

    await api.application(scope, receive, send)
