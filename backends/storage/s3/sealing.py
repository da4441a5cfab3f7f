"""Facts that are known only after the body, kept as tags of the object.

S3 takes metadata before the body and never after it; tags can be added to what is there, change
neither its bytes nor its ETag, and go when it goes.
"""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error
from collections import OrderedDict
from dataclasses import replace
from typing import Final

from backends.errors import AccessDenied, NotFound, NotSupported, Refused
from backends.model import Facts
from backends.storage import carried
from backends.storage.carried import NAME
from backends.storage.protocol import Stored
from backends.storage.s3.client import Client

VALUE: Final = 256
MOST: Final = 10
MARK: Final = 128
LONGEST: Final = VALUE * MOST * 3 // 4 - 3 - MARK
OURS: Final = re.compile(rf"{NAME}-facts-(\d)")
REMEMBERED: Final = 4096
WITHOUT_TAGS: Final = (AccessDenied, NotSupported, Refused)


class Seals:
    """Writes and reads the tags. What was read is remembered: the facts of bytes never change."""

    def __init__(self, client: Client, *, enabled: bool) -> None:
        self._client = client
        self._enabled = enabled
        self._known: OrderedDict[tuple[str, str, str, str], Facts] = OrderedDict()

    async def write(self, bucket: str, key: str, early: Facts, facts: Facts) -> None:
        """Tag the object whose metadata are the `early` facts, unless those are all that is known.

        An endpoint that has no tags for objects, or not for us, does without.
        """
        known = early.etag or not (facts.etag or facts.checksum)
        if known or not self._enabled:
            return
        told = f"{_mark(early)} {carried.encode(facts, longest=LONGEST)}"
        text = urlsafe_b64encode(told.encode()).decode()
        pieces = [text[at : at + VALUE] for at in range(0, len(text), VALUE)]
        tags = [{"Key": f"{NAME}-facts-{at}", "Value": piece} for at, piece in enumerate(pieces)]
        try:
            await self._client.ask(
                "put_object_tagging",
                f"{bucket}/{key}",
                Bucket=bucket,
                Key=key,
                Tagging={"TagSet": tags},
            )
        except (NotFound, *WITHOUT_TAGS):  # not there: another writer came after us
            return

    async def opened(self, bucket: str, stored: Stored) -> Stored:
        """What was stored, under the facts that came late."""
        name = (bucket, stored.key, stored.locator, str(stored.facts.version))
        facts = self._known.get(name)
        if facts is None and self._enabled:
            facts = await self._read(bucket, stored)
            self._remember(name, facts)
        facts = facts or stored.facts
        return replace(stored, facts=facts)

    async def _read(self, bucket: str, stored: Stored) -> Facts:
        try:
            answer = await self._client.ask(
                "get_object_tagging", f"{bucket}/{stored.key}", Bucket=bucket, Key=stored.key
            )
        except (NotFound, *WITHOUT_TAGS):
            return stored.facts
        found = {tag["Key"]: tag["Value"] for tag in answer["TagSet"] if OURS.fullmatch(tag["Key"])}
        text = "".join(found[name] for name in sorted(found))
        try:
            mark, _, late = urlsafe_b64decode(text).decode().partition(" ")
        except (Error, UnicodeDecodeError):
            return stored.facts
        if mark != _mark(stored.facts):  # those of a writer before or after
            return stored.facts
        facts = carried.decode(late, stored.facts)
        return facts if facts.etag else stored.facts

    def _remember(self, name: tuple[str, str, str, str], facts: Facts) -> None:
        self._known[name] = facts
        if len(self._known) > REMEMBERED:
            self._known.popitem(last=False)


def _mark(early: Facts) -> str:
    """What binds tags to the metadata of one write: its upload, or the version it began with."""
    return early.upload or str(early.version)
