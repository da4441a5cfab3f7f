"""Multipart uploads: begun, filled, listed, completed and aborted."""

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from msgspec.structs import replace

from backends.clock import milliseconds
from backends.errors import InvalidPart, NotFound, UploadNotFound
from backends.model import (
    UNCONDITIONAL,
    Checksum,
    Facts,
    ObjectPart,
    Part,
    Precondition,
    Row,
    Upload,
    Version,
)
from backends.state.protocol import StateStore
from backends.storage.protocol import ObjectStore, StoredPart
from s3proxy.gateway.errors import PartsOutOfOrder, PartTooSmall
from s3proxy.gateway.incoming import Draft, Incoming
from s3proxy.gateway.leases import Lease
from s3proxy.gateway.listing import LAST_CHARACTER, Query, common_prefix
from s3proxy.gateway.lost_buckets import remade
from s3proxy.gateway.pulling import Pulls
from s3proxy.gateway.writes import Change, Writes

LEAST_PART: Final = 5 * 1024 * 1024
REPLICA: Final = "replica-"  # how names begin of uploads that other sites send, which no client has
UNVERSIONED: Final = Version(0, "")


@dataclass(frozen=True, slots=True)
class Chosen:
    """A part as a completion names it; "" where it names no checksum."""

    number: int
    etag: str
    checksum: str = ""


@dataclass(frozen=True, slots=True)
class Whole:
    """What joined parts amount to."""

    etag: str
    checksum: Checksum | None


@dataclass(slots=True)
class UploadPage:
    """Uploads and common prefixes, in order. `last` is the place of the highest of them."""

    last: tuple[str, str]
    uploads: list[Upload] = field(default_factory=list)
    prefixes: list[str] = field(default_factory=list)
    truncated: bool = False

    def __len__(self) -> int:
        return len(self.uploads) + len(self.prefixes)

    def add(self, upload: Upload, common: str) -> None:
        """Take the upload, or its common prefix unless that is here or was on a page before."""
        if not common:
            self.uploads.append(upload)
            self.last = (upload.key, upload.name)
        elif common != self.last[0]:
            self.prefixes.append(common)
            self.last = (common, LAST_CHARACTER)


class Uploads:
    """The rules of multipart uploads over one state and one storage.

    `pulls` make the row of an object that is there without one, before a condition is decided.
    """

    def __init__(
        self,
        state: StateStore,
        store: ObjectStore,
        writes: Writes,
        pulls: Pulls | None = None,
    ) -> None:
        self._state = state
        self._store = store
        self._writes = writes
        self._pulls = pulls

    async def create(self, draft: Upload) -> Upload:
        """Begin an upload as drafted; its name and token are made here. BucketNotFound."""
        await self._state.bucket(draft.bucket)
        started = milliseconds()
        name = new_name(started)
        facts = Facts(
            version=UNVERSIONED,
            owner=draft.owner,
            headers=draft.headers,
            metadata=draft.metadata,
            storage_class=draft.storage_class,
            upload=name,
            expires=draft.expires,
        )
        async with remade(self._state, self._store, draft.bucket):
            token = await self._store.create_upload(draft.bucket, draft.key, facts)
        upload = replace(draft, name=name, token=token, started=started)
        await self._state.create_upload(upload)
        return upload

    async def find(self, bucket: str, key: str, name: str) -> Upload:
        """UploadNotFound, also for what another site is sending."""
        if name.startswith(REPLICA):
            raise UploadNotFound(f"{bucket}/{key}: there is no upload {name}")
        return await self._state.upload(bucket, key, name)

    async def put_part(self, upload: Upload, number: int, body: Incoming) -> Part:
        """Store one part; the same number may come again. UploadNotFound."""
        return await store_part(self._state, self._store, upload, number, body)

    async def parts(self, upload: Upload, *, after: int, limit: int) -> list[Part]:
        """Parts with numbers above `after`."""
        return await self._state.parts(
            upload.bucket, upload.key, upload.name, after=after, limit=limit
        )

    async def page(self, query: Query, name: str) -> UploadPage:
        """Uploads above (`query.after`, name), those with the delimiter as common prefixes.

        What other sites are sending is not among them. BucketNotFound.
        """
        page = UploadPage(last=(query.after, name))
        after = page.last
        while True:
            found = await self._state.uploads(
                query.bucket, prefix=query.prefix, after=after, limit=query.limit + 1
            )
            for upload in found:
                if upload.name.startswith(REPLICA):
                    continue
                if len(page) == query.limit:
                    page.truncated = True
                    return page
                page.add(upload, common_prefix(upload.key, query))
            if len(found) <= query.limit:
                return page
            after = (found[-1].key, found[-1].name)

    async def abort(self, bucket: str, key: str, name: str) -> None:
        """Drop the upload and its parts. UploadNotFound.

        The storage lets go first: after a crash in between, the abort can be asked for again.
        """
        upload = await self.find(bucket, key, name)
        await self._store.abort_upload(bucket, key, upload.token)
        await self._state.delete_upload(bucket, key, name)

    async def completed(self, bucket: str, key: str, name: str) -> Row:
        """The object that an upload made before, for a completion that comes again.

        UploadNotFound where the key's row is not that upload's.
        """
        try:
            row = await self._state.find(bucket, key)
        except NotFound as error:
            raise UploadNotFound(f"{bucket}/{key}: no upload {name}") from error
        if row.facts.upload != name:
            raise UploadNotFound(f"{bucket}/{key}: no upload {name}")
        return row

    async def complete(
        self,
        upload: Upload,
        chosen: Sequence[Chosen],
        whole: Callable[[Sequence[Part]], Whole],
        operation: str,
        *,
        condition: Precondition = UNCONDITIONAL,
    ) -> Row:
        """Join the chosen parts into the key's object; the upload ends.

        `whole` computes ETag and checksum, and may refuse. PartsOutOfOrder, InvalidPart,
        PartTooSmall, UploadNotFound; PreconditionFailed and NotFound as the condition says.
        LostRace where the condition ceased to hold while the parts were joined: the upload is over.
        """
        known = await self._state.parts(upload.bucket, upload.key, upload.name)
        parts = choose(chosen, known)
        facts = joined(upload, parts, whole(parts))

        async def join(lease: Lease) -> Row:
            versioned = replace(facts, version=await lease.settle())
            return await join_parts(self._store, upload, parts, versioned, lease.replacing)

        if self._pulls and condition != UNCONDITIONAL:
            await self._pulls.pull(upload.bucket, upload.key)
        change = Change("ObjectCreated:CompleteMultipartUpload", operation)
        return await self._writes.run(
            upload.bucket, upload.key, change, join, condition=condition, upload=upload.name
        )


