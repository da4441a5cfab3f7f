"""Which headers are kept, which refused."""

import pytest

from backends.model import Facts, Version
from s3proxy.s3.errors import S3Error
from s3proxy.s3.headers import (
    refuse_unknown_promises,
    require_canned_acl,
    shown,
    storage_class,
    stored_headers,
    stored_metadata,
)


def refused(code: str) -> pytest.RaisesExc[S3Error]:
    return pytest.raises(S3Error, match=f"^{code}:")


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ({}, {"content-type": "binary/octet-stream"}),
        ({"content-type": "text/plain"}, {"content-type": "text/plain"}),
        (
            {"content-encoding": "aws-chunked"},
            {"content-type": "binary/octet-stream"},
        ),
        (
            {"content-encoding": "aws-chunked, gzip", "content-type": "a/b"},
            {"content-type": "a/b", "content-encoding": "gzip"},
        ),
        (
            {"cache-control": "no-cache", "host": "x", "content-type": "a/b"},
            {"content-type": "a/b", "cache-control": "no-cache"},
        ),
    ],
)
def test_content_headers_are_kept(sent: dict[str, str], kept: dict[str, str]) -> None:
    assert stored_headers(sent) == kept


def test_metadata_is_kept_up_to_two_kibibytes() -> None:
    assert stored_metadata({"x-amz-meta-a": "1", "etag": "2"}) == {"a": "1"}
    assert len(stored_metadata({"x-amz-meta-a": "b" * 2047})["a"]) == 2047
    with refused("MetadataTooLarge"):
        stored_metadata({"x-amz-meta-a": "b" * 2048})


@pytest.mark.parametrize(
    "name",
    [
        "x-amz-server-side-encryption",
        "x-amz-server-side-encryption-customer-algorithm",
        "x-amz-object-lock-mode",
        "x-amz-grant-read",
        "x-amz-tagging",
        "x-amz-write-offset-bytes",
        "x-amz-bucket-object-lock-enabled",
    ],
)
def test_a_promise_that_cannot_be_kept_is_refused(name: str) -> None:
    with refused("NotImplemented"):
        refuse_unknown_promises({name: "value"})


def test_headers_that_promise_nothing_new_pass() -> None:
    refuse_unknown_promises({"x-amz-tagging-directive": "COPY", "x-amz-date": "x", "host": "x"})


def test_storage_classes_are_those_of_s3() -> None:
    assert storage_class({}) == "STANDARD"
    assert storage_class({"x-amz-storage-class": "GLACIER"}) == "GLACIER"
    with refused("InvalidStorageClass"):
        storage_class({"x-amz-storage-class": "SHINY"})


def test_a_canned_acl_must_exist() -> None:
    require_canned_acl({"x-amz-acl": "public-read"})
    with refused("InvalidArgument"):
        require_canned_acl({"x-amz-acl": "everybody"})


def test_metadata_that_can_be_no_header_is_counted() -> None:
    odd = {"some name": "1", "caf\xe9": "2", "": "3", "a:b": "4", "line": "5\r\nset-cookie: x"}
    facts = Facts(Version(1, ""), metadata={"a.b_c": "x", "tone": "gr\xfcn", **odd})

    told = shown(facts)

    assert {name for name in told if name.startswith("x-amz-meta-")} == {
        "x-amz-meta-a.b_c",
        "x-amz-meta-tone",
    }
    assert told["x-amz-missing-meta"] == "5"
