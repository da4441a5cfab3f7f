"""What operators see of buffers: the command, the gauges, and what settings refuse."""

import json
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from backends.errors import Unavailable
from s3proxy.app import nowhere
from s3proxy.buffers import Gauges, told
from s3proxy.config import ConfigError, Settings
from s3proxy.storages import buffer_folders, storages_of
from tests.unit.test_cli import ccs
from tests.unit.unsteady import BUCKET, House, build

S3 = {"CCS_STORAGE__KIND": "s3", "CCS_STORAGE__BUFFER__MODE": "unsteady"}


async def waiting(folder: Path) -> House:
    """A buffer with one put and one delete that wait; the put failed before."""
    house = await build(folder)
    house.faults.error = Unavailable("no [bold]answer[/bold]")
    await house.put("cat", b"meow")
    await house.store.flush_due()
    house.wall.seconds += 90
    await house.store.delete(BUCKET, "dog")
    return house


async def test_the_command_lists_what_waits_without_a_gateway(tmp_path: Path) -> None:
    await (await waiting(tmp_path / "buffers/default")).store.close()

    shown = ccs("buffer", "list", "--data", str(tmp_path), COLUMNS="300", **S3)
    listed = ccs("buffer", "list", "--json", "--limit", "1", "--data", str(tmp_path), **S3)

    assert "default: 2 writes, 4 bytes" in shown.stdout
    assert "cat" in shown.stdout
    assert "no [bold]answer[/bold]" in shown.stdout
    found = json.loads(listed.stdout)["default"]
    assert (found["entries"], found["bytes"], found["failing"]) == (2, 4, 1)
    [one] = found["waiting"]
    assert (one["bucket"], one["key"], one["kind"], one["attempts"]) == (BUCKET, "cat", "put", 1)


def test_the_command_makes_nothing_where_nothing_waits(tmp_path: Path) -> None:
    listed = ccs("buffer", "list", "--json", "--data", str(tmp_path / "data"), **S3)

    assert json.loads(listed.stdout) == {}
    assert not (tmp_path / "data").exists()


async def test_gauges_and_document_tell_the_same(tmp_path: Path) -> None:
    house = await waiting(tmp_path)
    buffers = {"": house.store}
    registry = CollectorRegistry()
    registry.register(Gauges(buffers))

    lines = generate_latest(registry).decode().splitlines()
    document = told(buffers, 10)["default"]

    assert 'ccs_buffer_entries{storage="default"} 2.0' in lines
    assert 'ccs_buffer_oldest_seconds{storage="default"} 90.0' in lines
    assert 'ccs_buffer_failing{storage="default"} 1.0' in lines
    assert (document["oldest_seconds"], len(document["waiting"])) == (90.0, 2)
    await house.store.close()


async def test_a_buffer_is_not_turned_off_while_something_waits(tmp_path: Path) -> None:
    def settings(mode: str) -> Settings:
        storage = {"data": tmp_path, "kind": "s3", "buffer": {"mode": mode, "path": tmp_path / "b"}}
        return Settings.model_validate({"storage": storage})

    house = await waiting(tmp_path / "b")
    with pytest.raises(ConfigError, match="2 writes still wait in"):
        storages_of(settings("off"), nowhere)
    assert dict(buffer_folders(settings("off"))) == {}
    assert dict(buffer_folders(settings("always"))) == {"": tmp_path / "b"}
    house.faults.error = None
    house.wall.seconds += 300
    await house.store.flush_due()
    await house.store.close()

    storages = storages_of(settings("off"), nowhere)
    assert storages.buffers == {}
    await storages.store.close()
