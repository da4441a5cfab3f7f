"""Requests, from raw bytes: whatever comes, the answer is S3's, and the server goes on."""

from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from s3proxy.s3.operations import NOT_IMPLEMENTED, UNCONFIGURED, Operation, Scope
from tests.wire.gateway import OTHER, Client, read_answer

ODD_KEYS = [
    "..",
    "../../etc/passwd",
    "a//b",
    "/a",
    "a/",
    "x",
    "x/y",
    "ünï/çødé",
    "\u2603",
    "a b+c%d",
    "a?b&c=d#e",
    ".",
    "~",
    "\x01",
    "new\nline",
    "k" * 1024,
    "'\"<>&",
    "CON",
    "\U0001f408",
]


@pytest.mark.parametrize("key", ODD_KEYS, ids=lambda key: repr(key)[:20])
def test_any_key_is_a_name_like_any_other(client: Client, bucket: str, key: str) -> None:
    target = f"/{bucket}/{quote(key, safe='/~')}"

    assert client.ask("PUT", target, body=key.encode()).status == 200
    assert client.ask("GET", target).body == key.encode()
    listed = client.ask("GET", f"/{bucket}?encoding-type=url&list-type=2").body
    assert f"<Key>{quote(key, safe='/-_.~*')}</Key>".encode() in listed
    assert client.ask("DELETE", target).status == 204
    assert client.ask("GET", target).code == "NoSuchKey"


def test_a_key_and_keys_below_it_live_side_by_side(client: Client, bucket: str) -> None:
    for key in ("x", "x/", "x/y", "x//y"):
        assert client.ask("PUT", f"/{bucket}/{key}", body=key.encode()).status == 200
    for key in ("x", "x/", "x/y", "x//y"):
        assert client.ask("GET", f"/{bucket}/{key}").body == key.encode()


@pytest.mark.parametrize(
    ("target", "code"),
    [
        ("/{bucket}/%ff", "InvalidURI"),
        ("/{bucket}/" + "k" * 1025, "KeyTooLongError"),
        ("/{bucket}/missing", "NoSuchKey"),
        ("/missing-bucket/missing", "NoSuchBucket"),
        ("/missing-bucket", "NoSuchBucket"),
        ("/{bucket}?max-keys=-1", "InvalidArgument"),
        ("/{bucket}?max-keys=many", "InvalidArgument"),
        ("/{bucket}?max-keys=99999999999", "InvalidArgument"),
        ("/{bucket}?encoding-type=rot13", "InvalidArgument"),
        ("/{bucket}?list-type=2&continuation-token=%21", "InvalidArgument"),
        ("/{bucket}/missing?versionId=abc", "NoSuchVersion"),
        ("/{bucket}/missing?uploadId=abc", "NoSuchUpload"),
    ],
)
def test_bad_requests_get_their_own_error(
    client: Client, bucket: str, target: str, code: str
) -> None:
    assert client.ask("GET", target.format(bucket=bucket)).code == code


@pytest.mark.parametrize(
    "raw",
    [
        b"GARBAGE\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /\xc3\xbc HTTP/1.1\r\nhost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: x\r\nbroken\r\n\r\n",
        b"PUT /b/k HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n",
        b"PUT /b/k HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: x\r\nx-amz-meta-a: " + b"a" * 40_000 + b"\r\n\r\n",
        b"GET /" + b"a" * 40_000 + b" HTTP/1.1\r\nhost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: x\r\nx-amz-meta-a: " + b"a" * 40_000,
    ],
    ids=[
        "no request",
        "version",
        "path bytes",
        "header",
        "negative length",
        "two lengths",
        "large header",
        "large target",
        "endless header",
    ],
)
def test_what_is_no_request_is_refused_in_xml(client: Client, raw: bytes) -> None:
    answer = client.raw(raw)

    assert answer.status == 400
    assert answer.code in {"BadRequest", "RequestHeaderSectionTooLarge", "InvalidURI"}
    assert client.ask("GET", "/").status == 200


def test_headers_that_never_end_are_given_up(client: Client) -> None:
    with client.connect() as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nhost:")

        assert connection.recv(1) == b""


def test_one_connection_serves_many_requests(client: Client, bucket: str) -> None:
    with client.connect() as connection:
        for number in range(5):
            body = bytes(number)
            connection.sendall(client.head_of("PUT", f"/{bucket}/n{number}", body=body) + body)
            assert read_answer(connection).status == 200
            connection.sendall(client.head_of("GET", f"/{bucket}/missing"))
            assert read_answer(connection).code == "NoSuchKey"


