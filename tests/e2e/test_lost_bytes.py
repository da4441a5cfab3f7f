"""Bytes that went behind a site's back: read from another site, and here again from then on."""

import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing
from typing import Any, Final

import pytest

from tests.e2e.agreement import column, got
from tests.e2e.apart import SECONDS, Apart, until_it_asks
from tests.e2e.bodies import MIB, body, digest
from tests.e2e.clients import refused, s3_client
from tests.e2e.grounds import on_s3
from tests.e2e.server import Key
from tests.e2e.sites import Group, Member, sites
from tests.e2e.waiting import until
from tests.services.servers import S3_ACCESS, S3_SECRET

PREFIX: Final = "lost-"


@pytest.fixture
def mixed(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Group]:
    """East on disk, west over an S3 server."""
    on_west = {**on_s3(request), "CCS_STORAGE__BUCKET_PREFIX": PREFIX}
    with sites(tmp_path_factory.mktemp("mixed"), ["east", "west"], {"west": on_west}) as group:
        until_it_asks(group[1], [group[0]])
        yield group


@pytest.mark.parametrize("size", [1000, 3 * MIB], ids=["small", "large"])
def test_what_the_disk_lost_is_read_elsewhere_and_kept_again(apart: Apart, size: int) -> None:
    bucket, content = apart.bucket(), body(size, seed=1)
    apart.put(bucket, "film", content)
    assert apart.read(bucket, "film") == content
    apart.until_kept(bucket, "film")
    before = apart.west.content(bucket)
    lose(apart.west, bucket)
    with apart.cut_off(), refused("InternalError", 500):
        apart.read(bucket, "film")

    assert apart.read(bucket, "film") == content

    until_settled(apart.west, bucket)
    with apart.cut_off():
        assert apart.read(bucket, "film") == content
    assert apart.west.content(bucket) == before


def test_what_the_disk_lost_is_restored_for_a_piece_and_for_a_copy(apart: Apart) -> None:
    bucket, content = apart.bucket(), body(3 * MIB, seed=2)
    for key in ("film", "reel"):
        apart.put(bucket, key, content)
        assert apart.read(bucket, key) == content
        apart.until_kept(bucket, key)
    lose(apart.west, bucket)

    assert apart.read(bucket, "film", "5-14") == content[5:15]
    source: Any = {"Bucket": bucket, "Key": "reel"}
    apart.reader.copy_object(Bucket=bucket, Key="copy", CopySource=source)

    until_settled(apart.west, bucket)
    with apart.cut_off():
        for key in ("film", "reel", "copy"):
            assert apart.read(bucket, key) == content


def test_what_an_s3_storage_lost_is_read_elsewhere_and_kept_again(mixed: Group) -> None:
    east, west = mixed
    content = body(3 * MIB, seed=3)
    with ExitStack() as clients:
        writer, reader = (clients.enter_context(s3_client(one.server)) for one in mixed)
        writer.create_bucket(Bucket="films")
        writer.put_object(Bucket="films", Key="film", Body=content)
        mixed.until_alike("films")
        before = west.content("films")
        address = west.server.settings["CCS_STORAGE__S3__ENDPOINT"]
        storage = clients.enter_context(
            s3_client(west.server, Key(S3_ACCESS, S3_SECRET), url=address)
        )
        storage.delete_object(Bucket=f"{PREFIX}films", Key="film")

        assert got(reader, "films", "film")[1] == digest(content)

        until_settled(west, "films")
        east.link.refuse()
        assert got(reader, "films", "film")[1] == digest(content)
        assert west.content("films") == before
        assert storage.head_object(Bucket=f"{PREFIX}films", Key="film")["ContentLength"] == 3 * MIB


def until_settled(member: Member, bucket: str) -> None:
    """Wait until nobody writes in the bucket any more."""
    promised = f"SELECT key FROM intents WHERE bucket = '{bucket}'"
    until(
        lambda: not column(member.server.data / "state.db", promised),
        f"writes in {bucket} to end",
        SECONDS,
    )


def lose(member: Member, bucket: str) -> None:
    """Remove the bytes of all that is in the bucket: files, or what the catalog has in itself."""
    folder = member.server.data / "storage"
    with closing(sqlite3.connect(folder / "catalog.db", timeout=10)) as catalog, catalog:
        segments = catalog.execute(
            "SELECT segment FROM pieces JOIN objects ON object = id WHERE bucket = ?", (bucket,)
        ).fetchall()
        catalog.execute("DELETE FROM objects WHERE bucket = ? AND body IS NOT NULL", (bucket,))
    files = [path for (segment,) in segments for path in folder.rglob(segment)]
    for path in files:
        path.unlink()
