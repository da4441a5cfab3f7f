"""A page of a bucket's keys, those with a delimiter rolled up into common prefixes."""

from dataclasses import dataclass, field
from typing import Final

from backends.model import Entry
from backends.state.protocol import StateStore

LAST_CHARACTER: Final = "\U0010ffff"
FIRST_FETCH: Final = 32


@dataclass(frozen=True, slots=True)
class Query:
    """What a listing asks for. `after` is a key or a common prefix: neither comes again."""

    bucket: str
    prefix: str = ""
    delimiter: str = ""
    after: str = ""
    limit: int = 1000


@dataclass(slots=True)
class Page:
    """Entries and common prefixes, each in order. `last` is the highest of both.

    `truncated` says that more follow.
    """

    entries: list[Entry] = field(default_factory=list)
    prefixes: list[str] = field(default_factory=list)
    last: str = ""
    truncated: bool = False

    def __len__(self) -> int:
        return len(self.entries) + len(self.prefixes)


class Listing:
    """Reads pages from state alone, by index, at a cost that does not grow with the bucket."""

    def __init__(self, state: StateStore) -> None:
        self._state = state

    async def page(self, query: Query) -> Page:
        """The page after `query.after`. BucketNotFound."""
        if not query.limit:
            await self._state.bucket(query.bucket)
            return Page()
        if not query.delimiter:
            return await self._flat(query)
        return await self._rolled_up(query)

    async def _flat(self, query: Query) -> Page:
        entries = await self._fetch(query, query.after, query.limit + 1)
        truncated = len(entries) > query.limit
        del entries[query.limit :]
        return Page(entries, [], entries[-1].key if entries else "", truncated)

    async def _rolled_up(self, query: Query) -> Page:
        """Walk the keys, jumping over the rest of each common prefix by index.

        The number of keys fetched at once grows while they are used and falls back where most
        belong to a prefix that is known already.
        """
        page = Page()
        common = common_prefix(query.after, query)
        skip = common if common == query.after else ""
        after, fetch = beyond(skip) if skip else query.after, FIRST_FETCH
        while True:
            entries = await self._fetch(query, after, fetch)
            used = take(page, entries, query, skip)
            if page.truncated or len(entries) < fetch:
                return page
            last = entries[-1].key
            skip = common_prefix(last, query)
            after = max(last, beyond(skip)) if skip else last
            fetch = min(fetch * 4, query.limit + 1) if used * 2 > fetch else FIRST_FETCH

    async def _fetch(self, query: Query, after: str, limit: int) -> list[Entry]:
        return await self._state.page(query.bucket, prefix=query.prefix, after=after, limit=limit)


def common_prefix(key: str, query: Query) -> str:
    """The key up to and with the first delimiter behind the prefix; "" where there is none."""
    if not query.delimiter or not key.startswith(query.prefix):
        return ""
    at = key.find(query.delimiter, len(query.prefix))
    return "" if at < 0 else key[: at + len(query.delimiter)]


def beyond(prefix: str) -> str:
    """A place above every usual key that begins with the prefix."""
    return prefix + LAST_CHARACTER


def take(page: Page, entries: list[Entry], query: Query, skip: str) -> int:
    """Add entries to the page until it is full; how many of them were of use."""
    used = 0
    for entry in entries:
        if skip and entry.key.startswith(skip):
            continue
        if len(page) == query.limit:
            page.truncated = True
            return used
        used += 1
        skip = common_prefix(entry.key, query)
        if skip:
            page.prefixes.append(skip)
        else:
            page.entries.append(entry)
        page.last = skip or entry.key
    return used
