"""Three sites of which one gets nothing from the others, but may read what they have."""

import itertools
import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

from mypy_boto3_s3 import S3Client

from tests.e2e.bodies import MIB
from tests.e2e.clients import refused, s3_client
from tests.e2e.sites import Group, Member, sites
from tests.e2e.waiting import until

SECONDS: Final = 30
PROBE_SECONDS: Final = 1
READER: Final = {
    "CCS_SITES__PROBE_SECONDS": str(PROBE_SECONDS),
    "CCS_SITES__PART_BYTES": str(64 * MIB),
}
FAILED: Final = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n"


@dataclass
class Apart:
    """East and north have what is put at either; west is not reached by them, but reaches them.

    It asks east first. The clients are those of each site.
    """

    group: Group
    clients: dict[str, S3Client]
    _open: ExitStack
    _buckets: Iterator[int] = field(default_factory=itertools.count)

    @property
    def east(self) -> Member:
        return self.group[0]

    @property
    def north(self) -> Member:
        return self.group[1]

    @property
    def west(self) -> Member:
        return self.group[2]

    @property
    def reader(self) -> S3Client:
        """A client of the west."""
        return self.clients["west"]

    @property
    def writer(self) -> S3Client:
        """A client of the east."""
        return self.clients["east"]

    def bucket(self) -> str:
        """A bucket that all sites have."""
        name = f"shared-{next(self._buckets)}"
        self.reader.create_bucket(Bucket=name)
        for site in ("east", "north"):
            until(partial(self.has, site, name), f"{name} in the {site}", SECONDS)
        return name

    def has(self, site: str, bucket: str) -> bool:
        return bucket in self.buckets(site)

    def buckets(self, site: str) -> set[str]:
        return {one["Name"] for one in self.clients[site].list_buckets()["Buckets"]}

    def put(self, bucket: str, key: str, content: bytes) -> None:
        """Put it where the west has to look for it: east and north have it then."""
        self.writer.put_object(Bucket=bucket, Key=key, Body=content)
        self.until_north_is_alike(bucket, key)

    def until_north_is_alike(self, bucket: str, key: str) -> None:
        """Wait until north has what east has of the key; asked for it, it would look there."""
        place = (bucket, key)
        until(
            lambda: self.north.content(bucket).get(place) == self.east.content(bucket)[place],
            f"{key} in the north",
            SECONDS,
        )

    def read(self, bucket: str, key: str, span: str = "") -> bytes:
        """What the west answers."""
        asked: Any = {"Range": f"bytes={span}"} if span else {}
        answer = self.reader.get_object(Bucket=bucket, Key=key, **asked)
        return answer["Body"].read()

    def is_kept(self, bucket: str, key: str) -> bool:
        """Whether the west has a row of it by now."""
        return (bucket, key) in self.west.content(bucket)

    def until_kept(self, bucket: str, key: str) -> None:
        until(lambda: self.is_kept(bucket, key), f"{key} to be kept in the west", SECONDS)

    def fetched(self, bucket: str, key: str) -> list[str]:
        """The sites that were asked for the object's bytes, in order of their names."""
        return self._asked(f"/{bucket}/{key}")

    def probed(self, bucket: str, key: str) -> list[str]:
        """The sites that were asked what they know of the object."""
        return self._asked(f"/{bucket}/{key}?facts=")

    def _asked(self, path: str) -> list[str]:
        return [
            member.name
            for member in self.group
            for asked in member.link.seen
            if asked == ("GET", path)
        ]

    @contextmanager
    def cut_off(self) -> Iterator[None]:
        """While the block runs, the west reaches no other site."""
        for member in (self.east, self.north):
            member.link.refuse()
        yield
        self.heal()

    def restart(self, **settings: str) -> None:
        """Stop the west, and start it anew with these settings beside its own."""
        west = self.west
        assert west.server.stop() == 0
        west.server.settings = {**west.server.settings, **settings}
        west.server.start()
        self.clients["west"].close()
        self.clients["west"] = self._open.enter_context(s3_client(west.server))

    def heal(self) -> None:
        """As it was in the beginning."""
        for member in self.group:
            member.link.heal()
        self.west.link.refuse()


def until_it_asks(reader: Member, others: Sequence[Member]) -> None:
    """Wait until the site looks at all the others for what it does not have."""
    bucket = f"asking-{reader.name}"
    names = itertools.count()

    def asks(s3: S3Client) -> bool:
        key = f"missing-{next(names)}"
        with refused("404", 404):
            s3.head_object(Bucket=bucket, Key=key)
        asked = ("GET", f"/{bucket}/{key}?facts=")
        return all(asked in other.link.seen for other in others)

    with s3_client(reader.server) as s3:
        s3.create_bucket(Bucket=bucket)
        until(lambda: asks(s3), f"{reader.name} to ask the others", SECONDS)


def bytes_of(key: str) -> str:
    """The path of requests for the bytes of a key, not for its facts."""
    return f"/{re.escape(key)}$"


@contextmanager
def apart(folder: Path) -> Iterator[Apart]:
    """The sites, while the block runs."""
    names = ["east", "north", "west"]
    with sites(folder, names, dict.fromkeys(names, READER)) as group, ExitStack() as opened:
        found = Apart(
            group,
            {one.name: opened.enter_context(s3_client(one.server)) for one in group},
            opened,
        )
        found.heal()
        until_it_asks(found.west, [found.east, found.north])
        yield found
