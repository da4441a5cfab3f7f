"""What is to be done about a key on which sites do not agree. Pure: no I/O.

Versions are compared as they are written, which is in their order.
The newest version wins wherever it is; with a source, only what that site has goes out. Nothing is
ever deleted because it is absent elsewhere: only a tombstone deletes.
"""

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Final, NamedTuple

from backends.errors import Refused
from backends.model import Version
from reconcile.comparison.compare import Kind, kind_of
from reconcile.jobs.work import Finding
from replication.messages import Listed

Held = Mapping[str, Listed | None]
Wants = Callable[[str, str, bool], bool]
CONFLICTS: Final = frozenset({Kind.SIZE, Kind.DIGEST, Kind.METADATA})


class Action(StrEnum):
    """COPY and DELETE bring a site what the winner has, under its version.

    REWRITE gives the winner's object a new version, since two sites have another thing under one.
    KEEP leaves what is newer than the source's alone.
    """

    COPY = "COPY"
    DELETE = "DELETE"
    REWRITE = "REWRITE"
    KEEP = "KEEP"


class Change(NamedTuple):
    """What one site lacks of a key, and where that is: `winner` is the site that has it."""

    kind: Kind
    key: str
    site: str
    action: Action
    winner: str
    there: Listed | None
    best: Listed

    @property
    def removes(self) -> bool:
        """Whether an object goes that the site has."""
        return self.action is Action.DELETE and self.there is not None and not self.there.deleted


class Planner(NamedTuple):
    """How keys of one bucket are decided. `home` is our site, `source` a site or "".

    Wants tell of a key, a site, and whether it is a delete, if the site is to have that. `since`
    is as `kind_of` has it.
    """

    home: str
    source: str
    since: int

    def changes(self, key: str, held: Held, wants: Wants) -> list[Change]:
        """One for each site that is to change and is to have that."""
        winner = self._winner(held)
        best = held.get(winner)
        if best is None:
            return []
        found = [
            self._change(key, site, row, winner, best)
            for site, row in held.items()
            if site != winner and wants(key, site, best.deleted)
        ]
        return [change for change in found if change]

    def _winner(self, held: Held) -> str:
        """The site whose row is to be everywhere; "" where there is none."""
        if self.source:
            return self.source
        rows = {site: row for site, row in held.items() if row}
        if not rows:
            return ""
        best = max(row.version for row in rows.values())
        having = [site for site, row in rows.items() if row.version == best]
        if len(having) == 1:
            return having[0]
        made = Version.parse(best).site
        return min(having, key=lambda site: (site != made, site != self.home, site))

    def _change(
        self, key: str, site: str, row: Listed | None, winner: str, best: Listed
    ) -> Change | None:
        here, there = (row, best) if site == self.home else (best, row)
        kind = kind_of(here, there, buried_since=self.since)
        if kind is None:
            return None
        return Change(kind, key, site, self._action(kind, row, best), winner, row, best)

    def _action(self, kind: Kind, row: Listed | None, best: Listed) -> Action:
        if row and row.version > best.version:
            return Action.KEEP
        if kind in CONFLICTS:
            return Action.REWRITE
        return Action.DELETE if best.deleted else Action.COPY


def require_few_deletes(deletes: int, most: int) -> None:
    """Return if so many objects may be deleted. Refused."""
    if deletes > most:
        raise Refused(
            f"{deletes} objects would be deleted, {most} may be: look at the report of a dry run,"
            " then raise max_deletes"
        )


def version_of(row: Listed) -> Version:
    """The version of what a site told."""
    return Version.parse(row.version)


def finding_of(bucket: str, change: Change, home: str) -> Finding:
    """The line of a report."""
    ours = change.site == home
    theirs = change.there.version if change.there else ""
    return Finding(
        kind=change.kind,
        bucket=bucket,
        key=change.key,
        action=change.action,
        detail=f"{change.winner} has it" if change.action is not Action.KEEP else "newer there",
        size=change.best.size,
        site=change.site,
        here=theirs if ours else change.best.version,
        there=change.best.version if ours else theirs,
    )
