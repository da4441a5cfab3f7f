"""Ranges of keys, asked for byte by byte: answered many at once, refused where they are wrong."""

import hashlib
import itertools
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from msgspec import json

from backends.fingerprint import MODULUS, fingerprint_of
from backends.model import Facts, KeyRange, Row, Version
from replication.messages import DigestsWanted, Listed, RowsWanted
from replication.packing import text_of
from replication.ranges import MOST_RANGES, listed
from replication.topology import BucketFacts, Site
from s3proxy.listeners import SITE
from tests.wire.gateway import Answer, running
from tests.wire.test_site_bodies import ID, NAME, SECRET, West

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

NOW = 1 << 40
ROWS = [
    Row("photos", f"k/{number:03}", Facts(Version(number + 1, NAME), etag=""), deleted=True)
    for number in range(300)
]
DIGESTS, PAGES = "digests=photos", "rows=photos"


@pytest.fixture(scope="module")
def west(tmp_path_factory: pytest.TempPathFactory) -> Iterator[West]:
    data = tmp_path_factory.mktemp("east")
    with running(data, SITE, sites={"secret": SECRET}) as client:
        site = West(client)
        site.tell("/.ccs/sites/west", json.encode(Site(NAME, "http://west", ID)))
        site.tell("/.ccs/buckets/photos", json.encode(BucketFacts("main", 1)))
        for row in ROWS:
            site.ask("DELETE", f"/photos/{row.key}", {"x-ccs-version": str(row.version)})
        yield site


def post(west: West, query: str, body: bytes, headers: Mapping[str, str] | None = None) -> Answer:
    payload = hashlib.sha256(body).hexdigest()
    return west.ask("POST", "/-", headers or {}, body, payload=payload, query=query)


def value(answer: Answer) -> Any:
    assert answer.status == 200, answer.body
    return json.decode(text_of(answer.body, answer.headers))


def digests_of(*ranges: KeyRange) -> bytes:
    return json.encode(DigestsWanted(ranges, NOW, 0))


def total(rows: list[Row]) -> list[int]:
    return [0, len(rows), sum(map(fingerprint_of, rows)) % MODULUS]


def test_many_ranges_are_told_at_once(west: West) -> None:
    ranges = (KeyRange(), KeyRange("k/009", "k/019"), KeyRange("k/019", "k/019"))

    told = value(post(west, DIGESTS, digests_of(*ranges)))

    assert told == {"digests": [total(ROWS), total(ROWS[10:20]), total([])]}


def test_as_many_ranges_as_are_allowed_are_short_on_the_wire(west: West) -> None:
    keys = [f"k/{number:06}" for number in range(MOST_RANGES - 1)]
    ranges = [KeyRange(*pair) for pair in itertools.pairwise(["", *keys, ""])]
    text = digests_of(*ranges)
    packed = zstd.compress(text)
    headers = {"x-ccs-encoding": "zstd", "x-ccs-decoded-length": str(len(text))}

    answer = post(west, DIGESTS, packed, headers)

    assert sum(count for _, count, _ in value(answer)["digests"]) == len(ROWS)
    assert len(packed) + len(answer.body) < 10 * MOST_RANGES


def test_rows_of_small_ranges_come_in_one_exchange(west: West) -> None:
    ranges = tuple(KeyRange(f"k/{number:03}", f"k/{number + 3:03}") for number in range(0, 290, 10))

    page = value(post(west, PAGES, json.encode(RowsWanted(ranges, 1000))))

    expected = [listed(ROWS[at + more]) for at in range(0, 290, 10) for more in (1, 2, 3)]
    assert json.decode(json.encode(page["rows"]), type=list[Listed]) == expected
    assert page["reached"] == ""


def test_rows_end_where_they_are_told_to(west: West) -> None:
    ranges = (KeyRange("k/009", "k/019"), KeyRange("k/099", ""))

    page = value(post(west, PAGES, json.encode(RowsWanted(ranges, 15))))

    assert (len(page["rows"]), page["reached"]) == (15, "k/104")


def test_a_bucket_that_is_not_here_is_an_empty_one(west: West) -> None:
    assert value(post(west, "digests=nowhere", digests_of(KeyRange()))) == {"digests": [[0, 0, 0]]}
    nothing = value(post(west, "rows=nowhere", json.encode(RowsWanted((KeyRange(),), 10))))
    assert nothing == {"rows": [], "reached": ""}


MANY = digests_of(*[KeyRange("a", "b")] * (MOST_RANGES + 1))
ZSTD = {"x-ccs-encoding": "zstd", "x-ccs-decoded-length": "100"}


@pytest.mark.parametrize(
    ("query", "body", "headers", "code"),
    [
        (DIGESTS, b"", {}, "InvalidRequest"),
        (DIGESTS, b"[", {}, "InvalidRequest"),
        (DIGESTS, b"[]", {}, "InvalidRequest"),
        (DIGESTS, bytes(range(128, 178)), {}, "InvalidRequest"),
        (DIGESTS, b'{"ranges": [["a"]], "before": "now", "buried_since": 0}', {}, "InvalidRequest"),
        (DIGESTS, b'{"ranges": [["a", 1]], "before": 1, "buried_since": 0}', {}, "InvalidRequest"),
        (DIGESTS, MANY, {}, "InvalidRequest"),
        (DIGESTS, b" " * (8 * 1024 * 1024 + 1), {}, "MaxMessageLengthExceeded"),
        (DIGESTS, zstd.compress(b" " * 1000), ZSTD, "InvalidRequest"),
        (DIGESTS, b"no zstd", ZSTD, "InvalidRequest"),
        (DIGESTS, b"{}", {"x-ccs-encoding": "gzip"}, "InvalidRequest"),
        (DIGESTS, b"{}", {"x-ccs-encoding": "zstd"}, "InvalidRequest"),
        (DIGESTS, b"{}", ZSTD | {"x-ccs-decoded-length": "9" * 7}, "InvalidRequest"),
        (DIGESTS, b"{}", ZSTD | {"x-ccs-decoded-length": "9" * 30}, "InvalidRequest"),
        (PAGES, b'{"ranges": [["", ""]], "limit": 0}', {}, "InvalidRequest"),
        (PAGES, MANY, {}, "InvalidRequest"),
        ("rows=.ccs.local", json.encode(RowsWanted((KeyRange(),), 9)), {}, "InvalidRequest"),
        ("digests=.ccs.local", digests_of(KeyRange()), {}, "InvalidRequest"),
        ("secrets=photos", digests_of(KeyRange()), {}, "NotImplemented"),
    ],
)
def test_what_is_asked_wrongly_is_refused(
    west: West, query: str, body: bytes, headers: dict[str, str], code: str
) -> None:
    answer = post(west, query, body, headers)

    assert answer.code == code, answer.body


def test_numbers_beyond_all_time_are_as_good_as_the_last(west: West) -> None:
    body = b'{"ranges": [["", ""]], "before": 9223372036854775807, "buried_since": -5}'

    assert value(post(west, DIGESTS, body)) == {"digests": [total(ROWS)]}
