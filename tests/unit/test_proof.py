"""Bytes from other sites, compared with what the object's facts tell."""

from hashlib import md5
from typing import Final

import pytest

from backends.errors import Corrupt
from backends.model import Facts, ObjectPart, Version
from s3proxy.gateway.proof import Proof

PARTS: Final = (b"first" * 20, b"second" * 20, b"3")
WHOLE: Final = b"".join(PARTS)
VERSION: Final = Version(1, "east")


def digest(data: bytes) -> bytes:
    return md5(data, usedforsecurity=False).digest()


def single() -> Facts:
    return Facts(VERSION, len(WHOLE), digest(WHOLE).hex())


def multipart() -> Facts:
    etag = digest(b"".join(digest(part) for part in PARTS)).hex()
    parts = tuple(ObjectPart(number, len(part)) for number, part in enumerate(PARTS, 1))
    return Facts(VERSION, len(WHOLE), f"{etag}-{len(PARTS)}", parts=parts)


def is_proved(facts: Facts, data: bytes, step: int) -> bool:
    proof = Proof(facts)
    for at in range(0, len(data), step):
        proof.update(data[at : at + step])
        proof = proof.copy()
    try:
        proof.require("films/cat")
    except Corrupt:
        return False
    return True


@pytest.mark.parametrize("step", [1, 7, 100, 120, 220, 1000])
@pytest.mark.parametrize("facts", [single(), multipart()], ids=["whole", "parts"])
def test_only_the_right_bytes_are_proved_however_they_come(facts: Facts, step: int) -> None:
    assert is_proved(facts, WHOLE, step)
    for at in (0, 99, 100, len(WHOLE) - 1):
        wrong = WHOLE[:at] + bytes([WHOLE[at] ^ 1]) + WHOLE[at + 1 :]
        assert not is_proved(facts, wrong, step)
    assert not is_proved(facts, WHOLE[:-1], step)
    assert not is_proved(facts, WHOLE + b"x", step)


def test_a_copy_grows_on_its_own() -> None:
    first = Proof(single())
    first.update(WHOLE[:50])
    second = first.copy()
    first.update(b"other")
    second.update(WHOLE[50:])

    second.require("films/cat")
    with pytest.raises(Corrupt, match="films/cat"):
        first.require("films/cat")


def test_of_an_etag_of_another_kind_the_size_is_compared() -> None:
    foreign = Facts(VERSION, 3, "an-etag-of-some-storage")

    assert is_proved(foreign, b"abc", 1)
    assert not is_proved(foreign, b"abcd", 1)


def test_nothing_at_all_is_proved_by_its_md5() -> None:
    assert is_proved(Facts(VERSION, 0, digest(b"").hex()), b"", 1)
