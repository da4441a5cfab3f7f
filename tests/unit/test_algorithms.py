import zlib
from base64 import b64encode
from hashlib import md5

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3proxy.s3.algorithms import ALGORITHMS, combined, composite, multipart_etag

BODY = b"123456789"
POLYNOMIALS = {
    "CRC32": (0xEDB88320, 32),
    "CRC32C": (0x82F63B78, 32),
    "CRC64NVME": (0x9A6C9329AC4BC9B5, 64),
}
CRCS = list(POLYNOMIALS)
MIB5 = 5 * 1024 * 1024


def digest(algorithm: str, *pieces: bytes) -> bytes:
    started = ALGORITHMS[algorithm].start()
    for piece in pieces:
        started.update(piece)
    return started.digest()


def value(algorithm: str, data: bytes) -> str:
    return b64encode(digest(algorithm, data)).decode()


def bit_by_bit(algorithm: str, data: bytes) -> int:
    """The CRC by its definition, reflected."""
    polynomial, width = POLYNOMIALS[algorithm]
    ones = (1 << width) - 1
    crc = ones
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (polynomial if crc & 1 else 0)
    return crc ^ ones


@pytest.mark.parametrize(
    ("algorithm", "wanted"),
    [("CRC32", "cbf43926"), ("CRC32C", "e3069283"), ("CRC64NVME", "ae8b14860a799888")],
)
def test_a_crc_has_its_published_check_value(algorithm: str, wanted: str) -> None:
    assert digest(algorithm, BODY).hex() == wanted


@pytest.mark.parametrize("algorithm", CRCS)
@given(st.lists(st.binary(max_size=40), max_size=4))
def test_a_crc_is_what_its_definition_says(algorithm: str, pieces: list[bytes]) -> None:
    whole = bit_by_bit(algorithm, b"".join(pieces))

    assert int.from_bytes(digest(algorithm, *pieces), "big") == whole


@given(st.binary(max_size=5000))
def test_crc32_is_that_of_zlib(data: bytes) -> None:
    assert int.from_bytes(digest("CRC32", data), "big") == zlib.crc32(data)


@pytest.mark.parametrize("algorithm", CRCS)
@given(st.lists(st.binary(max_size=300), max_size=6))
def test_combined_parts_have_the_checksum_of_the_whole(algorithm: str, parts: list[bytes]) -> None:
    pairs = [(value(algorithm, part), len(part)) for part in parts]

    assert combined(algorithm, pairs) == value(algorithm, b"".join(parts))


@pytest.mark.parametrize(
    ("algorithm", "parts", "whole"),
    [
        ("CRC32", ["JRTCyQ==", "QoZTGg==", "YAgjqw=="], "WgDhBQ=="),
        ("CRC64NVME", ["L/E4WYn8v98=", "xW1l19VobYM=", "cK5MnNaWrW4="], "i+6LR0y3eFo="),
    ],
)
def test_parts_of_5_mib_combine_as_on_s3(algorithm: str, parts: list[str], whole: str) -> None:
    assert parts == [value(algorithm, letter * MIB5) for letter in (b"A", b"B", b"C")]
    assert combined(algorithm, [(part, MIB5) for part in parts]) == whole


@pytest.mark.parametrize("algorithm", CRCS)
def test_parts_beyond_4_gib_combine(algorithm: str) -> None:
    half = 3 * 1024**3
    zeros = [(value(algorithm, bytes(1024**2)), 1024**2)]
    gib3 = combined(algorithm, zeros * 3072)

    assert combined(algorithm, [(gib3, half), (gib3, half)]) == combined(algorithm, zeros * 6144)


def test_a_digest_that_is_no_crc_cannot_be_combined() -> None:
    with pytest.raises(ValueError, match="SHA256"):
        combined("SHA256", [(value("SHA256", BODY), 9)])


def test_a_composite_checksum_and_etag_are_those_of_s3() -> None:
    parts = [letter * MIB5 for letter in (b"A", b"B", b"C")]

    assert (
        composite("SHA256", [value("SHA256", part) for part in parts])
        == "uWBwpe1dxI4Vw8Gf0X9ynOdw/SS6VBzfWm9giiv1sf4=-3"
    )
    assert (
        multipart_etag([md5(part).hexdigest() for part in parts])
        == "b2add96cc9702bbf4efb0ccdfc6b7747-3"
    )
