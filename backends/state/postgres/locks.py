"""Names of the server's advisory locks: numbers that every process of a site computes alike.

A transaction takes those it shares first, then its own, each in the order of their numbers: so
no two wait for one another. They cost no write, unlike locks of rows.
"""

from collections.abc import Iterable
from hashlib import blake2b
from typing import Final

BYTES: Final = 8


class Locks:
    """The locks of one schema. They are part of the schema: a change needs all processes down."""

    def __init__(self, schema: str) -> None:
        self._hash = blake2b(schema.encode() + b"\0", digest_size=BYTES)
        self.migration = self._number(b"migration")
        self.subscriptions = self._number(b"subscriptions")
        self.outbox = self._number(b"outbox")

    def bucket(self, name: bytes) -> int:
        """Shared by who writes in the bucket, held alone by who deletes it."""
        return self._number(b"bucket\0" + name)

    def key(self, bucket: bytes, key: bytes) -> int:
        """Held by who writes the key."""
        return self._number(b"key\0" + bucket + b"\0" + key)

    def _number(self, name: bytes) -> int:
        digest = self._hash.copy()
        digest.update(name)
        return int.from_bytes(digest.digest(), signed=True)


def in_order(locks: Iterable[int]) -> list[int]:
    """Each once, in the order in which everybody takes them."""
    return sorted(set(locks))
