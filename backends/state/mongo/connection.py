"""The only file that knows the client library: a move to another one is a change of this file.

Reads are of what a majority has, from the primary; writes are answered when a majority has them in
its journal. So nothing that was answered is lost with a server, or with a change of the primary.
"""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

from bson import CodecOptions, Int64
from bson.codec_options import TypeDecoder, TypeRegistry
from motor.motor_asyncio import AsyncIOMotorClient, AsyncIOMotorCollection
from pymongo import IndexModel, ReadPreference, UpdateOne, WriteConcern
from pymongo.errors import BulkWriteError, PyMongoError
from pymongo.read_concern import ReadConcern

from backends.errors import Busy, Refused
from backends.state.mongo.errors import DUPLICATE_KEY, only_duplicates, translated
from backends.state.mongo.options import MongoOptions

Document = dict[str, Any]
Filter = Mapping[str, Any]
Order = Sequence[tuple[str, int]]

APPLICATION: Final = "clone-cloud-store"
ATTEMPTS: Final = 40


class PlainInt(TypeDecoder):
    """Large numbers are read as plain ones, which every encoder knows."""

    @property
    def bson_type(self) -> type[Int64]:
        return Int64

    def transform_bson(self, value: int) -> int:
        return int(value)


class Connection:
    """A pool of connections to one database. It heals by itself when servers come back."""

    def __init__(self, options: MongoOptions) -> None:
        self.options = options
        try:
            self._client: AsyncIOMotorClient[Document] = AsyncIOMotorClient(
                options.url,
                appname=APPLICATION,
                maxPoolSize=options.connections,
                serverSelectionTimeoutMS=_milliseconds(options.select_seconds),
                connectTimeoutMS=_milliseconds(options.connect_seconds),
                socketTimeoutMS=_milliseconds(options.read_seconds),
            )
        except (PyMongoError, ValueError):  # its words may hold a piece of the password
            raise Refused(f"the URL of MongoDB at {options.hosts} is not a valid one") from None
        self._database = self._client.get_database(
            options.database,
            codec_options=CodecOptions(type_registry=TypeRegistry([PlainInt()])),
            read_preference=ReadPreference.PRIMARY,
            read_concern=ReadConcern("majority"),
            write_concern=WriteConcern("majority", _milliseconds(options.write_seconds), j=True),
        )

    async def ping(self) -> None:
        """Return if a primary answers."""
        with translated(self.options):
            await self._database.command("ping")

    def collection(self, name: str) -> "Collection":
        return Collection(self._database[name], self.options)

    async def close(self) -> None:
        """Let go of the connections; calls under way end with Unavailable."""
        await asyncio.to_thread(self._client.close)


class Collection:
    """The calls that we make, with neutral errors."""

    def __init__(
        self, collection: "AsyncIOMotorCollection[Document]", options: MongoOptions
    ) -> None:
        self._collection = collection
        self._options = options

    async def one(self, of: Filter, fields: Sequence[str] | None = None) -> Document | None:
        """A document that fits, with those fields and its _id."""
        with translated(self._options):
            return await self._collection.find_one(of, fields)

    async def many(
        self,
        of: Filter,
        *,
        order: Order = (("_id", 1),),
        limit: int = 0,
        fields: Sequence[str] | None = None,
        hint: Order | None = None,
        skip: int = 0,
    ) -> list[Document]:
        """The first documents that fit, in one answer where they go into one. 0 is all."""
        found = self._collection.find(
            of,
            fields,
            sort=list(order),
            skip=skip,
            limit=limit,
            batch_size=limit,
            hint=hint and list(hint),
        )
        with translated(self._options):
            return await found.to_list(None)

    async def total(self, of: Filter, sums: Filter, hint: Order) -> Document:
        """Sums over the documents that fit, by name; nothing where none does."""
        stages: list[Filter] = [{"$match": of}, {"$group": {"_id": None, **sums}}]
        with translated(self._options):
            found = await self._collection.aggregate(stages, hint=dict(hint)).to_list(None)
        return found[0] if found else {}

    async def insert(self, document: Document) -> bool:
        """False where there is one of the same key."""
        with translated(self._options):
            try:
                await self._collection.insert_one(document)
            except DUPLICATE_KEY:
                return False
            return True

    async def insert_missing(self, documents: Sequence[Document]) -> None:
        """Insert those that are not there, in no order."""
        with translated(self._options):
            try:
                await self._collection.insert_many(documents, ordered=False)
            except BulkWriteError as error:
                if not only_duplicates(error):
                    raise

    async def update(self, of: Filter, change: Filter, *, upsert: bool = False) -> bool:
        """Whether one fitted, or was made; False where another one of the same key is there."""
        with translated(self._options):
            try:
                answer = await self._collection.update_one(of, change, upsert=upsert)
            except DUPLICATE_KEY:
                return False
            return bool(answer.matched_count or answer.upserted_id is not None)

    async def update_each(self, changes: Sequence[tuple[Filter, Filter]]) -> None:
        """Update one document for each filter, in no order."""
        with translated(self._options):
            await self._collection.bulk_write([UpdateOne(*one) for one in changes], ordered=False)

    async def swap(self, of: Filter, document: Document) -> Document | None:
        """Put the document in the place of the one that fits; that one, if there was one."""
        for _ in range(ATTEMPTS):
            with translated(self._options):
                with suppress(DUPLICATE_KEY):
                    await self._collection.insert_one(dict(document))
                    return None
                old = await self._collection.find_one(of)
                if old and (await self._collection.replace_one(old, document)).matched_count:
                    return dict(old)
        raise Busy(f"MongoDB at {self._options.hosts}: others change the same thing all the time")

    async def delete(self, of: Filter) -> bool:
        """Whether there was one."""
        with translated(self._options):
            return (await self._collection.delete_one(of)).deleted_count > 0

    async def delete_all(self, of: Filter) -> None:
        with translated(self._options):
            await self._collection.delete_many(of)

    async def make_index(self, keys: Order, *, unique: bool, where: str) -> None:
        """Return once there is such an index; `where` is a field that a document must have."""
        partial: Document = {"partialFilterExpression": {where: {"$exists": True}}} if where else {}
        index = IndexModel(list(keys), unique=unique, **partial)
        with translated(self._options):
            await self._collection.create_indexes([index])


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)
