"""Another site's listener, as the verbs that replication and remote reads need."""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import Any, Final, Protocol, TypeVar

import aiohttp
from msgspec import json

from backends.model import Facts, KeyRange, Precondition, RangeDigest, Version
from backends.signing import encode_path
from backends.storage import http
from replication.bandwidth import Bandwidth, Direction
from replication.messages import (
    API,
    CONDITION_HEADER,
    DIGESTS,
    FACTS,
    FACTS_HEADER,
    HELLO,
    ROWS,
    VERSION_HEADER,
    Applied,
    Completion,
    Digests,
    DigestsWanted,
    Found,
    Hello,
    Offer,
    PartMark,
    RangePage,
    RowsWanted,
    to_header,
)
from replication.outgoing import LENGTH, Body, digest_of, travelling
from replication.packing import packed
from replication.wire import Caller, LinkOptions, SiteFailed, Traffic, Wire, session_of

OWNER_HEADER: Final = "x-amz-expected-bucket-owner"
T = TypeVar("T")


class Sized(Protocol):
    """A body, and its length where that is known, in bytes."""

    @property
    def size(self) -> int | None: ...

    def __aiter__(self) -> AsyncIterator[bytes]: ...


class Link:
    """The pool of connections to all sites; close it when done."""

    def __init__(self, caller: Caller, options: LinkOptions) -> None:
        self._options = options
        self._session: aiohttp.ClientSession | None = None
        self.caller = caller
        self.bandwidth = Bandwidth()

    def to(self, name: str, endpoint: str) -> "SiteClient":
        """The site of that name, at that address."""
        if self._session is None:
            self._session = session_of(self._options)
        wire = Wire(self._session, self.caller, name, endpoint)
        return SiteClient(wire, self.bandwidth, compresses=self._options.compresses)

    async def close(self) -> None:
        if self._session:
            await self._session.close()


