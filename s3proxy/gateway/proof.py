"""Whether bytes are those that an object's facts tell of: their size, and the MD5 in its ETag."""

from hashlib import md5
from typing import Final

from backends.errors import Corrupt
from backends.etags import is_md5
from backends.model import Facts

DASH: Final = "-"


class Proof:
    """Grows with the bytes, in their order.

    The ETag of a multipart upload is compared where the facts tell its parts; of one that is
    neither that nor an MD5, the size alone is.
    """

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self._size = 0
        self._digest = md5(usedforsecurity=False)
        self._parts = tuple(part.size for part in facts.parts) if DASH in facts.etag else ()
        self._ended = b""
        self._left = self._parts[0] if self._parts else 0

    def copy(self) -> "Proof":
        """The same so far, which grows on its own."""
        twin = Proof(self._facts)
        twin._size, twin._digest = self._size, self._digest.copy()
        twin._parts, twin._ended, twin._left = self._parts, self._ended, self._left
        return twin

    def update(self, block: bytes) -> None:
        """The next bytes."""
        self._size += len(block)
        while self._parts and len(block) >= self._left:
            self._digest.update(block[: self._left])
            block = block[self._left :]
            self._next_part()
        self._left -= len(block)
        self._digest.update(block)

    def require(self, what: str) -> None:
        """Return if that was all, and right. Corrupt."""
        etag = self._facts.etag
        if self._size != self._facts.size or (self._etag(etag) or etag) != etag:
            raise Corrupt(f"{what}: other bytes than were put")

    def _next_part(self) -> None:
        self._ended += self._digest.digest()
        self._digest = md5(usedforsecurity=False)
        self._parts = self._parts[1:]
        self._left = self._parts[0] if self._parts else 0

    def _etag(self, expected: str) -> str:
        """The ETag of the bytes, where it is of a kind that can be told."""
        if is_md5(expected):
            return self._digest.hexdigest()
        if not self._ended or self._parts:
            return ""
        count = len(self._facts.parts)
        return f"{md5(self._ended, usedforsecurity=False).hexdigest()}{DASH}{count}"