def new_name(started: int) -> str:
    """An upload id nobody can guess, in order of age."""
    return f"{started:012x}{uuid.uuid4().hex}"


async def store_part(
    state: StateStore, store: ObjectStore, upload: Upload, number: int, body: Incoming
) -> Part:
    """Store one part, then record it. UploadNotFound where the upload ended meanwhile."""
    draft = Draft(body, Facts(version=UNVERSIONED))
    token = await store.put_part(upload.bucket, upload.key, upload.token, number, draft)
    facts = draft.facts
    part = Part(number, facts.size, facts.etag, milliseconds(), token, facts.checksum)
    try:
        await state.put_part(upload.bucket, upload.key, upload.name, part)
    except UploadNotFound:
        await store.abort_upload(upload.bucket, upload.key, upload.token)
        raise
    return part


async def join_parts(
    store: ObjectStore, upload: Upload, parts: Sequence[Part], facts: Facts, replacing: str | None
) -> Row:
    """The row of the object that the parts make, under these facts."""
    pieces = [StoredPart(part.number, part.token, part.size) for part in parts]
    stored = await store.complete_upload(
        upload.bucket, upload.key, upload.token, pieces, facts, replacing=replacing
    )
    return Row(upload.bucket, upload.key, facts, stored.locator)


def named(chosen: Sequence[Chosen], known: Sequence[Part]) -> list[Part]:
    """The parts a completion names, checked against those there are.

    PartsOutOfOrder, InvalidPart.
    """
    numbers = [part.number for part in chosen]
    if any(later <= earlier for earlier, later in pairwise(numbers)):
        raise PartsOutOfOrder("the parts are not in ascending order of their numbers")
    there = {part.number: part for part in known}
    return [_match(wanted, there.get(wanted.number)) for wanted in chosen]


def choose(chosen: Sequence[Chosen], known: Sequence[Part]) -> list[Part]:
    """As `named`, of parts that a client sent. PartTooSmall."""
    parts = named(chosen, known)
    for part in parts[:-1]:
        if part.size < LEAST_PART:
            raise PartTooSmall(f"part {part.number} has {part.size} bytes, least is {LEAST_PART}")
    return parts


def joined(upload: Upload, parts: Sequence[Part], whole: Whole) -> Facts:
    """The facts of the object that the parts make."""
    return Facts(
        version=UNVERSIONED,
        size=sum(part.size for part in parts),
        etag=whole.etag,
        owner=upload.owner,
        headers=upload.headers,
        metadata=upload.metadata,
        storage_class=upload.storage_class,
        checksum=whole.checksum,
        parts=tuple(
            ObjectPart(part.number, part.size, part.checksum.value if part.checksum else "")
            for part in parts
        ),
        upload=upload.name,
        expires=upload.expires,
    )


def _match(wanted: Chosen, part: Part | None) -> Part:
    if part is None:
        raise InvalidPart(f"part {wanted.number} was not uploaded")
    if wanted.etag != part.etag:
        raise InvalidPart(f"part {wanted.number} has the ETag {part.etag}")
    if wanted.checksum and (part.checksum is None or wanted.checksum != part.checksum.value):
        raise InvalidPart(f"part {wanted.number} has another checksum")
    return part
