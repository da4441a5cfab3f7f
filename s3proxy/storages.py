"""The storages that the settings name, opened, with their layers around them."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from backends.storage.layers import breaker
from backends.storage.layers.breaker import Breaker
from backends.storage.layers.buffered import (
    Buffered,
    BufferOptions,
    Resolving,
    entries_in,
)
from backends.storage.layers.metered import Meter, Metered
from backends.storage.layers.placed import Locate, Placed
from backends.storage.layers.prefixed import Prefixed
from backends.storage.layers.throttled import Rate, Throttled
from backends.storage.local import LocalStore
from backends.storage.protocol import ObjectStore
from s3proxy.config import ConfigError, Settings
from s3proxy.gateway.placement import DEFAULT, Placement, Rule
from s3proxy.storage_config import Backend, Limits

EXTRA: Final = "{kind} storage needs an extra: pip install 'clone-cloud-store[{kind}]' ({error})"


@dataclass(frozen=True, slots=True)
class Storages:
    """All storages as one; each, and the buffers of those that have one, by its storage's name."""

    store: ObjectStore
    each: Mapping[str, ObjectStore]
    buffers: Mapping[str, Buffered]


def storages_of(settings: Settings, locate: Locate, meter: Meter | None = None) -> Storages:
    """One storage, or several as one. `locate` says in which of them a bucket is.

    With a state a single one is as one of several, too: buckets may have come from others.
    `meter` is told what storages that are reached over a network do.
    """
    backends = _backends(settings)
    in_place = settings.state.kind == "none" or any(
        backend.kind != "local" for backend in backends.values()
    )
    stores = {
        name: _opened(name, backend, settings, meter, in_place=in_place)
        for name, backend in backends.items()
    }
    buffers = {
        name: _buffered(store, name, settings)
        for name, store in stores.items()
        if backends[name].buffer.mode != "off"
    }
    stores = {
        name: _prefixed(buffers.get(name) or _unbuffered(store, backends[name]), backends[name])
        for name, store in stores.items()
    }
    if len(stores) == 1 and settings.state.kind == "none":
        return Storages(stores[DEFAULT], stores, buffers)
    _require_alike(settings, stores)
    placed = Placed(stores, locate, remembered=settings.state.kind != "none")
    return Storages(placed, stores, buffers)


def buffer_folders(settings: Settings) -> Iterator[tuple[str, Path]]:
    """The names of the storages that have a buffer, and the buffers' folders."""
    for name, backend in _backends(settings).items():
        if backend.buffer.mode != "off":
            yield name, _buffer_of(settings, name)


def placement_of(settings: Settings) -> Placement:
    """Where new buckets go."""
    return Placement(
        [
            Rule(name, storage.buckets, storage.location or name)
            for name, storage in settings.storages.items()
        ]
    )


def _opened(
    name: str, backend: Backend, settings: Settings, meter: Meter | None, *, in_place: bool
) -> ObjectStore:
    if backend.kind == "local":
        store: ObjectStore = LocalStore.open(
            backend.path or _folder_of(settings, name),
            durable=settings.storage.durable,
            keeps_replaced=not in_place,
        )
    else:
        store = _remote(backend)
        store = Metered(store, name or "default", meter) if meter else store
        store = Breaker(store, _breaking(backend.limits))
        _require_stored(name, backend, settings)
    return _layered(store, backend)


def _layered(store: ObjectStore, backend: Backend) -> ObjectStore:
    """The layers that the settings ask for, around a storage."""
    limits = backend.limits
    if limits.read_bytes_per_second or limits.write_bytes_per_second:
        inward, outward = Rate(limits.write_bytes_per_second), Rate(limits.read_bytes_per_second)
        store = Throttled(store, inward=inward, outward=outward)
    return store


def _unbuffered(store: ObjectStore, backend: Backend) -> ObjectStore:
    """A storage without a buffer, which may have had one before."""
    return store if backend.kind == "local" else Resolving(store)


def _prefixed(store: ObjectStore, backend: Backend) -> ObjectStore:
    return Prefixed(store, backend.bucket_prefix) if backend.bucket_prefix else store


def _buffered(store: ObjectStore, name: str, settings: Settings) -> Buffered:
    """What waits tells the storage's ETags where the storage's own are shown."""
    buffer = _backends(settings)[name].buffer
    return Buffered(
        store,
        BufferOptions(
            _buffer_of(settings, name),
            max_bytes=buffer.max_bytes,
            always=buffer.mode == "always",
            unsteady_seconds=buffer.unsteady_seconds,
            retry_seconds=buffer.retry_seconds,
            longest_retry_seconds=buffer.longest_retry_seconds,
            etags=settings.state.kind == "none" and store.capabilities.etag_is_locator,
            durable=settings.storage.durable,
        ),
    )


def _breaking(limits: Limits) -> breaker.Limits:
    return breaker.Limits(
        failures=limits.failures,
        pause_seconds=limits.pause_seconds,
        call_seconds=limits.call_seconds,
        block_seconds=limits.block_seconds,
    )


def _remote(backend: Backend) -> ObjectStore:
    """The vendors' libraries are loaded only where they are used. ConfigError without them."""
    try:
        return OPENERS[backend.kind](backend)
    except ImportError as error:
        raise ConfigError(EXTRA.format(kind=backend.kind, error=error)) from error


def _open_s3(backend: Backend) -> ObjectStore:
    from backends.storage.s3 import S3Options, S3Store

    return S3Store(S3Options(**backend.s3.model_dump()))


def _open_azure(backend: Backend) -> ObjectStore:
    from backends.storage.azure import AzureOptions, AzureStore

    return AzureStore(AzureOptions(**backend.azure.model_dump()))


def _open_gcs(backend: Backend) -> ObjectStore:
    from backends.storage.gcs import GCSOptions, GCSStore

    return GCSStore(GCSOptions(**backend.gcs.model_dump()))


OPENERS: Final[Mapping[str, Callable[[Backend], ObjectStore]]] = {
    "s3": _open_s3,
    "azure": _open_azure,
    "gcs": _open_gcs,
}


def _backends(settings: Settings) -> dict[str, Backend]:
    return {DEFAULT: settings.storage, **settings.storages}


def _buffer_of(settings: Settings, name: str) -> Path:
    """The folder of a storage's buffer."""
    path = _backends(settings)[name].buffer.path
    return path or settings.storage.data / "buffers" / (name or "default")


def _require_stored(name: str, backend: Backend, settings: Settings) -> None:
    """ConfigError where a buffer was turned off while writes wait in it."""
    folder = _buffer_of(settings, name)
    if backend.buffer.mode == "off" and (waiting := entries_in(folder)):
        raise ConfigError(
            f"storage.buffer: {waiting} writes still wait in {folder}; turn the buffer off when"
            " they are stored"
        )


def _folder_of(settings: Settings, name: str) -> Path:
    data = settings.storage.data
    return data / "storages" / name if name else data / "storage"


def _require_alike(settings: Settings, stores: Mapping[str, ObjectStore]) -> None:
    """ETags come from the storages where there is no state: all of them must tell the same."""
    own = {store.capabilities.etag_is_locator for store in stores.values()}
    if settings.state.kind == "none" and len(own) > 1:
        raise ConfigError(
            "storages: without state, S3 storages and others cannot be mixed in one gateway"
        )
