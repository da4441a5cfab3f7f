"""Facts survive the journey through a blob's metadata and content settings."""

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from azure.storage.blob import ContentSettings
from hypothesis import example, given
from hypothesis import strategies as st

from backends.model import Bucket, Facts, Version
from backends.storage.azure.attributes import (
    bucket_of,
    container_metadata,
    metadata_of,
    settings_of,
    stored_of,
)

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
MODIFIED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
SHA: Any = {"etag": "d41d8cd98f00b204e9800998ecf8427e"}


def blob(metadata: dict[str, str] | None, settings: ContentSettings, size: int = 4) -> Any:
    """A blob's properties, as the client tells them."""
    return SimpleNamespace(
        name="cat",
        etag='"0x8DAB"',
        size=size,
        metadata=metadata,
        last_modified=MODIFIED,
        content_settings=settings,
    )


def settled(facts: Facts) -> ContentSettings:
    """The settings as Azure keeps them: a blob that was given no type has one."""
    settings = settings_of(facts)
    settings.content_type = settings.content_type or "application/octet-stream"
    return settings


@given(
    st.dictionaries(TEXTS.filter(bool).map(str.lower), TEXTS, max_size=4),
    st.dictionaries(
        st.sampled_from(["content-type", "cache-control", "content-language", "expires", "x-y"]),
        TEXTS.filter(bool),
    ),
)
@example({"e": "", "s": " a  b ", "p": "50%", "ccs": "mine", "xccs": "mine"}, {})
@example({}, {"content-type": "text/pl\xe4in", "content-disposition": "attachment "})
def test_facts_come_back_as_they_went(metadata: dict[str, str], headers: dict[str, str]) -> None:
    facts = Facts(Version(7, "here"), 4, **SHA, headers=headers, metadata=metadata)

    assert stored_of(blob(metadata_of(facts), settled(facts))).facts == facts


@given(st.dictionaries(TEXTS.filter(bool), TEXTS, min_size=1, max_size=4))
def test_metadata_is_what_http_and_its_signature_leave_alone(metadata: dict[str, str]) -> None:
    written = metadata_of(Facts(Version(1, "here"), metadata=metadata))

    for name, value in written.items():
        assert name.isidentifier()
        assert value.isascii()
        assert value.isprintable()
        assert value
        assert value == value.strip()
        assert "  " not in value


def test_content_headers_are_seen_by_other_tools() -> None:
    headers = {"content-type": "text/plain", "cache-control": "no-cache"}
    facts = Facts(Version(1, "here"), **SHA, headers=headers)

    settings = settings_of(facts)

    assert (settings.content_type, settings.cache_control) == ("text/plain", "no-cache")
    assert bytes(settings.content_md5 or b"").hex() == facts.etag
    assert list(metadata_of(facts)) == ["ccs"]


def test_an_etag_that_is_no_md5_is_not_given_out_for_one() -> None:
    assert settings_of(Facts(Version(1, "here"), etag="abc-2")).content_md5 is None


def test_a_foreign_blob_tells_what_it_knows() -> None:
    digest = bytearray.fromhex(SHA["etag"])
    settings = ContentSettings(content_type="text/css", content_md5=digest)

    stored = stored_of(blob({"Colour": "%20red", "empty": ""}, settings))

    assert not stored.ours
    assert stored.facts.etag == SHA["etag"]
    assert stored.facts.modified == MODIFIED.timestamp() * 1000
    assert stored.facts.headers == {"content-type": "text/css"}
    assert stored.facts.metadata == {"colour": "%20red", "empty": ""}


def test_a_foreign_blob_without_a_digest_goes_by_its_own_etag() -> None:
    stored = stored_of(blob(None, ContentSettings()))

    assert (stored.facts.etag, stored.locator) == ("8dab", "0x8DAB")


@pytest.mark.parametrize("name", ["ccs", "ccsheaders"])
@pytest.mark.parametrize("text", ["", "nonsense", "%", "[]", "{}"])
def test_metadata_under_our_names_that_is_not_ours_does_no_harm(name: str, text: str) -> None:
    metadata = metadata_of(Facts(Version(1, "here"))) | {name: text}

    stored = stored_of(blob(metadata, ContentSettings(content_type="text/css")))

    assert stored.size == 4
    assert stored.facts.headers.get("content-type", "text/css") == "text/css"


@given(TEXTS, TEXTS)
def test_a_bucket_comes_back(owner: str, region: str) -> None:
    bucket = Bucket("photos", owner, 5, region)
    container: Any = SimpleNamespace(metadata=container_metadata(bucket))

    assert bucket_of("photos", container) == bucket


@pytest.mark.parametrize("metadata", [None, {}, {"ccs": ""}, {"ccs": "nonsense"}])
def test_a_foreign_container_is_a_bucket_of_nobody(metadata: dict[str, str] | None) -> None:
    container: Any = SimpleNamespace(metadata=metadata, last_modified=MODIFIED)

    assert bucket_of("photos", container) == Bucket("photos", "", 1767323045000)
