"""Bodies, from raw bytes: a wrong one gets a clear error and leaves nothing behind."""

import base64
import hashlib
import hmac
import zlib

import pytest

from tests.wire.gateway import MAIN, Client, read_answer

BODY = b"the quick brown cat" * 100
SIGNED = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
UNSIGNED_TRAILER = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"


def crc32(data: bytes) -> str:
    return base64.b64encode(zlib.crc32(data).to_bytes(4, "big")).decode()


def md5(data: bytes) -> str:
    return base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def chunks(*pieces: bytes, trailer: bytes = b"") -> bytes:
    framed = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    return framed + b"0\r\n" + trailer + b"\r\n"


def get(client: Client, bucket: str, key: str = "cat") -> bytes:
    answer = client.ask("GET", f"/{bucket}/{key}")
    assert answer.status == 200
    return answer.body


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"content-md5": md5(b"other")}, "BadDigest"),
        ({"content-md5": "not base64"}, "InvalidDigest"),
        ({"content-md5": base64.b64encode(b"short").decode()}, "InvalidDigest"),
        ({"x-amz-checksum-crc32": crc32(b"other")}, "BadDigest"),
        ({"x-amz-checksum-crc32": "bad"}, "BadDigest"),
        ({"x-amz-checksum-crc32": crc32(BODY), "x-amz-checksum-sha1": "x"}, "InvalidRequest"),
        ({"x-amz-sdk-checksum-algorithm": "ROT13"}, "InvalidRequest"),
        ({"x-amz-storage-class": "SHINY"}, "InvalidStorageClass"),
        ({"x-amz-meta-a": "b" * 3000}, "MetadataTooLarge"),
        ({"x-amz-server-side-encryption": "AES256"}, "NotImplemented"),
        ({"x-amz-tagging": "a=b"}, "NotImplemented"),
        ({"x-amz-acl": "everybody"}, "InvalidArgument"),
    ],
    ids=lambda value: str(value)[:50],
)
@pytest.mark.parametrize("existing", [b"", b"old"], ids=["new", "overwrite"])
def test_a_wrong_put_neither_appears_nor_replaces(
    client: Client, bucket: str, headers: dict[str, str], code: str, existing: bytes
) -> None:
    if existing:
        assert client.ask("PUT", f"/{bucket}/cat", body=existing).status == 200

    refused = client.ask("PUT", f"/{bucket}/cat", headers, body=BODY)

    assert refused.code == code
    if existing:
        assert get(client, bucket) == existing
    else:
        assert client.ask("GET", f"/{bucket}/cat").code == "NoSuchKey"


@pytest.mark.parametrize("size", [len(BODY), 3_000_000])
def test_a_wrong_payload_hash_is_refused_before_anything_is_visible(
    client: Client, bucket: str, size: int
) -> None:
    refused = client.ask("PUT", f"/{bucket}/cat", body=bytes(size), payload=sha256(b"other"))

    assert (refused.status, refused.code) == (400, "XAmzContentSHA256Mismatch")
    assert client.ask("HEAD", f"/{bucket}/cat").status == 404


def test_an_unsigned_trailer_is_verified_and_kept(client: Client, bucket: str) -> None:
    trailer = b"x-amz-checksum-crc32:" + crc32(BODY).encode() + b"\r\n"
    framed = chunks(BODY[:100], BODY[100:], trailer=trailer)
    headers = {
        "x-amz-decoded-content-length": str(len(BODY)),
        "x-amz-trailer": "x-amz-checksum-crc32",
        "content-encoding": "aws-chunked",
    }

    stored = client.ask("PUT", f"/{bucket}/cat", headers, body=framed, payload=UNSIGNED_TRAILER)
    shown = client.ask("HEAD", f"/{bucket}/cat", {"x-amz-checksum-mode": "ENABLED"})

    assert stored.headers["x-amz-checksum-crc32"] == crc32(BODY)
    assert shown.headers["x-amz-checksum-crc32"] == crc32(BODY)
    assert "content-encoding" not in shown.headers
    assert get(client, bucket) == BODY


@pytest.mark.parametrize(
    "framed",
    [
        chunks(BODY, trailer=b"x-amz-checksum-crc32:" + crc32(b"other").encode() + b"\r\n"),
        chunks(BODY),
        chunks(BODY)[:-4],
        b"zz\r\n" + BODY + b"\r\n0\r\n\r\n",
        b"-5\r\n" + BODY + b"\r\n0\r\n\r\n",
        b"ffffffffffffffffff\r\n" + BODY,
        b"5" * 10_000 + b"\r\n",
        chunks(BODY + b"more"),
    ],
    ids=["wrong", "missing", "torn", "no number", "negative", "overflow", "endless", "too long"],
)
def test_a_broken_chunked_body_leaves_nothing(client: Client, bucket: str, framed: bytes) -> None:
    headers = {
        "x-amz-decoded-content-length": str(len(BODY)),
        "x-amz-trailer": "x-amz-checksum-crc32",
    }

    refused = client.ask("PUT", f"/{bucket}/cat", headers, body=framed, payload=UNSIGNED_TRAILER)

    assert refused.status == 400
    assert refused.code
    assert client.ask("GET", f"/{bucket}/cat").code == "NoSuchKey"


