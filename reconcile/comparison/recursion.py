"""How buckets are compared: range-based set reconciliation (Meyer 2023), from the first key on.

Ranges that are alike at all holders are done with one exchange. Those that are not are cut, many at
once, until looking at their rows is cheaper. What is still to be done is a list of ranges in order,
of which only the first ones are worked on: it stays short, whatever the bucket's size.
"""

from bisect import bisect_right
from collections.abc import AsyncGenerator, Container, Mapping, Sequence
from typing import Final, NamedTuple

from msgspec import Struct

from backends.bounded import bounded
from backends.errors import Corrupt
from backends.model import KeyRange, RangeDigest
from reconcile.comparison import frontier
from reconcile.comparison.frontier import INTO, LEAF, UNKNOWN, Piece
from reconcile.comparison.holders import Here, Holder
from replication.messages import Listed, RangePage
from replication.ranges import MOST_ROWS

STRIDE: Final = 1 << 20  # rows whose digest is asked for at once
WIDTH: Final = 128  # ranges that are cut, or looked at, at once
AT_ONCE: Final = 8

Held = Mapping[str, Listed | None]
Asked = tuple[Holder, Sequence[KeyRange]]


class Compared(Struct, frozen=True):
    """What has been looked at: all keys up to `upto` are done, all of the range if that is "".

    `objects` are how many live ones here were among them; `unlike` are the keys on which the
    holders differ, in order, and what each of them has, by its name.
    """

    upto: str
    objects: int
    unlike: Mapping[str, Held]


class Cutoff(NamedTuple):
    """Which rows count; as `StateStore.digests`."""

    before: int
    buried_since: int

    def settled(self, row: Listed | None) -> Listed | None:
        """The row if it counts."""
        counts = row and row.counts(before=self.before, buried_since=self.buried_since)
        return row if counts else None

    def is_late(self, row: Listed | None) -> bool:
        """Whether replication may still have it in hand."""
        return row is not None and row.milliseconds >= self.before

    def differ(self, rows: Sequence[Listed | None]) -> bool:
        """Whether holders that have these rows of a key are to be made alike."""
        if all(row == rows[0] for row in rows):
            return False
        return not any(map(self.is_late, rows)) and len(set(map(self.settled, rows))) > 1


