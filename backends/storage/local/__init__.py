"""Objects on local disk: immutable segment files, and a catalog that says what they make."""

from backends.storage.local.store import LocalStore

__all__ = ["LocalStore"]