def signed_chunks(head: bytes, pieces: list[bytes]) -> bytes:
    """Frame the pieces, each signed on top of the one before (S3 API, streaming signatures)."""
    fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:] if line)
    date = fields["X-Amz-Date"]
    scope = f"{date[:8]}/us-east-1/s3/aws4_request"
    signature = fields["Authorization"].rsplit("Signature=", 1)[1]
    key = f"AWS4{MAIN.secret_key}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    framed = b""
    for piece in [*pieces, b""]:
        text = "\n".join(
            [
                "AWS4-HMAC-SHA256-PAYLOAD",
                date,
                scope,
                signature,
                sha256(b""),
                sha256(piece),
            ]
        )
        signature = hmac.digest(key, text.encode(), "sha256").hex()
        framed += b"%x;chunk-signature=%b\r\n%b\r\n" % (len(piece), signature.encode(), piece)
    return framed


@pytest.mark.parametrize("flip", [False, True], ids=["right", "one byte wrong"])
@pytest.mark.parametrize("step", [1, 777, 1_000_000])
def test_signed_chunks_are_verified_however_they_arrive(
    client: Client, bucket: str, flip: bool, step: int
) -> None:
    headers = {"x-amz-decoded-content-length": str(len(BODY)), "transfer-encoding": "chunked"}
    head = client.head_of("PUT", f"/{bucket}/cat", headers, payload=SIGNED)
    framed = bytearray(signed_chunks(head, [BODY[:1000], BODY[1000:]]))
    if flip:
        framed[200] ^= 1
    wire = chunks(*[bytes(framed[at : at + step]) for at in range(0, len(framed), step)])

    answer = client.raw(head, wire)

    if flip:
        assert (answer.status, answer.code) == (403, "SignatureDoesNotMatch")
        assert client.ask("GET", f"/{bucket}/cat").code == "NoSuchKey"
    else:
        assert answer.status == 200
        assert get(client, bucket) == BODY


def test_a_body_without_a_length_may_come_in_http_chunks(client: Client, bucket: str) -> None:
    head = client.head_of(
        "PUT",
        f"/{bucket}/cat",
        {"transfer-encoding": "chunked"},
        payload="UNSIGNED-PAYLOAD",
    )

    assert client.raw(head, chunks(BODY[:7], BODY[7:])).status == 200
    assert get(client, bucket) == BODY


def test_an_aws_chunked_body_must_announce_its_length(client: Client, bucket: str) -> None:
    refused = client.ask("PUT", f"/{bucket}/cat", body=chunks(BODY), payload=UNSIGNED_TRAILER)

    assert (refused.status, refused.code) == (411, "MissingContentLength")


def test_a_client_that_goes_away_in_mid_body_leaves_nothing(client: Client, bucket: str) -> None:
    head = client.head_of(
        "PUT", f"/{bucket}/cat", {"content-length": "3000000"}, payload="UNSIGNED-PAYLOAD"
    )
    with client.connect() as connection:
        connection.sendall(head + bytes(1_500_000))

    assert client.ask("GET", f"/{bucket}/cat").code == "NoSuchKey"


def test_a_body_that_stalls_is_given_up(client: Client, bucket: str) -> None:
    head = client.head_of(
        "PUT", f"/{bucket}/cat", {"content-length": "100"}, payload="UNSIGNED-PAYLOAD"
    )

    answer = client.raw(head, b"a little")

    assert (answer.status, answer.code) == (400, "RequestTimeout")


@pytest.mark.parametrize("length", ["5368709121", "9" * 18])
def test_more_than_five_gibibytes_are_refused_at_once(
    client: Client, bucket: str, length: str
) -> None:
    head = client.head_of(
        "PUT", f"/{bucket}/cat", {"content-length": length}, payload="UNSIGNED-PAYLOAD"
    )

    assert client.raw(head).code == "EntityTooLarge"


def test_continue_is_said_only_to_those_who_may_go_on(client: Client, bucket: str) -> None:
    headers = {"expect": "100-continue", "content-length": str(len(BODY))}
    allowed = client.head_of("PUT", f"/{bucket}/cat", headers, payload="UNSIGNED-PAYLOAD")
    refused = client.head_of("PUT", "/no-such-bucket/cat", headers, payload="UNSIGNED-PAYLOAD")

    with client.connect() as connection:
        connection.sendall(allowed)
        assert connection.recv(25) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(BODY)
        assert read_answer(connection).status == 200
    with client.connect() as connection:
        connection.sendall(refused)
        answer = read_answer(connection)
        assert (answer.code, answer.headers["connection"]) == ("NoSuchBucket", "close")
        assert connection.recv(1) == b""