class SiteClient:
    """One site. Raises only `backends.errors`, SiteFailed and SiteAway.

    With `compresses` bodies go out compressed, where they shrink.
    """

    def __init__(self, wire: Wire, bandwidth: Bandwidth, *, compresses: bool) -> None:
        self._wire = wire
        self._compresses = compresses
        self._out = bandwidth.pace(wire.name, Direction.OUT)
        self._in = bandwidth.pace(wire.name, Direction.IN)

    @property
    def name(self) -> str:
        return self._wire.name

    @property
    def endpoint(self) -> str:
        return self._wire.endpoint

    @property
    def traffic(self) -> Traffic:
        """What this client has asked, and what that took."""
        return self._wire.traffic

    async def hello(self) -> Hello:
        """Who answers there."""
        return await self._wire.ask("GET", f"/{API}/{HELLO}", Hello)

    async def find(self, bucket: str, key: str) -> Found:
        """What the site knows of the key. BucketNotFound."""
        return await self._wire.ask("GET", _path(bucket, key), Found, query={FACTS: ""})

    async def digests(
        self, bucket: str, ranges: Sequence[KeyRange], *, before: int, buried_since: int
    ) -> list[RangeDigest]:
        """What ranges of keys amount to there, at most MOST_RANGES; see `replication.ranges`."""
        wanted = DigestsWanted(tuple(ranges), before, buried_since)
        found = (await self._compare(DIGESTS, bucket, wanted, Digests)).digests
        if len(found) != len(ranges):
            raise SiteFailed(
                f"{self._wire.subject(bucket)}: {len(found)} digests for {len(ranges)}"
            )
        return list(found)

    async def rows(self, bucket: str, ranges: Sequence[KeyRange], *, limit: int) -> RangePage:
        """The first rows of ranges of keys there."""
        return await self._compare(ROWS, bucket, RowsWanted(tuple(ranges), limit), RangePage)

    async def _compare(self, about: str, bucket: str, wanted: Any, kind: type[T]) -> T:
        body, headers = await packed(wanted)
        query = {about: bucket}
        path = f"/{API}"
        return await self._wire.ask("POST", path, kind, query=query, headers=headers, body=body)

    @asynccontextmanager
    async def read(
        self, bucket: str, key: str, version: Version, *, start: int, length: int
    ) -> AsyncIterator[AsyncGenerator[bytes, None]]:
        """The bytes of that version. NotFound where the site has another one by now."""
        headers = {VERSION_HEADER: str(version)}
        if length:
            headers["range"] = f"bytes={start}-{start + length - 1}"
        async with (
            self._in.body(),
            self._wire.request("GET", _path(bucket, key), headers=headers) as response,
            aclosing(http.stream(response, self._wire.subject(bucket, key))) as body,
            aclosing(self._in.slowed(body)) as slowed,
        ):
            yield slowed

    async def put_document(self, bucket: str, key: str, facts: Facts) -> bool:
        """Send a document; False where the site has a newer one."""
        headers = {FACTS_HEADER: to_header(facts)}
        answer = await self._wire.ask("PUT", _path(bucket, key), Applied, headers=headers)
        return answer.applied

    async def put(
        self, bucket: str, key: str, facts: Facts, body: AsyncIterator[bytes], *, owner: str
    ) -> bool:
        """Send an object whole; False where the site has a newer one. `owner` is the bucket's."""
        headers = {FACTS_HEADER: to_header(facts), OWNER_HEADER: owner}
        outgoing = Body(key, facts.size, digest_of(facts.etag), body)
        return (await self._send(_path(bucket, key), Applied, {}, headers, outgoing)).applied

    async def delete(self, bucket: str, key: str, version: Version, *, owner: str = "") -> bool:
        """Send a tombstone; False where the site has a newer version."""
        headers = {VERSION_HEADER: str(version)} | ({OWNER_HEADER: owner} if owner else {})
        answer = await self._wire.ask("DELETE", _path(bucket, key), Applied, headers=headers)
        return answer.applied

    async def write(
        self,
        bucket: str,
        key: str,
        body: Sized,
        facts: Facts,
        condition: Precondition,
        *,
        owner: str,
    ) -> Facts:
        """Have an object put there as a client would, if the condition holds; what it has then."""
        headers = {
            FACTS_HEADER: to_header(facts),
            CONDITION_HEADER: to_header(condition),
            OWNER_HEADER: owner,
        }
        if body.size is not None:
            headers[LENGTH] = str(body.size)
        path, blocks = _path(bucket, key), self._out.slowed(aiter(body))
        async with self._out.body():
            return await self._wire.ask("PUT", path, Facts, headers=headers, body=blocks)

    async def remove(self, bucket: str, key: str, condition: Precondition, *, owner: str) -> None:
        """Have an object deleted there as a client would, if the condition holds."""
        headers = {CONDITION_HEADER: to_header(condition), OWNER_HEADER: owner}
        await self._wire.ask("DELETE", _path(bucket, key), Applied, headers=headers)

    async def begin(self, bucket: str, key: str, facts: Facts, *, owner: str) -> Offer:
        """Begin to send an object in parts, or go on with it."""
        return await self._wire.ask(
            "POST",
            _path(bucket, key),
            Offer,
            query={"uploads": ""},
            headers={OWNER_HEADER: owner},
            body=json.encode(facts),
        )

    async def put_part(
        self, bucket: str, key: str, version: Version, number: int, part: Body
    ) -> PartMark:
        """Send a part; its checksum is checked there. What arrived."""
        query = {"partNumber": str(number), "uploadId": str(version)}
        return await self._send(_path(bucket, key), PartMark, query, {}, part)

    async def complete(self, bucket: str, key: str, done: Completion) -> bool:
        """Join the parts that were sent; False where the site has a newer version."""
        query = {"uploadId": str(done.facts.version)}
        text = json.encode(done)
        answer = await self._wire.ask("POST", _path(bucket, key), Applied, query=query, body=text)
        return answer.applied

    async def _send(
        self,
        path: str,
        kind: type[T],
        query: Mapping[str, str],
        headers: Mapping[str, str],
        body: Body,
    ) -> T:
        """Put bytes, as fast as we may."""
        async with self._out.body():
            blocks, announced = await travelling(body, compresses=self._compresses)
            named = {**headers, **announced}
            slowed = self._out.slowed(blocks)
            return await self._wire.ask("PUT", path, kind, query=query, headers=named, body=slowed)


def _path(bucket: str, key: str) -> str:
    return encode_path(f"/{bucket}/{key}")
