"""Writes that wait on local disk for a storage that is unsteady."""

from backends.storage.layers.buffered.journal import Journal, Totals, Waiting, entries_in
from backends.storage.layers.buffered.options import BufferOptions
from backends.storage.layers.buffered.resolving import Resolving
from backends.storage.layers.buffered.store import Buffered

__all__ = ["BufferOptions", "Buffered", "Journal", "Resolving", "Totals", "Waiting", "entries_in"]
