"""State without a database: what the storage itself holds answers."""

from backends.state.derived.store import DerivedState

__all__ = ["DerivedState"]
