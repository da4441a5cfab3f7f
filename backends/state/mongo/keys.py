"""The documents of keys: read, and changed by compare-and-set."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, NamedTuple, TypeVar
from weakref import WeakValueDictionary

from bson import ObjectId

from backends.errors import Busy
from backends.state.mongo.connection import Collection, Document
from backends.state.mongo.documents import FIELDS, Key, fields_of, id_of, key_of

ATTEMPTS: Final = 40
PAUSE_SECONDS: Final = 0.01
LONGEST_PAUSE: Final = 0.2
T = TypeVar("T")
C = TypeVar("C")


class Found(NamedTuple):
    """A document as it was read; one that is not there has no revision."""

    key: Key
    revision: ObjectId | None
    fields: Document


class Keys:
    """Writers of one key in this process take turns; those of several meet at the server."""

    def __init__(self, collection: Collection) -> None:
        self.collection = collection
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def read(self, bucket: str, key: str, *fields: str) -> Key:
        """What the document says in those fields."""
        found = await self.collection.one({"_id": id_of(bucket, key)}, fields)
        return key_of(found) if found else Key(bucket, key)

    async def change(self, bucket: str, key: str, decide: Callable[[Key], tuple[Key, T]]) -> T:
        """Make of the document what `decide` makes of it, and answer what it answers.

        It is called again with what is there by then, as often as another writer was quicker;
        Busy where that does not end. It raises what `decide` raises: nothing changes then.
        """
        return await self.change_given(bucket, key, nothing, lambda found, _: decide(found))

    async def change_given(
        self,
        bucket: str,
        key: str,
        given: Callable[[], Awaitable[C]],
        decide: Callable[[Key, C], tuple[Key, T]],
    ) -> T:
        """As `change`, with something else that is read at the same time."""
        async with self._turn(id_of(bucket, key)):
            found, context = await asyncio.gather(self._load(bucket, key), given())
            for attempt in range(ATTEMPTS):
                changed, answer = decide(found.key, context)
                if changed == found.key or await self._set(found, changed):
                    return answer
                await asyncio.sleep(
                    random.uniform(0, min(PAUSE_SECONDS * 2**attempt, LONGEST_PAUSE))
                )
                found = await self._load(bucket, key)
        raise Busy(f"{bucket}/{key} is being changed by many others")

    def _turn(self, name: str) -> asyncio.Lock:
        return self._turns.setdefault(name, asyncio.Lock())

    async def _load(self, bucket: str, key: str) -> Found:
        found = await self.collection.one({"_id": id_of(bucket, key)})
        if found is None:
            return Found(Key(bucket, key), None, {})
        fields: Document = {field: found[field] for field in FIELDS if field in found}
        return Found(key_of(found), found["revision"], fields)

    async def _set(self, found: Found, changed: Key) -> bool:
        """Whether the document was still the one that was found, and now is the changed one."""
        name, fields = id_of(changed.bucket, changed.key), fields_of(changed)
        if found.revision is None:
            return await self.collection.insert({"_id": name, "revision": ObjectId(), **fields})
        same = {"_id": name, "revision": found.revision}
        if not fields:
            return await self.collection.delete(same)
        return await self.collection.update(same, difference(found.fields, fields))


def difference(old: Document, new: Document) -> Document:
    """The update that makes the new fields of the old ones, under a new revision."""
    changed = {field: value for field, value in new.items() if old.get(field) != value}
    update: Document = {"$set": {"revision": ObjectId(), **changed}}
    gone = [field for field in old if field not in new]
    return {**update, "$unset": dict.fromkeys(gone, "")} if gone else update


def names_of(documents: Sequence[Document]) -> list[str]:
    return [document["_id"] for document in documents]


async def nothing() -> None:
    """For where nothing else has to be read."""
