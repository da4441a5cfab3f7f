"""Jobs, as operators order and follow them over the API."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from backends.model import Bucket, Facts, Row, Version
from tests.admin.asking import Api, asked, running

BUCKET = "photos"


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    """A site of its own, of one bucket in which an object has lost its bytes."""
    async with running(tmp_path / "data", sites={}) as found:
        await found.state.create_bucket(Bucket(BUCKET, "main", 1))
        await found.state.commit(Row(BUCKET, "cat", Facts(Version(1 << 16, "here"), 3)), None)
        yield found


async def ended(api: Api, job: str) -> Any:
    async with asyncio.timeout(20):
        while True:
            found = (await api.ask("GET", f"/jobs/{job}")).value
            if found["standing"] in {"done", "failed", "cancelled"}:
                return found
            await asyncio.sleep(0.05)


async def test_a_job_is_ordered_followed_reported_and_forgotten(api: Api) -> None:
    accepted = await api.ask("POST", "/jobs", {"kind": "scrub", "dry_run": True})
    job = accepted.value["id"]
    done = await ended(api, job)
    report = await lines(api, job)
    listed = (await api.ask("GET", "/jobs?kind=scrub")).value["jobs"]
    others = (await api.ask("GET", "/jobs?kind=adopt")).value["jobs"]
    forgotten = await api.ask("DELETE", f"/jobs/{job}")

    assert (accepted.status, accepted.headers["location"]) == (202, f"/v1/jobs/{job}")
    assert (done["standing"], done["outcome"], done["dry_run"]) == ("done", "differences", True)
    assert done["findings"] == {"LOST": 1}
    assert [(line["kind"], line["bucket"]) for line in report] == [("LOST", BUCKET)]
    assert ([one["id"] for one in listed], others) == ([job], [])
    assert forgotten.status == 204
    assert (await api.ask("GET", f"/jobs/{job}")).status == 404


async def lines(api: Api, job: str) -> list[Any]:
    """The report, as it comes: it is no JSON as a whole."""
    text = b""

    async def application(scope: Any, receive: Any, send: Any) -> None:
        async def keep(message: Any) -> None:
            nonlocal text
            text += message.pop("body", b"")
            await send(message)

        await api.application(scope, receive, keep)

    headers = {"authorization": f"Bearer {api.key}"}
    answer = await asked(application, "GET", f"/v1/jobs/{job}/report", b"", headers)
    assert (answer.status, answer.kind) == (200, "application/x-ndjson")
    return [json.loads(line) for line in text.splitlines()]


async def test_a_job_that_has_ended_cannot_be_paused(api: Api) -> None:
    job = (await api.ask("POST", "/jobs", {"kind": "scrub"})).value["id"]
    await ended(api, job)
    refused = await api.ask("POST", f"/jobs/{job}/pause")

    assert refused.status == 409
    assert "start another one" in refused.value["detail"]


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"kind": "other"}, 409, "there is no kind of job other"),
        ({"kind": "reconcile"}, 409, "set sites.secret"),
        ({"kind": "scrub", "order": {"bucket": "x"}}, 409, "`bucket`"),
        ({"kind": "scrub", "objects_per_second": -1}, 422, "objects_per_second"),
        ({"kind": "adopt", "order": {"bucket": "nowhere"}}, 404, "nowhere"),
        ({}, 422, "/kind"),
    ],
)
async def test_an_order_that_makes_no_sense_is_refused(
    api: Api, body: Any, status: int, words: str
) -> None:
    answer = await api.ask("POST", "/jobs", body)

    assert (answer.status, words in answer.value["detail"]) == (status, True), answer
    assert (await api.ask("GET", "/jobs")).value == {"jobs": []}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/jobs/none"),
        ("GET", "/jobs/none/report"),
        ("POST", "/jobs/none/pause"),
        ("POST", "/jobs/none/resume"),
        ("POST", "/jobs/none/cancel"),
        ("DELETE", "/jobs/none"),
    ],
)
async def test_a_job_that_is_not_there_is_not_found(api: Api, method: str, path: str) -> None:
    answer = await api.ask(method, path)

    assert (answer.status, "no job none" in answer.value["detail"]) == (404, True)


async def test_a_gateway_without_state_has_no_jobs(tmp_path: Path) -> None:
    sections: dict[str, Any] = {"state": {"kind": "none"}, "sites": {}}
    async with running(tmp_path / "simple", **sections) as simple:
        answer = await simple.ask("GET", "/jobs")

    assert (answer.status, "keeps no jobs" in answer.value["detail"]) == (409, True)