@pytest.mark.parametrize("operation", NOT_IMPLEMENTED, ids=lambda operation: operation.name)
def test_what_is_not_built_is_501_and_harms_nothing(
    client: Client, bucket: str, operation: Operation
) -> None:
    assert client.ask("PUT", f"/{bucket}/cat", body=b"meow").status == 200
    path = {Scope.SERVICE: "/", Scope.BUCKET: f"/{bucket}", Scope.OBJECT: f"/{bucket}/cat"}
    query = f"?{operation.query}" if operation.query else ""

    answer = client.ask(operation.method, path[operation.scope] + query, body=b"<x/>")

    assert (answer.status, answer.code) == (501, "NotImplemented")
    assert client.ask("GET", f"/{bucket}/cat").body == b"meow"


@pytest.mark.parametrize("operation", UNCONFIGURED, ids=lambda operation: operation.name)
def test_what_is_not_configured_says_so(client: Client, bucket: str, operation: Operation) -> None:
    client.ask("PUT", f"/{bucket}/cat", body=b"meow")
    path = f"/{bucket}/cat" if operation.scope is Scope.OBJECT else f"/{bucket}"

    answer = client.ask("GET", f"{path}?{operation.query}")

    if operation.answer.startswith("<"):
        assert answer.status == 200
        assert operation.answer[:-1].encode() in answer.body
    else:
        assert (answer.status, answer.code) == (404, operation.answer)


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("GET", "/{bucket}"),
        ("HEAD", "/{bucket}"),
        ("DELETE", "/{bucket}"),
        ("GET", "/{bucket}/cat"),
        ("PUT", "/{bucket}/cat"),
        ("DELETE", "/{bucket}/cat"),
        ("POST", "/{bucket}/cat?uploads"),
        ("GET", "/{bucket}?acl"),
        ("POST", "/{bucket}?delete"),
    ],
)
@pytest.mark.parametrize("credentials", [OTHER, None], ids=["another client", "nobody"])
def test_a_bucket_is_its_owners_alone(
    client: Client, bucket: str, method: str, target: str, credentials: object
) -> None:
    client.ask("PUT", f"/{bucket}/cat", body=b"meow")

    answer = client.ask(
        method,
        target.format(bucket=bucket),
        body=b"x" if method == "PUT" else b"",
        credentials=OTHER if credentials else None,
    )

    assert answer.status == 403
    assert answer.code in {"", "AccessDenied"}
    assert client.ask("GET", f"/{bucket}/cat").body == b"meow"


def test_a_copy_needs_the_right_to_read_its_source(client: Client, bucket: str) -> None:
    client.ask("PUT", f"/{bucket}/cat", body=b"meow")
    assert client.ask("PUT", f"/thief-{bucket}", credentials=OTHER).status == 200

    stolen = client.ask(
        "PUT",
        f"/thief-{bucket}/cat",
        {"x-amz-copy-source": f"/{bucket}/cat"},
        credentials=OTHER,
    )

    assert stolen.code == "AccessDenied"


def test_another_clients_bucket_name_is_taken(client: Client, bucket: str) -> None:
    assert client.ask("PUT", f"/{bucket}").status == 200
    assert client.ask("PUT", f"/{bucket}", credentials=OTHER).code == "BucketAlreadyExists"


def test_every_answer_names_its_request(client: Client, bucket: str) -> None:
    answers = [client.ask("GET", "/"), client.ask("GET", f"/{bucket}/missing")]

    assert all(answer.headers["x-amz-id-2"] for answer in answers)
    assert len({answer.headers["x-amz-request-id"] for answer in answers}) == 2
    assert answers[1].headers["x-amz-request-id"].encode() in answers[1].body


def test_another_owner_than_expected_is_refused(client: Client, bucket: str) -> None:
    right = client.ask("GET", f"/{bucket}", {"x-amz-expected-bucket-owner": "main"})
    wrong = client.ask("GET", f"/{bucket}", {"x-amz-expected-bucket-owner": "other"})

    assert (right.status, wrong.code) == (200, "AccessDenied")


METHODS = st.sampled_from(["GET", "HEAD", "PUT", "POST", "DELETE", "OPTIONS", "PATCH"])
PATHS = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=60)


@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(method=METHODS, path=PATHS, body=st.binary(max_size=200))
def test_no_request_makes_the_server_fail(
    client: Client, method: str, path: str, body: bytes
) -> None:
    target = "/" + path.replace("#", "%23")
    head = client.head_of(method, target, body=body, credentials=None)
    with client.connect() as connection:
        connection.sendall(head + body)

        assert read_answer(connection, method).status not in {500, 503}
