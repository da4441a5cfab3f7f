"""What the migrations of the SQLite state make of what was written before them."""

import sqlite3
from contextlib import closing
from pathlib import Path

from msgspec import json

from backends.database import Database
from backends.fingerprint import MODULUS, fingerprint_of
from backends.model import COUNTER_BITS, Facts, KeyRange, RangeDigest, Row, Version
from backends.state.sqlite import SQLiteState
from backends.state.sqlite.schema import FIRST, MIGRATIONS, STORAGES

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


async def test_rows_of_the_release_before_have_fingerprints(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    await Database(path, MIGRATIONS[:3]).close()
    facts = Facts(Version(1, "here"), 3, "etag", metadata={"color": "red"})
    gone = Facts(Version(2, "here"))
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("INSERT INTO buckets VALUES ('photos', 'main', 0, '', '')")
        connection.execute(
            "INSERT INTO objects"
            " VALUES ('photos', 'cat', 1, 'here', 3, 'etag', '', '', '', '', '', ?)",
            (json.encode(facts),),
        )
        connection.execute("INSERT INTO tombstones VALUES ('photos', 'dog', 2, 'here', 0)")

    state = SQLiteState.open(path, site="here", durable=False)

    rows = (Row("photos", "cat", facts), Row("photos", "dog", gone, deleted=True))
    total = sum(map(fingerprint_of, rows)) % MODULUS
    found = await state.digests("photos", [KeyRange()], before=1, buried_since=0)
    assert found == [RangeDigest(1, 1, total)]
    await state.close()
