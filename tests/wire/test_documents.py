"""XML documents in requests: what is wrong in them is said, and nothing is lost."""

import re

import pytest

from tests.wire.gateway import Client

BOMB = (
    b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>'
    b"<Delete><Object><Key>&b;</Key></Object></Delete>"
)
EXTERNAL = (
    b'<!DOCTYPE x [<!ENTITY file SYSTEM "file:///etc/passwd">]>'
    b"<Delete><Object><Key>&file;</Key></Object></Delete>"
)


def delete(*keys: str, quiet: bool = False) -> bytes:
    objects = "".join(f"<Object><Key>{key}</Key></Object>" for key in keys)
    flag = "<Quiet>true</Quiet>" if quiet else ""
    return f"<Delete>{flag}{objects}</Delete>".encode()


def complete(*parts: tuple[object, str]) -> bytes:
    named = "".join(
        f"<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>"
        for number, etag in parts
    )
    return f"<CompleteMultipartUpload>{named}</CompleteMultipartUpload>".encode()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"<Delete>",
        b"<Delete></Delete>",
        b"<Other></Other>",
        b"<Delete><Object>cat</Object></Delete>",
        delete(*[f"k{number}" for number in range(1001)]),
        BOMB,
        EXTERNAL,
    ],
    ids=["nothing", "json", "torn", "empty", "other", "no key", "1001", "bomb", "external"],
)
def test_a_wrong_delete_deletes_nothing(client: Client, bucket: str, body: bytes) -> None:
    client.ask("PUT", f"/{bucket}/k1", body=b"meow")

    answer = client.ask("POST", f"/{bucket}?delete", body=body)

    assert (answer.status, answer.code) == (400, "MalformedXML")
    assert client.ask("GET", f"/{bucket}/k1").body == b"meow"


def test_each_key_of_a_delete_has_its_own_outcome(client: Client, bucket: str) -> None:
    for key in ("a", "b", "c"):
        client.ask("PUT", f"/{bucket}/{key}", body=key.encode())
    body = (
        "<Delete><Object><Key>a</Key></Object><Object><Key>missing</Key></Object>"
        "<Object><Key>b</Key><ETag>another</ETag></Object>"
        "<Object><Key>c</Key><VersionId>abc</VersionId></Object>"
        f"<Object><Key>{'k' * 1025}</Key></Object></Delete>"
    ).encode()

    answer = client.ask("POST", f"/{bucket}?delete", body=body).body.decode()

    assert re.findall("<Deleted><Key>([^<]*)", answer) == ["a", "missing"]
    assert re.findall("<Code>([^<]*)", answer) == [
        "PreconditionFailed",
        "NoSuchVersion",
        "KeyTooLongError",
    ]
    assert client.ask("HEAD", f"/{bucket}/a").status == 404
    assert client.ask("HEAD", f"/{bucket}/b").status == 200


def test_a_quiet_delete_tells_only_what_failed(client: Client, bucket: str) -> None:
    client.ask("PUT", f"/{bucket}/a", body=b"meow")

    answer = client.ask("POST", f"/{bucket}?delete", body=delete("a", "b", quiet=True))

    assert (answer.status, b"<Deleted>" in answer.body) == (200, False)
    assert client.ask("HEAD", f"/{bucket}/a").status == 404


@pytest.fixture
def upload(client: Client, bucket: str) -> str:
    """The target of a multipart upload that has begun."""
    begun = client.ask("POST", f"/{bucket}/cat?uploads").body.decode()
    found = re.search("<UploadId>(.*)</UploadId>", begun)
    assert found
    return f"/{bucket}/cat?uploadId={found[1]}"


@pytest.mark.parametrize("number", ["0", "10001", "-1", "one", "", "99999999999999999999"])
def test_part_numbers_go_from_1_to_10000(client: Client, upload: str, number: str) -> None:
    answer = client.ask("PUT", f"{upload}&partNumber={number}", body=b"x")

    assert answer.code == "InvalidArgument"


def test_a_completion_must_name_parts_that_are_there_in_order(client: Client, upload: str) -> None:
    large = bytes(5 * 1024 * 1024)
    etags = {
        number: client.ask("PUT", f"{upload}&partNumber={number}", body=body).headers["etag"]
        for number, body in ((1, large), (2, b"small"), (3, b"last"))
    }

    def code(*parts: tuple[object, str]) -> str:
        return client.ask("POST", upload, body=complete(*parts)).code

    assert code() == "MalformedXML"
    assert code(("one", "x")) == "InvalidArgument"
    assert code((2, etags[2]), (1, etags[1])) == "InvalidPartOrder"
    assert code((1, etags[1]), (1, etags[1])) == "InvalidPartOrder"
    assert code((1, etags[2])) == "InvalidPart"
    assert code((4, etags[1])) == "InvalidPart"
    assert code((1, etags[1]), (2, etags[2]), (3, etags[3])) == "EntityTooSmall"
    assert code(*[(number, "x") for number in range(1, 10_002)]) == "MalformedXML"

    done = client.ask("POST", upload, body=complete((1, etags[1]), (3, etags[3])))
    again = client.ask("POST", upload, body=complete((1, etags[1]), (3, etags[3])))

    assert (done.status, again.status) == (200, 200)
    assert done.body == again.body
    assert client.ask("GET", upload.partition("?")[0]).body == large + b"last"


def test_a_bucket_configuration_must_be_one(client: Client) -> None:
    def create(name: str, body: bytes) -> str:
        return client.ask("PUT", f"/{name}", body=body).code

    wrong = b"<CreateBucketConfiguration><LocationConstraint>a b</LocationConstraint>"
    assert create("documents-1", b"<x/>") == "MalformedXML"
    assert create("documents-2", wrong) == "MalformedXML"
    assert create("documents-3", wrong + b"</CreateBucketConfiguration>") == (
        "InvalidLocationConstraint"
    )
    right = wrong.replace(b"a b", b"eu-north-1") + b"</CreateBucketConfiguration>"
    assert client.ask("PUT", "/documents-4", body=right).status == 200
    assert b">eu-north-1<" in client.ask("GET", "/documents-4?location").body


def test_a_document_has_its_limit(client: Client, bucket: str) -> None:
    body = b"<Delete>" + b" " * (9 * 1024 * 1024)

    assert client.ask("POST", f"/{bucket}?delete", body=body).code == "MaxMessageLengthExceeded"
