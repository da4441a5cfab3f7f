"""Reading from other sites as the settings say; and a site that leaves while it restores."""

from collections.abc import Iterator

import pytest

from tests.e2e.agreement import column, got
from tests.e2e.apart import SECONDS, Apart, bytes_of
from tests.e2e.bodies import KIB, MIB, body
from tests.e2e.clients import refused
from tests.e2e.waiting import until
from tests.services.faults import Act, Fault

MODE = "CCS_SITES__REMOTE_READ"


@pytest.fixture(scope="module", autouse=True)
def _as_before(three_sites: Apart) -> Iterator[None]:
    yield
    three_sites.restart(**{MODE: "restore"})


def test_a_site_that_leaves_gives_up_what_it_restores_and_can_do_it_later(apart: Apart) -> None:
    bucket, content = apart.bucket(), body(8 * MIB, seed=2)
    apart.put(bucket, "film", content)
    slow = Fault(Act.THROTTLE, amount=64 * KIB, method="GET", path=bytes_of("film"), times=2)
    apart.east.link.fail(slow)
    assert apart.read(bucket, "film", "0-9") == content[:10]
    until(lambda: len(apart.fetched(bucket, "film")) == 2, "the restore to begin", SECONDS)
    state = apart.west.server.data / "state.db"
    promised = f"SELECT key FROM intents WHERE bucket = '{bucket}'"
    until(lambda: column(state, promised), "the promise", SECONDS)

    apart.restart()

    assert not apart.is_kept(bucket, "film")
    until(lambda: not column(state, promised), "recovery", SECONDS)
    apart.heal()
    assert apart.read(bucket, "film") == content
    apart.until_kept(bucket, "film")
    assert "Traceback" not in apart.west.server.log.read_text()


def test_nothing_is_kept_where_it_is_only_read(apart: Apart) -> None:
    bucket, content = apart.bucket(), body(3 * MIB, seed=1)
    apart.put(bucket, "film", content)
    apart.restart(**{MODE: "read"})

    assert apart.read(bucket, "film") == content
    assert apart.read(bucket, "film", "10-19") == content[10:20]
    apart.reader.copy_object(
        Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": "film"}
    )
    assert apart.read(bucket, "film") == content

    assert len(apart.fetched(bucket, "film")) == 4
    assert not apart.is_kept(bucket, "film")
    with apart.cut_off():
        assert apart.read(bucket, "copy") == content
        assert got(apart.reader, bucket, "film")[0] is None


def test_nothing_is_read_elsewhere_where_it_is_off(apart: Apart) -> None:
    bucket = apart.bucket()
    apart.put(bucket, "film", b"content")
    apart.writer.create_bucket(Bucket="not-here")
    apart.restart(**{MODE: "off"})

    assert got(apart.reader, bucket, "film")[0] is None
    with refused("404", 404):
        apart.reader.head_object(Bucket=bucket, Key="film")
    with refused("404", 404):
        apart.reader.head_bucket(Bucket="not-here")

    assert apart.probed(bucket, "film") == []
