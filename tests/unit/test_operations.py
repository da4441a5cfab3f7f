"""The operations table routes every request, and nothing falls through to a plain verb."""

import pytest

from s3proxy.s3.handlers import BUILT, HANDLERS
from s3proxy.s3.operations import (
    NOT_IMPLEMENTED,
    OPERATIONS,
    SUBRESOURCES,
    Operation,
    Scope,
    find_operation,
)
from s3proxy.s3.unconfigured import answer

COPY = {"x-amz-copy-source": "photos/cat"}


def name_of(
    method: str, scope: Scope, query: set[str] | None = None, headers: dict[str, str] | None = None
) -> str | None:
    found = find_operation(method, scope, query or set(), headers or {})
    return found.name if found else None


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_every_line_is_found_by_what_it_says(operation: Operation) -> None:
    query = {operation.query} - {""}
    headers = {operation.header: "x"} if operation.header else {}

    assert find_operation(operation.method, operation.scope, query, headers) == operation


@pytest.mark.parametrize(
    ("method", "scope", "query", "headers", "expected"),
    [
        ("GET", Scope.SERVICE, set(), {}, "ListBuckets"),
        ("GET", Scope.BUCKET, set(), {}, "ListObjects"),
        ("GET", Scope.BUCKET, {"list-type", "prefix"}, {}, "ListObjectsV2"),
        ("GET", Scope.OBJECT, {"x-id"}, {}, "GetObject"),
        ("GET", Scope.OBJECT, {"partNumber"}, {}, "GetObject"),
        ("PUT", Scope.OBJECT, set(), COPY, "CopyObject"),
        ("PUT", Scope.OBJECT, {"uploadId", "partNumber"}, {}, "UploadPart"),
        ("PUT", Scope.OBJECT, {"uploadId", "partNumber"}, COPY, "UploadPartCopy"),
        ("POST", Scope.OBJECT, {"uploads"}, {}, "CreateMultipartUpload"),
        ("POST", Scope.OBJECT, {"uploadId"}, {}, "CompleteMultipartUpload"),
        ("DELETE", Scope.BUCKET, {"publicAccessBlock"}, {}, "DeletePublicAccessBlock"),
        ("DELETE", Scope.BUCKET, set(), {}, "DeleteBucket"),
        ("POST", Scope.OBJECT, {"select", "select-type"}, {}, "SelectObjectContent"),
    ],
)
def test_requests_find_their_operation(
    method: str, scope: Scope, query: set[str], headers: dict[str, str], expected: str
) -> None:
    assert name_of(method, scope, query, headers) == expected


@pytest.mark.parametrize("subresource", sorted(SUBRESOURCES - {"list-type", "uploadId"}))
@pytest.mark.parametrize("scope", list(Scope))
@pytest.mark.parametrize(
    ("method", "plain"),
    [
        ("PUT", {"PutObject", "CreateBucket"}),
        ("DELETE", {"DeleteObject", "DeleteBucket"}),
        ("POST", {"PostObject", "WriteGetObjectResponse"}),
    ],
)
def test_a_write_with_a_subresource_never_falls_through(
    subresource: str, scope: Scope, method: str, plain: set[str]
) -> None:
    assert name_of(method, scope, {subresource}) not in plain


def test_what_is_not_implemented_has_no_handler_of_its_own() -> None:
    for operation in NOT_IMPLEMENTED:
        assert HANDLERS[operation.name] is answer


def test_what_is_built_is_in_the_table_and_answers_for_itself() -> None:
    assert BUILT.keys() <= {operation.name for operation in OPERATIONS if not operation.answer}
    assert {operation.name for operation in OPERATIONS if not operation.answer} <= BUILT.keys()
