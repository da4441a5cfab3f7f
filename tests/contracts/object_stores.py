"""Every ObjectStore there is, opened for one test: a new driver adds one line."""

import asyncio
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Final

import pytest

from backends.errors import BucketNotFound
from backends.model import Bucket
from backends.storage.addresses import Place
from backends.storage.azure import AzureOptions, AzureStore
from backends.storage.gcs import GCSOptions, GCSStore
from backends.storage.layers.breaker import Breaker, Limits
from backends.storage.layers.buffered import Buffered, BufferOptions, Resolving
from backends.storage.layers.forwarding import Forwarding
from backends.storage.layers.metered import Metered
from backends.storage.layers.migrating import Migrating
from backends.storage.layers.placed import Placed
from backends.storage.layers.prefixed import Prefixed
from backends.storage.layers.throttled import Rate, Throttled
from backends.storage.local import LocalStore
from backends.storage.memory import MemoryStore
from backends.storage.protocol import ObjectStore
from backends.storage.s3 import S3Options, S3Store
from tests.services.process import Service
from tests.services.servers import AZURE_ACCOUNT, AZURE_KEY, S3_ACCESS, S3_SECRET

MIB: Final = 1024 * 1024

Opener = Callable[[pytest.FixtureRequest, Path], ObjectStore]


class Fault(Enum):
    """What a server of the tests gets wrong, or a storage cannot have at all."""

    ODD_KEYS = "keys are paths of files"
    CONTROL_CHARACTERS = "no control characters in keys"
    ESCAPED_ORDER = "keys that had to be escaped are listed where their escapes belong"
    ABORTED_UPLOADS = "completing an aborted upload is a failure of the server"
    CONDITIONAL_COMPLETION = "conditions of a completion are ignored"


@dataclass(frozen=True)
class Opened:
    """A store of a test's own, and what the server behind it cannot do that the service can."""

    store: ObjectStore
    faults: frozenset[Fault] = frozenset()

    def can_name(self, key: str) -> bool:
        """Whether the server takes such a key."""
        if Fault.ODD_KEYS in self.faults:
            return False
        return key.isprintable() or Fault.CONTROL_CHARACTERS not in self.faults


def s3(server: str) -> Opener:
    """An S3 driver over the server that the fixture of that name runs."""

    def opened(request: pytest.FixtureRequest, _: Path) -> ObjectStore:
        service: Service = request.getfixturevalue(server)
        return S3Store(
            S3Options(service.url, access_key=S3_ACCESS, secret_key=S3_SECRET, part_bytes=6 * MIB)
        )

    return opened


def azure(request: pytest.FixtureRequest, _: Path) -> ObjectStore:
    """The Azure driver over its emulator."""
    service: Service = request.getfixturevalue("azurite")
    url = f"{service.url}/{AZURE_ACCOUNT}"
    return AzureStore(AzureOptions(account_url=url, account_key=AZURE_KEY, block_bytes=MIB))


def gcs(request: pytest.FixtureRequest, _: Path) -> ObjectStore:
    """The GCS driver over its emulator."""
    service: Service = request.getfixturevalue("fake_gcs")
    return GCSStore(
        GCSOptions(project="test", endpoint=service.url, anonymous=True, chunk_bytes=MIB)
    )


def gcs_stub(request: pytest.FixtureRequest, _: Path) -> ObjectStore:
    """The GCS driver over a stub that is strict where the emulator is not."""
    url: str = request.getfixturevalue("gcs_stub")
    return GCSStore(GCSOptions(project="test", endpoint=url, anonymous=True, chunk_bytes=MIB))


class Unread:
    """A meter that nobody reads."""

    def called(self, storage: str, verb: str, seconds: float, error: str) -> None:
        assert storage
        assert verb
        assert seconds >= 0
        assert not error or error[0].isupper()

    def moved(self, storage: str, *, inward: int = 0, outward: int = 0) -> None:
        assert storage
        assert inward or outward


LAYERS: Final[dict[str, Callable[[ObjectStore], ObjectStore]]] = {
    "metered": lambda inner: Metered(inner, "test", Unread()),
    "throttled": lambda inner: Throttled(inner, inward=Rate(10**9), outward=Rate(10**9)),
    "breaker": lambda inner: Breaker(inner, Limits()),
    "resolving": Resolving,
}


def layered(layer: str, store: Opener) -> Opener:
    """A layer around a store."""
    return lambda request, folder: LAYERS[layer](store(request, folder))


