"""What is missing at a site is read from another one, whatever the sites and links do."""

import contextlib
import time

import pytest
from botocore.exceptions import BotoCoreError

from tests.e2e.agreement import got
from tests.e2e.apart import FAILED, PROBE_SECONDS, SECONDS, Apart, bytes_of
from tests.e2e.bodies import MIB, body
from tests.e2e.clients import refused
from tests.e2e.waiting import until
from tests.services.faults import Act, Fault, Way


def test_a_site_that_breaks_off_is_followed_by_another_in_mid_stream(apart: Apart) -> None:
    """Also by one that had not said yet that it has the object."""
    bucket, content = apart.bucket(), body(6 * MIB, seed=1)
    for act in (Act.CUT, Act.RESET):
        key = act.name
        apart.put(bucket, key, content)
        apart.east.link.fail(Fault(act, at=2 * MIB, method="GET", path=bytes_of(key)))
        apart.north.link.fail(Fault(Act.DELAY, amount=0.5, method="GET", path="facts"))

        assert apart.read(bucket, key) == content

        apart.until_kept(bucket, key)
        assert apart.fetched(bucket, key) == ["east", "north"]
        apart.heal()
        with apart.cut_off():
            assert apart.read(bucket, key) == content


def test_a_site_that_breaks_off_in_a_piece_is_followed_by_another(apart: Apart) -> None:
    bucket, content = apart.bucket(), body(6 * MIB, seed=2)
    apart.put(bucket, "film", content)
    apart.east.link.fail(Fault(Act.CUT, at=MIB, method="GET", path=bytes_of("film")))

    assert apart.read(bucket, "film", f"{MIB}-{4 * MIB}") == content[MIB : 4 * MIB + 1]


@pytest.mark.parametrize("path", ["/film", "/film$"], ids=["of everything", "of the bytes"])
def test_a_site_that_fails_is_passed_over(apart: Apart, path: str) -> None:
    bucket = apart.bucket()
    apart.put(bucket, "film", b"content")
    apart.east.link.fail(Fault(Act.ANSWER, answer=FAILED, method="GET", path=path))

    assert apart.reader.head_object(Bucket=bucket, Key="film")["ContentLength"] == 7
    assert apart.read(bucket, "film") == b"content"
    apart.until_kept(bucket, "film")


def test_a_site_that_is_away_is_passed_over(apart: Apart) -> None:
    bucket = apart.bucket()
    apart.put(bucket, "film", b"content")
    apart.east.link.refuse()

    assert apart.read(bucket, "film") == b"content"


def test_a_silent_site_is_not_waited_for_longer_than_a_probe(apart: Apart) -> None:
    bucket = apart.bucket()
    apart.put(bucket, "film", b"content")
    silent = Fault(Act.SILENCE, Way.REPLY, at=-1, method="GET", path=f"/{bucket}/")
    apart.east.link.fail(silent)

    begun = time.monotonic()
    assert apart.read(bucket, "film") == b"content"
    assert got(apart.reader, bucket, "nowhere")[0] is None
    taken = time.monotonic() - begun

    assert PROBE_SECONDS <= taken < 4 * PROBE_SECONDS


def test_a_site_that_is_silent_when_asked_for_bytes_is_passed_over_soon(apart: Apart) -> None:
    bucket = apart.bucket()
    apart.put(bucket, "film", b"content")
    apart.east.link.fail(Fault(Act.SILENCE, Way.REPLY, at=-1, method="GET", path=bytes_of("film")))

    begun = time.monotonic()
    assert apart.read(bucket, "film") == b"content"

    assert time.monotonic() - begun < 4 * PROBE_SECONDS


def test_a_tombstone_here_is_never_read_across(apart: Apart) -> None:
    bucket = apart.bucket()
    apart.put(bucket, "film", b"content")
    apart.read(bucket, "film")
    apart.until_kept(bucket, "film")
    for member in (apart.east, apart.north):
        member.link.fail(Fault(Act.ANSWER, answer=FAILED, method="DELETE"))
    apart.reader.delete_object(Bucket=bucket, Key="film")
    probed = len(apart.probed(bucket, "film"))

    assert got(apart.reader, bucket, "film")[0] is None
    with refused("404", 404):
        apart.reader.head_object(Bucket=bucket, Key="film")

    assert got(apart.writer, bucket, "film")[0] is not None
    assert len(apart.probed(bucket, "film")) == probed


def test_a_newer_tombstone_elsewhere_is_not_read_across_either(apart: Apart) -> None:
    bucket = apart.bucket()
    apart.put(bucket, "film", b"content")
    apart.east.link.fail(
        Fault(Act.ANSWER, answer=FAILED, method="DELETE"),
        Fault(Act.DELAY, amount=0.3, method="GET", path=f"/{bucket}/film"),
    )
    apart.clients["north"].delete_object(Bucket=bucket, Key="film")

    assert got(apart.reader, bucket, "film")[0] is None
    assert sorted(apart.probed(bucket, "film")) == ["east", "north"]
    assert apart.fetched(bucket, "film") == []


def test_wrong_bytes_are_neither_kept_nor_served_to_their_end(apart: Apart) -> None:
    bucket, content = apart.bucket(), body(2 * MIB, seed=3)
    apart.put(bucket, "film", content)
    flip = Fault(Act.FLIP, at=MIB, method="GET", path=bytes_of("film"))
    apart.east.link.fail(flip)
    apart.north.link.refuse()

    for _ in range(2):
        assert len(read_to_the_break(apart, bucket, "film")) < len(content)
    assert not apart.is_kept(bucket, "film")

    apart.north.link.start()
    until(lambda: is_kept_once_read(apart, bucket, "film"), "the right bytes", SECONDS)
    with apart.cut_off():
        assert apart.read(bucket, "film") == content


def is_kept_once_read(apart: Apart, bucket: str, key: str) -> bool:
    """Whether it is kept by now; who comes while an attempt still fails begins none."""
    read_to_the_break(apart, bucket, key)
    return apart.is_kept(bucket, key)


def read_to_the_break(apart: Apart, bucket: str, key: str) -> bytes:
    """What comes of a body that breaks off."""
    answer = apart.reader.get_object(Bucket=bucket, Key=key)
    found = bytearray()
    with contextlib.suppress(BotoCoreError, OSError):
        for piece in answer["Body"].iter_chunks(64 * 1024):
            found += piece
    return bytes(found)
