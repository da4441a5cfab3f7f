"""Whether bytes are those that an object's facts tell of: by size, ETag and checksum."""

from backends.errors import Corrupt
from backends.model import ChecksumType, Facts
from s3proxy.gateway.proof import Proof
from s3proxy.s3.algorithms import ALGORITHMS, encode


class WholeProof:
    """As Proof; a checksum of the whole object is compared, too, where the facts tell one."""

    def __init__(self, facts: Facts) -> None:
        self._proof = Proof(facts)
        checksum = facts.checksum
        whole = checksum and checksum.kind is ChecksumType.FULL_OBJECT
        self._checksum = checksum if whole else None
        self._digest = ALGORITHMS[checksum.algorithm].start() if checksum and whole else None

    def update(self, block: bytes) -> None:
        """The next bytes."""
        self._proof.update(block)
        if self._digest:
            self._digest.update(block)

    def require(self, what: str) -> None:
        """Return if that was all, and right. Corrupt."""
        self._proof.require(what)
        if (
            self._digest
            and self._checksum
            and encode(self._digest.digest()) != self._checksum.value
        ):
            raise Corrupt(f"{what}: other bytes than were put, by {self._checksum.algorithm}")
