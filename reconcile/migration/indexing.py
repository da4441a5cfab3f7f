"""Rows for objects of an account that knows nothing of us, before their bytes are moved."""

from typing import Final

from backends.model import Bucket
from backends.state.completing import Completing
from backends.state.found import Given
from backends.state.protocol import StateStore
from backends.storage.protocol import ObjectStore
from reconcile.migration.moving import Page
from reconcile.migration.records import Migration
from reconcile.storages.adopting import Terms, adopt_page

PAGE: Final = 500


class Indexing:
    """As Stage: takes what the old storage lists into the state, as adoption does."""

    def __init__(
        self, state: StateStore, store: ObjectStore, bucket: Bucket, migration: Migration
    ) -> None:
        self._state = Completing(state, store)
        self._store = store
        self._bucket = bucket.name
        self._terms = terms_of(bucket, migration)

    async def page(self, after: str) -> Page:
        """Take some objects, with all that the storage tells of them."""
        terms = self._terms._replace(most=PAGE)
        page = await adopt_page(self._state, self._store, self._bucket, after, terms)
        if page.seen and not self._store.capabilities.lists_facts:
            await self._complete(after, page.next or "")
        return Page(page.next or "", page.seen, changed=len(page.rows))

    async def _complete(self, after: str, upto: str) -> None:
        """Read the rows of these keys once: what is not known of them yet is then."""
        while rows := await self._state.inventory(self._bucket, after=after, limit=PAGE, upto=upto):
            after = rows[-1].key


def terms_of(bucket: Bucket, migration: Migration) -> Terms:
    """How objects of the old storage are taken, also those that a gateway wrote."""
    return Terms(Given(bucket.owner), migration.started, apart=migration.started)
