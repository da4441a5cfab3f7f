"""What a row amounts to, as one number: two sites that hold the same row have the same one.

The sum of these numbers, modulo 2 ** BITS, is the fingerprint of a set of rows: it forgets their
order, and two ranges side by side have the sum of both. SHA-256 is what a database can compute by
itself, too.
"""

from hashlib import sha256
from typing import Final

from msgspec import json

from backends.model import Facts, Row, Version

BITS: Final = 64
MODULUS: Final = 1 << BITS
BYTES: Final = BITS // 8
SHORT: Final = 16
ENCODER: Final = json.Encoder(order="deterministic")
NOTHING_MORE: Final[tuple[object, ...]] = ({}, {}, Facts(Version(0, "")).storage_class, None)


def shared_of(facts: Facts) -> str:
    """A short digest of what replicas share beside version, size and ETag; "" for the plainest.

    Where the bytes lie, in which parts they came and whose they are is each site's own. So is that
    a row is only `listed`: once it is complete it has another version. What never expires has the
    digest that it had before objects could.
    """
    shared: tuple[object, ...] = (
        facts.headers,
        facts.metadata,
        facts.storage_class,
        facts.checksum,
    )
    if facts.expires:
        shared = (*shared, facts.expires)
    if shared == NOTHING_MORE:
        return ""
    return sha256(ENCODER.encode(shared)).hexdigest()[:SHORT]


def fingerprint_of(row: Row) -> int:
    """The number of a row, as a signed one of BITS bits, as databases keep it."""
    facts = row.facts
    if row.deleted:
        return tombstone_fingerprint(row.key, str(facts.version))
    return object_fingerprint(row.key, str(facts.version), facts.etag, facts.size, shared_of(facts))


def object_fingerprint(key: str, version: str, etag: str, size: int, shared: str) -> int:
    """The number of an object; `shared` is what `shared_of` says of it."""
    return _number(f"{version}\0{etag}\0{size}\0{shared}\0{key}")


def tombstone_fingerprint(key: str, version: str) -> int:
    """The number of a tombstone, which has no size."""
    return _number(f"{version}\0\0\0\0{key}")


def _number(told: str) -> int:
    return int.from_bytes(sha256(told.encode()).digest()[:BYTES], signed=True)
