"""What the migrations of the SQLite state make of what was written before them."""

import sqlite3
from contextlib import closing
from pathlib import Path

from backends.database import Database
from backends.model import COUNTER_BITS
from backends.state.sqlite import SQLiteState
from backends.state.sqlite.schema import FIRST, STORAGES

NOON = 1_700_000_000_000


async def test_tombstones_of_the_release_before_count_from_their_versions(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    await Database(path, (FIRST, STORAGES)).close()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("INSERT INTO buckets VALUES ('photos', 'main', 0, '', '')")
        for key, age in (("old", 2000), ("young", 1000)):
            connection.execute(
                "INSERT INTO tombstones VALUES ('photos', ?, ?, 'here')",
                (key, (NOON - age) << COUNTER_BITS),
            )

    state = SQLiteState.open(path, site="here", durable=False, now=lambda: NOON)

    assert await state.purge_tombstones(older_than=1500, limit=10) == 1
    assert await state.newest("photos", "old") is None
    assert await state.newest("photos", "young") is not None
    await state.close()
