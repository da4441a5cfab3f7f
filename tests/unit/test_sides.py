"""Bytes that carry our facts, and whether they are those that the facts tell of."""

from typing import Final

import pytest

from backends.model import COUNTER_BITS, Facts, ObjectPart, Version
from backends.storage import carried
from backends.storage.protocol import Stored
from backends.storage.s3.attributes import headers_of, stored_of
from reconcile.mirror.sides import as_bytes_tell

MD5: Final = "0" * 32
OTHER: Final = "1" * 32
OURS: Final = Version(7 << COUNTER_BITS, "here")
PLAIN: Final = Facts(OURS, 2, MD5, headers={"content-type": "a/b"}, metadata={"a": "b"})
PARTS: Final = Facts(OURS, 2, f"{MD5}-2", parts=(ObjectPart(1, 1), ObjectPart(2, 1)))


@pytest.mark.parametrize(
    ("facts", "size", "md5"),
    [(PLAIN, 2, MD5), (PLAIN, 2, ""), (PARTS, 2, OTHER), (PARTS, 2, "")],
)
def test_bytes_that_may_be_ours_are(facts: Facts, size: int, md5: str) -> None:
    stored = Stored("k", size, "x", facts, 9, md5)

    assert as_bytes_tell(stored).facts == facts


@pytest.mark.parametrize(("facts", "size", "md5"), [(PLAIN, 2, OTHER), (PARTS, 3, "")])
def test_those_that_were_replaced_under_our_facts_are_not(
    facts: Facts, size: int, md5: str
) -> None:
    found = as_bytes_tell(Stored("k", size, "x", facts, 9, md5))

    assert not found.ours
    assert found.facts == carried.foreign(9, size, md5, facts.headers, facts.metadata)
    assert (found.key, found.size, found.locator) == ("k", size, "x")


@pytest.mark.parametrize(("encryption", "md5"), [("", OTHER), ("AES256", OTHER), ("aws:kms", "")])
def test_an_encrypted_object_has_no_md5_of_its_bytes(encryption: str, md5: str) -> None:
    """S3 tells of it what looks like one."""
    answer = {
        **headers_of(PLAIN),
        "etag": f'"{OTHER}"',
        "last-modified": "Thu, 01 Jan 1970 00:00:09 GMT",
        "x-amz-server-side-encryption": encryption,
    }

    stored = stored_of("k", 2, answer)

    assert (stored.md5, stored.ours, stored.facts.etag) == (md5, True, MD5)
    assert as_bytes_tell(stored).ours == (not md5)