class Flushing(Forwarding):
    """A buffer whose worker runs until it is closed."""

    def __init__(self, buffer: Buffered) -> None:
        super().__init__(buffer)
        self._running = asyncio.create_task(buffer.run())

    async def close(self) -> None:
        self._running.cancel()
        await asyncio.wait([self._running])
        await super().close()


def buffered(store: Opener, *, always: bool = False) -> Opener:
    """A store behind a buffer, steady; with `always` all writes go through the buffer."""

    def opened(request: pytest.FixtureRequest, folder: Path) -> ObjectStore:
        options = BufferOptions(folder / "buffer", always=always, durable=False)
        return Flushing(Buffered(store(request, folder), options))

    return opened


def in_memory(_: pytest.FixtureRequest, __: Path) -> ObjectStore:
    return MemoryStore()


def in_memory_in_place(_: pytest.FixtureRequest, __: Path) -> ObjectStore:
    return MemoryStore(keeps_replaced=False)


def on_disk(_: pytest.FixtureRequest, folder: Path) -> ObjectStore:
    return LocalStore.open(folder, durable=False)


def on_disk_in_place(_: pytest.FixtureRequest, folder: Path) -> ObjectStore:
    return LocalStore.open(folder, durable=False, keeps_replaced=False)


async def unknown(bucket: str) -> Place:
    """Nobody remembers where a bucket is: it has to be looked for."""
    raise BucketNotFound(bucket)


def placed(store: Opener) -> Opener:
    """A store as the second of two."""

    def opened(request: pytest.FixtureRequest, folder: Path) -> ObjectStore:
        second = store(request, folder)
        first = MemoryStore(keeps_replaced=second.capabilities.keeps_replaced)
        return Placed({"near": first, "": second}, unknown)

    return opened


class Moving(Migrating):
    """A bucket on its way: both storages have it."""

    def __init__(self, old: ObjectStore, new: ObjectStore) -> None:
        super().__init__({"old": old, "new": new}, Place("old", "new", ("old", "new")))
        self._old = old

    async def create_bucket(self, bucket: Bucket) -> None:
        await self._old.create_bucket(bucket)
        await super().create_bucket(bucket)


def moving(store: Opener) -> Opener:
    """A store that a bucket moves to, from another one."""

    def opened(request: pytest.FixtureRequest, folder: Path) -> ObjectStore:
        new = store(request, folder / "new")
        return Moving(MemoryStore(keeps_replaced=new.capabilities.keeps_replaced), new)

    return opened


OBJECT_STORES: Final[dict[str, Opener]] = {
    "memory": in_memory,
    "memory in place": in_memory_in_place,
    "local": on_disk,
    "local in place": on_disk_in_place,
    "s3 versitygw": s3("versitygw"),
    "s3 moto": s3("moto"),
    "azure": azure,
    "gcs": gcs,
    "gcs stub": gcs_stub,
    "placed memory": placed(in_memory),
    "placed local": placed(on_disk),
    "moving memory in place": moving(in_memory_in_place),
    "moving local": moving(on_disk),
    **{f"{layer} memory": layered(layer, in_memory) for layer in LAYERS},
    **{f"{layer} local": layered(layer, on_disk) for layer in LAYERS},
    "buffered memory": buffered(in_memory_in_place),
    "buffered local": buffered(on_disk_in_place),
    "buffered s3": buffered(s3("versitygw")),
    "written back memory": buffered(in_memory_in_place, always=True),
    "written back local": buffered(on_disk_in_place, always=True),
    "written back s3": buffered(s3("versitygw"), always=True),
}
FAULTS: Final[dict[str, frozenset[Fault]]] = {
    "s3 versitygw": frozenset({Fault.ODD_KEYS}),
    "buffered s3": frozenset({Fault.ODD_KEYS}),
    "written back s3": frozenset({Fault.ODD_KEYS}),
    "azure": frozenset({Fault.ESCAPED_ORDER}),
    "gcs": frozenset({Fault.ESCAPED_ORDER}),
    "gcs stub": frozenset({Fault.ESCAPED_ORDER}),
    "s3 moto": frozenset(
        {Fault.CONTROL_CHARACTERS, Fault.ABORTED_UPLOADS, Fault.CONDITIONAL_COMPLETION}
    ),
}


def open_store(name: str, request: pytest.FixtureRequest, folder: Path) -> Opened:
    """The store of that name; its buckets have a prefix of their own, for servers are shared."""
    store = OBJECT_STORES[name](request, folder)
    prefixed = Prefixed(store, f"t{uuid.uuid4().hex[:12]}-")
    return Opened(prefixed, FAULTS.get(name, frozenset()))
