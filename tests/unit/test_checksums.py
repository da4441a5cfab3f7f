from base64 import b64encode
from hashlib import md5, sha1, sha256

import pytest

from backends.model import Checksum, ChecksumType
from s3proxy.s3.checksums import (
    ALGORITHMS,
    Digests,
    copy_algorithm,
    requested,
    requested_of_document,
    require_whole,
    upload_checksum,
)
from s3proxy.s3.errors import S3Error

FULL, COMPOSITE = ChecksumType.FULL_OBJECT, ChecksumType.COMPOSITE
BODY = b"123456789"
CRC32, CRC32C, CRC64NVME = "y/Q5Jg==", "4waSgw==", "rosUhgp5mIg="
SHA1, SHA256 = (b64encode(f(BODY).digest()).decode() for f in (sha1, sha256))
VALUES = {"CRC32": CRC32, "CRC32C": CRC32C, "CRC64NVME": CRC64NVME, "SHA1": SHA1, "SHA256": SHA256}
MD5 = b64encode(md5(BODY).digest()).decode()


def value(algorithm: str, data: bytes) -> str:
    started = ALGORITHMS[algorithm].start()
    started.update(data)
    return b64encode(started.digest()).decode()


def check(headers: dict[str, str], **trailers: str) -> Digests:
    digests = Digests(requested(headers))
    digests.update(BODY)
    digests.verify({name.replace("_", "-"): value for name, value in trailers.items()})
    return digests


def refusal(headers: dict[str, str], **trailers: str) -> str:
    with pytest.raises(S3Error) as caught:
        check(headers, **trailers)
    return caught.value.code


@pytest.mark.parametrize("name", list(ALGORITHMS))
def test_a_right_checksum_in_a_header_is_accepted_and_kept(name: str) -> None:
    header = f"x-amz-checksum-{name.lower()}"
    digests = check({header: VALUES[name], "x-amz-sdk-checksum-algorithm": name})

    assert digests.checksum == Checksum(name, VALUES[name], FULL)
    assert digests.etag == md5(BODY).hexdigest()


@pytest.mark.parametrize("name", list(ALGORITHMS))
def test_a_wrong_checksum_in_a_header_is_refused(name: str) -> None:
    assert refusal({f"x-amz-checksum-{name.lower()}": value(name, b"other")}) == "BadDigest"


def test_a_checksum_in_a_trailer_is_verified() -> None:
    headers = {"x-amz-trailer": "X-Amz-Checksum-CRC32", "x-amz-sdk-checksum-algorithm": "CRC32"}

    assert check(headers, x_amz_checksum_crc32=CRC32).checksum == Checksum("CRC32", CRC32)
    assert refusal(headers, x_amz_checksum_crc32="AAAAAA==") == "BadDigest"
    assert refusal(headers, x_amz_checksum_crc32="AAAA") == "BadDigest"
    assert refusal(headers, x_amz_checksum_crc32c=CRC32C) == "MalformedTrailerError"
    assert refusal(headers) == "MalformedTrailerError"
    assert refusal({}, x_amz_checksum_crc32=CRC32) == "MalformedTrailerError"


def test_a_content_md5_is_verified() -> None:
    check({"content-md5": MD5})

    assert refusal({"content-md5": b64encode(bytes(16)).decode()}) == "BadDigest"


@pytest.mark.parametrize("text", ["", "rubbish", MD5[:-1], CRC32, MD5 + " ", "\xe4" * 24])
def test_a_content_md5_that_is_none_is_refused(text: str) -> None:
    assert refusal({"content-md5": text}) == "InvalidDigest"
    with pytest.raises(S3Error, match="InvalidDigest"):
        requested_of_document({"content-md5": text})


@pytest.mark.parametrize(
    "headers",
    [
        {"x-amz-checksum-crc32": CRC32, "x-amz-checksum-sha1": SHA1},
        {"x-amz-checksum-crc32": CRC32, "x-amz-trailer": "x-amz-checksum-crc32"},
        {"x-amz-checksum-crc32": CRC32, "x-amz-trailer": "x-amz-checksum-sha1"},
        {"x-amz-trailer": "x-amz-checksum-crc32,x-amz-checksum-sha1"},
        {"x-amz-trailer": "x-amz-checksum-crc99"},
        {"x-amz-trailer": "x-amz-meta-a"},
        {"x-amz-trailer": ""},
        {"x-amz-checksum-crc99": CRC32},
        {"x-amz-checksum-sha512": CRC32},
        {"x-amz-checksum-crc32": CRC32, "x-amz-sdk-checksum-algorithm": "SHA1"},
        {"x-amz-checksum-crc32": CRC32, "x-amz-checksum-algorithm": "SHA1"},
        {"x-amz-checksum-crc32": CRC32, "x-amz-checksum-type": "COMPOSITE"},
        {"x-amz-checksum-crc32": CRC32, "x-amz-checksum-type": "HALF"},
        {"x-amz-sdk-checksum-algorithm": "CRC32"},
        {"x-amz-sdk-checksum-algorithm": "CRC99"},
        {"x-amz-sdk-checksum-algorithm": "SHA1", "x-amz-checksum-algorithm": "CRC32"},
    ],
)
def test_a_checksum_that_cannot_be_kept_is_refused(headers: dict[str, str]) -> None:
    assert refusal(headers) == "InvalidRequest"


