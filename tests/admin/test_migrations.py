"""Buckets moved between storages, as operators see it."""

import asyncio
from pathlib import Path
from typing import Any

from backends.model import Bucket
from tests.admin.asking import Api, running


async def at_rest(api: Api, bucket: str, phase: str) -> dict[str, Any]:
    """The migration, once it has come to that phase."""
    async with asyncio.timeout(30):
        while True:
            found: dict[str, Any] = (await api.ask("GET", f"/migrations/{bucket}")).value
            if found["phase"] == phase:
                return found
            await asyncio.sleep(0.05)


async def test_a_bucket_moves_and_all_of_a_storage_does(tmp_path: Path) -> None:
    storages = {"cloud": {"path": tmp_path / "cloud"}}
    async with running(tmp_path / "data", storages=storages) as api:
        for name in ("photos", "films"):
            await api.state.create_bucket(Bucket(name, "ann", 1_000))
        begun = await api.ask("POST", "/migrations", {"bucket": "photos", "target": "cloud"})
        [told] = begun.value["migrations"]
        job = await api.ask("GET", f"/jobs/{told['job']}")
        early = await api.ask("POST", "/migrations/photos/cutover")
        bucket = await api.ask("GET", "/buckets/photos")
        rest = await api.ask("POST", "/migrations", {"source": "default", "target": "cloud"})

        copied = await at_rest(api, "photos", "copied")
        ended = await api.ask("POST", "/migrations/photos/cutover", {"keep": True})
        done = await at_rest(api, "photos", "done")
        back = await api.ask("POST", "/migrations/films/rollback")
        returned = await at_rest(api, "films", "returned")
        every = await api.ask("GET", "/migrations")

    started = told.pop("started")
    assert begun.status == 202
    assert told == {
        "bucket": "photos",
        "source": "default",
        "target": "cloud",
        "active": "cloud",
        "phase": "copying",
        "job": told["job"],
        "keeps": False,
    }
    assert (job.value["kind"], job.value["order"]) == ("migrate", {"bucket": "photos"})
    assert (early.status, early.value["type"]) == (409, "urn:ccs:problem:refused")
    assert bucket.value["storage"] == "cloud"
    assert [one["bucket"] for one in rest.value["migrations"]] == ["films"]
    assert (copied["phase"], copied["started"]) == ("copied", started)
    assert (ended.status, ended.value["phase"], ended.value["keeps"]) == (202, "dropping", True)
    assert back.value["active"] == returned["active"] == "default"
    assert every.value == {"migrations": [returned, done]}


async def test_what_is_asked_for_must_make_sense(api: Api) -> None:
    await api.state.create_bucket(Bucket("photos", "ann", 1_000))
    asked: list[tuple[Any, int, str]] = [
        ({"target": "cloud"}, 422, "name a bucket, or the storage whose buckets are to move"),
        ({"bucket": "photos", "source": "a", "target": "b"}, 409, "photos does not lie in a"),
        ({"bucket": "photos", "target": "cloud"}, 404, "there is no storage cloud: there are"),
        ({"bucket": "photos", "target": "default"}, 409, "photos lies in default already"),
        ({"bucket": "nowhere", "target": "default"}, 404, "nowhere"),
    ]
    for body, status, detail in asked:
        answer = await api.ask("POST", "/migrations", body)
        assert answer.status == status
        assert detail in answer.value["detail"]
    never = await api.ask("POST", "/migrations/photos/rollback")
    assert (never.status, never.value["detail"]) == (
        404,
        "photos was never moved: `ccs migrate start` begins it",
    )
