"""`ccs state` and `ccs db`, as their own processes."""

import shutil
import sqlite3
from pathlib import Path

from backends.model import Bucket, Facts, Row, Version
from backends.state.sqlite import SQLiteState
from backends.storage.local import LocalStore
from backends.storage.source import BytesSource
from tests.unit.test_cli import ccs

NOON = 1_700_000_000_000


def settings(folder: Path, name: str) -> Path:
    """A settings file whose data folder is `name`."""
    file = folder / f"{name}.toml"
    file.write_text(f'[storage]\ndata = "{folder / name}"\n')
    (folder / name).mkdir(exist_ok=True)
    return file


async def fill(data: Path) -> list[Row]:
    """Two objects in storage and state, as a gateway leaves them."""
    state = SQLiteState.open(data / "state.db", site="here")
    store = LocalStore.open(data / "storage")
    bucket = Bucket("photos", "ann", NOON, "eu-central-1")
    await store.create_bucket(bucket)
    await state.create_bucket(bucket)
    rows = []
    for number, key in enumerate(("cat", "dog"), start=1):
        facts = Facts(Version(number, "here"), 4, "etag", "ann", metadata={"name": key})
        stored = await store.put("photos", key, BytesSource(b"meow", facts))
        rows.append(Row("photos", key, facts, stored.locator))
        await state.commit(rows[-1], None)
    await state.close()
    await store.close()
    return rows


async def rows_of(data: Path) -> list[Row]:
    state = SQLiteState.open(data / "state.db", site="here")
    rows = await state.inventory("photos", after="", limit=10)
    await state.close()
    return rows


async def test_a_state_is_copied_and_the_copy_is_told(tmp_path: Path) -> None:
    source, target = settings(tmp_path, "old"), settings(tmp_path, "new")
    rows = await fill(tmp_path / "old")

    done = ccs("state", "copy", "--from", str(source), "--to", str(target))
    again = ccs("state", "copy", "--from", str(source), "--to", str(target))

    assert (done.returncode, done.stderr) == (0, "")
    assert "1 buckets and 2 rows are alike in both." in done.stdout
    assert again.stdout == done.stdout
    assert await rows_of(tmp_path / "new") == rows


async def test_a_lost_state_is_rebuilt_from_the_storage(tmp_path: Path) -> None:
    file = settings(tmp_path, "data")
    rows = await fill(tmp_path / "data")
    for lost in (tmp_path / "data").glob("state.db*"):
        lost.unlink()

    done = ccs("state", "rebuild", "--config", str(file))

    assert done.returncode == 0
    assert "1 buckets, 2 objects, of which no gateway wrote 0." in done.stdout
    assert await rows_of(tmp_path / "data") == rows


async def test_neither_is_done_beside_a_running_gateway(tmp_path: Path) -> None:
    source, target = settings(tmp_path, "old"), settings(tmp_path, "new")
    await fill(tmp_path / "old")
    state = SQLiteState.open(tmp_path / "old" / "state.db", site="here")
    assert await state.acquire("recovery", "a gateway", lease=600_000)
    await state.close()

    copied = ccs("state", "copy", "--from", str(source), "--to", str(target))
    rebuilt = ccs("state", "rebuild", "--config", str(source))

    for refused in (copied, rebuilt):
        assert refused.returncode == 1
        assert "stop all of them" in refused.stderr


async def test_the_schema_is_told_and_migrated(tmp_path: Path) -> None:
    file = settings(tmp_path, "data")

    empty = ccs("db", "status", "--config", str(file))
    migrated = ccs("db", "migrate", "--config", str(file))
    current = ccs("db", "status", "--config", str(file))

    assert (empty.returncode, current.returncode) == (3, 0)
    assert "schema 0 of" in empty.stdout
    assert "which is this program's" in migrated.stdout
    assert current.stdout == migrated.stdout


async def test_a_newer_schema_is_left_alone(tmp_path: Path) -> None:
    file = settings(tmp_path, "data")
    ccs("db", "migrate", "--config", str(file))
    with sqlite3.connect(tmp_path / "data" / "state.db") as connection:
        connection.execute("PRAGMA user_version = 99")

    status = ccs("db", "status", "--config", str(file))
    migrated = ccs("db", "migrate", "--config", str(file))

    assert (status.returncode, migrated.returncode) == (3, 1)
    assert "run a newer ccs" in status.stdout
    assert "run a newer ccs" in migrated.stderr


def test_a_gateway_without_state_has_no_database(tmp_path: Path) -> None:
    asked = ccs("db", "status", "--data", str(tmp_path), CCS_STATE__KIND="none")

    assert asked.returncode == 2
    assert "has no database" in asked.stderr
    shutil.rmtree(tmp_path)
