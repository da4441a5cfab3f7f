"""Every ObjectStore there is, opened in a folder of its own: a new driver adds one line."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from backends.storage.local import LocalStore
from backends.storage.memory import MemoryStore
from backends.storage.protocol import ObjectStore

OBJECT_STORES: Final[dict[str, Callable[[Path], ObjectStore]]] = {
    "memory": lambda _: MemoryStore(),
    "local": lambda folder: LocalStore.open(folder, durable=False),
}