class Comparison:
    """One bucket, as each of its holders has it; `here` says where it is cut."""

    def __init__(self, here: Here, others: Sequence[Holder], bucket: str, cutoff: Cutoff) -> None:
        self._here = here
        self._holders: tuple[Holder, ...] = (here, *others)
        self._bucket = bucket
        self._cutoff = cutoff

    async def stride(self, within: KeyRange) -> KeyRange:
        """As much of the range as may be digested at once."""
        cuts = await self._here.split(self._bucket, within, every=STRIDE, limit=1)
        return KeyRange(within.after, cuts[0]) if cuts else within

    async def run(self, stride: KeyRange) -> AsyncGenerator[Compared, None]:
        """All of the stride, from its first key on."""
        pieces = [await self._first(stride)]
        while pieces:
            if count := frontier.alike_first(pieces):
                yield _alike(pieces[:count])
                pieces = pieces[count:]
                continue
            count = frontier.unlike_first(pieces, most=WIDTH)
            batch, rest = pieces[:count], pieces[count:]
            if any(piece.is_divisible for piece in batch):
                pieces = [*await self._divided(batch), *rest]
            else:
                found, left = await self._looked_at(batch)
                yield found
                pieces = [*left, *rest]

    async def _first(self, stride: KeyRange) -> Piece:
        """The stride and what it amounts to; where little is here, others are asked for rows."""
        if not await self._here.split(self._bucket, stride, every=LEAF, limit=1):
            unknown = (UNKNOWN,) * (len(self._holders) - 1)
            return Piece(stride, (RangeDigest(), *unknown), is_whole=True)
        asked: list[Asked] = [(holder, [stride]) for holder in self._holders]
        told = await bounded(self._digests, asked, at_once=len(asked))
        return Piece(stride, tuple(digest for [digest] in told))

    async def _divided(self, batch: Sequence[Piece]) -> list[Piece]:
        """The pieces of those that are divisible, in one exchange with each holder."""
        divisible = [piece for piece in batch if piece.is_divisible]
        parts = await bounded(self._parts, divisible, at_once=AT_ONCE)
        asked: list[Asked] = [
            (
                holder,
                [
                    part
                    for one, of in zip(divisible, parts, strict=True)
                    if number in one.asked
                    for part in of
                ],
            )
            for number, holder in enumerate(self._holders)
        ]
        told = await bounded(self._digests, asked, at_once=len(asked))
        answers = [iter(digests) for digests in told]
        divided = {
            one.within: one.divided(of, answers) for one, of in zip(divisible, parts, strict=True)
        }
        return [part for one in batch for part in divided.get(one.within, [one])]

    async def _parts(self, piece: Piece) -> list[KeyRange]:
        within = piece.within
        cuts = await self._here.split(self._bucket, within, every=piece.every, limit=INTO)
        return frontier.parts_of(within, cuts)

    async def _digests(self, asked: Asked) -> list[RangeDigest]:
        holder, ranges = asked
        if not ranges:
            return []
        before, buried_since = self._cutoff
        return await holder.digests(self._bucket, ranges, before=before, buried_since=buried_since)

    async def _rows(self, asked: Asked) -> RangePage:
        holder, ranges = asked
        if not ranges:
            return RangePage(())
        return await holder.rows(self._bucket, ranges, limit=MOST_ROWS)

    async def _looked_at(self, batch: Sequence[Piece]) -> tuple[Compared, list[Piece]]:
        """What the rows of the first pieces say, and what is left to be done."""
        count = frontier.readable_first(batch, most=MOST_ROWS)
        looked, rest = batch[:count], batch[count:]
        asked: list[Asked] = [
            (holder, [one.within for one in looked if not one.is_alike and number in one.asked])
            for number, holder in enumerate(self._holders)
        ]
        pages = await bounded(self._rows, asked, at_once=len(asked))
        reached = min((page.reached for page in pages if page.reached), default="")
        done = [piece for piece in looked if not reached or piece.within.after < reached]
        if not done:
            raise Corrupt(f"{self._bucket}: a page of rows ends before it begins, at {reached}")
        found = self._judged(done, _by_key(pages, reached))
        upto = reached or looked[-1].within.upto
        return Compared(upto, *found), [*frontier.left_of(looked, reached), *rest]

    def _judged(
        self, pieces: Sequence[Piece], rows: Mapping[str, list[Listed | None]]
    ) -> tuple[int, dict[str, Held]]:
        """How many objects are here, and the keys on which holders differ."""
        objects = 0
        unlike: dict[str, Held] = {}
        keys = sorted(rows)
        for piece in pieces:
            if piece.is_alike:
                objects += piece.digests[0].objects
                continue
            asked = piece.asked
            for key in _keys_within(keys, piece.within):
                held = self._held(asked, rows[key])
                objects += self._is_object(held[0])
                if self._cutoff.differ(held):
                    unlike[key] = {
                        holder.name: row for holder, row in zip(self._holders, held, strict=True)
                    }
        return objects, unlike

    def _held(self, asked: Container[int], rows: list[Listed | None]) -> list[Listed | None]:
        """What each holder has; one that was not asked, because it is like here, has the same."""
        same = self._cutoff.settled(rows[0])
        return [row if number in asked else same for number, row in enumerate(rows)]

    def _is_object(self, row: Listed | None) -> bool:
        settled = self._cutoff.settled(row)
        return settled is not None and not settled.deleted


def _alike(pieces: Sequence[Piece]) -> Compared:
    return Compared(pieces[-1].within.upto, sum(one.digests[0].objects for one in pieces), {})


def _by_key(pages: Sequence[RangePage], reached: str) -> dict[str, list[Listed | None]]:
    """What each holder has of each key, up to the one that all have reached."""
    rows: dict[str, list[Listed | None]] = {}
    for number, page in enumerate(pages):
        for row in page.rows:
            if not reached or row.key <= reached:
                rows.setdefault(row.key, [None] * len(pages))[number] = row
    return rows


def _keys_within(keys: Sequence[str], within: KeyRange) -> Sequence[str]:
    first = bisect_right(keys, within.after)
    return keys[first : bisect_right(keys, within.upto) if within.upto else len(keys)]
