"""Ranges of keys on their way to be compared: those that differ are cut, until they are small."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise, takewhile
from typing import Final, NamedTuple

from backends.model import KeyRange, RangeDigest

LEAF: Final = 32  # rows that are cheaper to look at than to cut
INTO: Final = 16
LEAST: Final = LEAF // 4
UNKNOWN: Final = RangeDigest(-1, -1)


class Piece(NamedTuple):
    """A range and what it amounts to at each holder: here first, then the others.

    With `is_whole` it is to be cut no more: its rows are to be looked at, page by page.
    """

    within: KeyRange
    digests: tuple[RangeDigest, ...]
    is_whole: bool = False

    @property
    def asked(self) -> frozenset[int]:
        """Whom to ask on: here, and all who differ from it."""
        here = self.digests[0]
        return frozenset(
            number for number, digest in enumerate(self.digests) if not number or digest != here
        )

    @property
    def is_alike(self) -> bool:
        return all(digest == self.digests[0] for digest in self.digests)

    @property
    def is_divisible(self) -> bool:
        """Whether cutting it spares something: both sides have many rows."""
        if self.is_whole or self.digests[0].rows <= LEAF:
            return False
        here, *others = self.digests
        return any(digest != here and digest.rows > LEAF for digest in others)

    @property
    def every(self) -> int:
        """Of how many rows its pieces should be."""
        return max(LEAST, -(-self.digests[0].rows // INTO))

    def divided(
        self, ranges: Sequence[KeyRange], answers: Sequence[Iterator[RangeDigest]]
    ) -> "list[Piece]":
        """Its parts, with the next digests of each holder that was asked; else those of here."""
        asked = self.asked
        parts: list[Piece] = []
        for within in ranges:
            here = next(answers[0])
            digests = (
                next(answer) if number in asked else here
                for number, answer in enumerate(answers[1:], start=1)
            )
            parts.append(Piece(within, (here, *digests), is_whole=len(ranges) == 1))
        return parts

    def holds(self, key: str) -> bool:
        """Whether the key lies in it, but not at its end."""
        after, upto = self.within
        return after < key and (not upto or key < upto)

    def above(self, key: str) -> "Piece":
        """What is left of it when it has been looked at up to that key."""
        return Piece(KeyRange(key, self.within.upto), self.digests, is_whole=True)

    def ends_at(self, reached: str) -> bool:
        """Whether it lies below the key that was reached; "" is behind all."""
        return not reached or "" < self.within.upto <= reached


def parts_of(within: KeyRange, cuts: Sequence[str]) -> list[KeyRange]:
    """The range in pieces that end at those keys."""
    inside = [cut for cut in cuts if cut != within.upto]
    return [KeyRange(*pair) for pair in pairwise([within.after, *inside, within.upto])]


def alike_first(pieces: Sequence[Piece]) -> int:
    """How many pieces at the beginning are alike."""
    return sum(1 for _ in takewhile(lambda piece: piece.is_alike, pieces))


def unlike_first(pieces: Sequence[Piece], *, most: int) -> int:
    """How many pieces at the beginning have so many among them that are not alike."""
    counts = list(accumulate(not piece.is_alike for piece in pieces))
    return bisect_right(counts, most - 1) + 1 if counts[-1] >= most else len(pieces)


def readable_first(pieces: Sequence[Piece], *, most: int) -> int:
    """How many pieces at the beginning have no more rows to look at than that; at least one."""
    rows = accumulate(_rows_of(piece) for piece in pieces)
    return max(1, sum(1 for _ in takewhile(lambda count: count <= most, rows)))


def left_of(pieces: Sequence[Piece], reached: str) -> list[Piece]:
    """What is still to be done of them."""
    left = [piece for piece in pieces if not piece.ends_at(reached)]
    return [piece.above(reached) if piece.holds(reached) else piece for piece in left]


def _rows_of(piece: Piece) -> int:
    return 0 if piece.is_alike else max(digest.rows for digest in piece.digests)