@pytest.mark.parametrize("text", ["", "bad", "AAAAAAA=", CRC32 + ",", "\xff" * 8])
def test_a_value_that_is_no_such_checksum_is_refused(text: str) -> None:
    assert refusal({"x-amz-checksum-crc32": text}) == "BadDigest"


def test_other_headers_ask_for_no_checksum() -> None:
    headers = {"x-amz-checksum-mode": "ENABLED", "content-length": "9"}

    assert check(headers).checksum is None


def test_an_algorithm_alone_asks_to_compute_the_checksum() -> None:
    headers = {"x-amz-checksum-algorithm": "crc64nvme"}

    assert check(headers).checksum == Checksum("CRC64NVME", CRC64NVME)


@pytest.mark.parametrize("algorithm", ["", "CRC32", "SHA256"])
def test_the_payload_hash_is_verified_beside_any_checksum(algorithm: str) -> None:
    hash_of_body = sha256(BODY).hexdigest()
    right = Digests(requested({}), payload_sha256=hash_of_body.upper(), algorithm=algorithm)
    wrong = Digests(requested({}), payload_sha256="0" * 64, algorithm=algorithm)
    for digests in (right, wrong):
        digests.update(BODY[:4])
        digests.update(BODY[4:])

    right.verify({})
    with pytest.raises(S3Error, match="XAmzContentSHA256Mismatch") as caught:
        wrong.verify({})

    assert caught.value.details["S3ComputedContentSHA256"] == hash_of_body
    assert right.checksum == (Checksum(algorithm, VALUES[algorithm]) if algorithm else None)


def test_a_part_has_the_checksum_its_upload_was_begun_with() -> None:
    Digests(requested({"x-amz-checksum-crc32": CRC32}), algorithm="CRC32")
    with pytest.raises(S3Error, match="InvalidRequest"):
        Digests(requested({"x-amz-checksum-crc32": CRC32}), algorithm="SHA1")


@pytest.mark.parametrize(
    ("headers", "wanted"),
    [
        ({}, ("", COMPOSITE)),
        ({"x-amz-checksum-algorithm": "CRC32"}, ("CRC32", COMPOSITE)),
        (
            {"x-amz-checksum-algorithm": "CRC32", "x-amz-checksum-type": "FULL_OBJECT"},
            ("CRC32", FULL),
        ),
        ({"x-amz-checksum-algorithm": "CRC64NVME"}, ("CRC64NVME", FULL)),
        ({"x-amz-checksum-algorithm": "sha256"}, ("SHA256", COMPOSITE)),
    ],
)
def test_an_upload_chooses_algorithm_and_type(
    headers: dict[str, str], wanted: tuple[str, ChecksumType]
) -> None:
    assert upload_checksum(headers) == wanted


@pytest.mark.parametrize(
    "headers",
    [
        {"x-amz-checksum-type": "FULL_OBJECT"},
        {"x-amz-checksum-algorithm": "CRC99"},
        {"x-amz-checksum-algorithm": "CRC32", "x-amz-checksum-type": "HALF"},
        {"x-amz-checksum-algorithm": "CRC64NVME", "x-amz-checksum-type": "COMPOSITE"},
        {"x-amz-checksum-algorithm": "SHA1", "x-amz-checksum-type": "FULL_OBJECT"},
        {"x-amz-checksum-algorithm": "SHA256", "x-amz-checksum-type": "FULL_OBJECT"},
    ],
)
def test_an_upload_cannot_choose_what_s3_does_not_have(headers: dict[str, str]) -> None:
    with pytest.raises(S3Error, match="InvalidRequest"):
        upload_checksum(headers)


def test_a_copy_may_ask_for_an_algorithm() -> None:
    assert copy_algorithm({}) == ""
    assert copy_algorithm({"x-amz-checksum-algorithm": "SHA1"}) == "SHA1"


@pytest.mark.parametrize("sent", [f"{SHA256}-3", SHA256])
def test_a_completion_may_announce_the_checksum_of_the_whole(sent: str) -> None:
    whole = Checksum("SHA256", f"{SHA256}-3", COMPOSITE)

    require_whole({}, whole)
    require_whole({}, None)
    require_whole({"x-amz-checksum-sha256": sent, "x-amz-checksum-type": "COMPOSITE"}, whole)


@pytest.mark.parametrize(
    ("headers", "checksum", "code"),
    [
        ({"x-amz-checksum-sha256": SHA256}, Checksum("SHA256", "x-3", COMPOSITE), "BadDigest"),
        ({"x-amz-checksum-sha256": SHA256}, Checksum("CRC32", CRC32), "InvalidRequest"),
        ({"x-amz-checksum-sha256": SHA256}, None, "InvalidRequest"),
        ({"x-amz-checksum-sha512": SHA256}, None, "InvalidRequest"),
        ({"x-amz-checksum-type": "FULL_OBJECT"}, None, "InvalidRequest"),
        ({"x-amz-checksum-type": "COMPOSITE"}, Checksum("CRC32", CRC32), "InvalidRequest"),
    ],
)
def test_a_completion_that_announces_another_checksum_is_refused(
    headers: dict[str, str], checksum: Checksum | None, code: str
) -> None:
    with pytest.raises(S3Error) as caught:
        require_whole(headers, checksum)

    assert caught.value.code == code
