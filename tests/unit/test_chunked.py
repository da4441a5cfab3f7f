import re
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3proxy.s3.chunked import MAX_CHUNK, ChunkDecoder
from s3proxy.s3.errors import S3Error
from s3proxy.s3.signature import Seal

SEAL = Seal(b"k" * 32, "20130524T000000Z", "20130524/eu/s3/aws4_request", "0" * 64)
TRAILERS = {"x-amz-checksum-crc32": "AAAAAA=="}
STEPS = [1, 2, 3, 7, 1000]
CHUNKS = [b"meow" * 20, b"c", b"at" * 300]
PAYLOAD = b"".join(CHUNKS)


def plain(chunks: list[bytes], trailers: dict[str, str] | None = None) -> bytes:
    body = b"".join(f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n" for chunk in chunks)
    lines = "".join(f"{name}:{value}\r\n" for name, value in (trailers or {}).items())
    return body + b"0\r\n" + lines.encode() + b"\r\n"


def signed(chunks: list[bytes], trailers: dict[str, str] | None = None, end: str = "\r\n") -> bytes:
    body, previous = b"", SEAL.signature
    for chunk in [*chunks, b""]:
        previous = SEAL.chunk_signature(previous, sha256(chunk).hexdigest())
        body += f"{len(chunk):x};chunk-signature={previous}\r\n".encode()
        body += chunk + b"\r\n" if chunk else b""
    if trailers is not None:
        body += "".join(f"{name}:{value}{end}" for name, value in trailers.items()).encode()
        canonical = "".join(f"{name}:{value}\n" for name, value in trailers.items())
        signature = SEAL.trailer_signature(previous, sha256(canonical.encode()).hexdigest())
        body += f"x-amz-trailer-signature:{signature}\r\n".encode()
    return body + b"\r\n"


def decode(body: bytes, decoder: ChunkDecoder, step: int = 1000) -> bytes:
    pieces: list[bytes] = []
    for at in range(0, len(body), step):
        pieces += decoder.feed(body[at : at + step])
    decoder.close()
    return b"".join(pieces)


def unsigned_decoder(length: int | None = None, *, trailer: bool = True) -> ChunkDecoder:
    return ChunkDecoder(None, signed=False, trailer=trailer, decoded_length=length)


def signed_decoder(*, trailer: bool = False) -> ChunkDecoder:
    return ChunkDecoder(SEAL, signed=True, trailer=trailer, decoded_length=len(PAYLOAD))


def refusal(body: bytes, decoder: ChunkDecoder, step: int = 1000) -> str:
    with pytest.raises(S3Error) as caught:
        decode(body, decoder, step)
    return caught.value.code


@pytest.mark.parametrize("step", STEPS)
def test_any_split_of_an_unsigned_body_gives_the_same_payload_and_trailers(step: int) -> None:
    decoder = unsigned_decoder(len(PAYLOAD))

    assert decode(plain(CHUNKS, TRAILERS), decoder, step) == PAYLOAD
    assert (decoder.finished, decoder.trailers) == (True, TRAILERS)


@pytest.mark.parametrize("step", STEPS)
def test_any_split_of_a_signed_body_gives_the_same_payload(step: int) -> None:
    assert decode(signed(CHUNKS), signed_decoder(), step) == PAYLOAD


@pytest.mark.parametrize("end", ["\r\n", "\n", "\n\r\n"])
@pytest.mark.parametrize("step", STEPS)
def test_any_split_and_any_line_end_of_signed_trailers_is_read(step: int, end: str) -> None:
    decoder = signed_decoder(trailer=True)

    assert decode(signed(CHUNKS, TRAILERS, end), decoder, step) == PAYLOAD
    assert decoder.trailers == TRAILERS


@given(st.lists(st.binary(min_size=1, max_size=50), max_size=5), st.data())
def test_whatever_the_chunks_and_the_packets_the_payload_is_the_same(
    chunks: list[bytes], data: st.DataObject
) -> None:
    body = plain(chunks)
    cuts = data.draw(st.lists(st.integers(0, len(body)), max_size=8).map(sorted))
    decoder = unsigned_decoder()
    pieces = []
    for start, end in zip([0, *cuts], [*cuts, len(body)], strict=True):
        pieces += decoder.feed(body[start:end])

    assert (b"".join(pieces), decoder.finished) == (b"".join(chunks), True)


@given(st.integers(0), st.integers(1, 255), st.booleans())
def test_a_signed_body_with_any_byte_changed_is_refused(
    at: int, change: int, with_trailer: bool
) -> None:
    body = bytearray(signed(CHUNKS, TRAILERS if with_trailer else None))
    body[at % len(body)] ^= change

    try:
        payload = decode(bytes(body), signed_decoder(trailer=with_trailer))
    except S3Error:
        return
    # A hex digit of a size may change its case, a name of a trailer too: the bytes are the same.
    assert payload == PAYLOAD


def test_a_changed_payload_is_refused_at_the_end_of_its_chunk() -> None:
    body = signed(CHUNKS).replace(b"meow", b"MEOW", 1)
    decoder = signed_decoder()
    first_chunk = body.index(b"MEOW") + len(CHUNKS[0])

    decoder.feed(body[: first_chunk - 1])
    with pytest.raises(S3Error, match="SignatureDoesNotMatch"):
        decoder.feed(body[first_chunk - 1 : first_chunk])


def test_chunks_in_another_order_are_refused() -> None:
    first, second, *_ = re.split(rb"(?=5;)", signed([b"first", b"other"]))[1:]
    body = signed([b"first", b"other"]).replace(first + second, second + first)
    decoder = ChunkDecoder(SEAL, signed=True, trailer=False, decoded_length=10)

    assert refusal(body, decoder) == "SignatureDoesNotMatch"


def test_changed_trailers_are_refused() -> None:
    body = signed(CHUNKS, TRAILERS).replace(b"AAAAAA==", b"AAAAAQ==")

    assert refusal(body, signed_decoder(trailer=True)) == "SignatureDoesNotMatch"


def test_trailers_without_their_signature_are_never_finished() -> None:
    body = signed(CHUNKS).removesuffix(b"\r\n") + b"x-amz-checksum-crc32:AAAAAA==\r\n\r\n"

    assert refusal(body, signed_decoder(trailer=True)) == "IncompleteBody"


def test_signed_chunks_without_a_seal_are_refused() -> None:
    with pytest.raises(S3Error, match="InvalidRequest"):
        ChunkDecoder(None, signed=True, trailer=False, decoded_length=1)


def test_unsigned_chunks_are_refused_where_signed_ones_are_due() -> None:
    assert refusal(plain(CHUNKS), signed_decoder()) == "InvalidRequest"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "IncompleteBody"),
        (b"3\r\nabc\r\n", "IncompleteBody"),
        (b"3\r\nab", "IncompleteBody"),
        (b"3\r\nabc\r\n0\r\n", "IncompleteBody"),
        (b"3\r\nabcd\r\n0\r\n\r\n", "InvalidRequest"),
        (b"3\r\nabc0\r\n\r\n", "InvalidRequest"),
        (b"3\nabc\n0\n\n", "InvalidRequest"),
        (b"x\r\nabc\r\n", "InvalidRequest"),
        (b"-3\r\nabc\r\n", "InvalidRequest"),
        (b"+3\r\nabc\r\n", "InvalidRequest"),
        (b"0x3\r\nabc\r\n", "InvalidRequest"),
        (b" 3\r\nabc\r\n", "InvalidRequest"),
        (b"\r\n", "InvalidRequest"),
        (b"3;name=value\r\nabc\r\n", "InvalidRequest"),
        (f"{MAX_CHUNK + 1:x}\r\n".encode(), "InvalidRequest"),
        (b"f" * 16 + b"\r\n", "InvalidRequest"),
        (b"0" * 17 + b"3\r\nabc\r\n", "InvalidRequest"),
        (b"3" * 5000, "InvalidRequest"),
        (b"0\r\nno colon\r\n\r\n", "MalformedTrailerError"),
        (b"0\r\nbad name: x\r\n\r\n", "MalformedTrailerError"),
        (b"0\r\n: x\r\n\r\n", "MalformedTrailerError"),
        (b"0\r\na: \x00\r\n\r\n", "MalformedTrailerError"),
        (b"0\r\na: 1\r\nA: 2\r\n\r\n", "MalformedTrailerError"),
        (b"0\r\na: " + b"x" * 9000 + b"\r\n\r\n", "InvalidRequest"),
        (b"0\r\n" + b"".join(b"n%d: x\r\n" % n for n in range(2000)) + b"\r\n", "InvalidRequest"),
        (b"0\r\n\r\nmore", "InvalidRequest"),
    ],
)
@pytest.mark.parametrize("step", [1, 100_000])
def test_what_is_no_aws_chunked_body_is_refused(body: bytes, code: str, step: int) -> None:
    assert refusal(body, unsigned_decoder(), step) == code


@pytest.mark.parametrize("length", [len(PAYLOAD) - 1, len(PAYLOAD) + 1])
def test_another_length_than_the_announced_one_is_refused(length: int) -> None:
    assert refusal(plain(CHUNKS), unsigned_decoder(length)) == "IncompleteBody"


def test_trailers_where_none_were_announced_are_refused() -> None:
    body = plain(CHUNKS, TRAILERS)

    assert refusal(body, unsigned_decoder(trailer=False)) == "MalformedTrailerError"


@pytest.mark.parametrize("step", [1, 1000])
def test_line_ends_behind_the_body_are_harmless(step: int) -> None:
    assert decode(plain(CHUNKS) + b"\r\n\n", unsigned_decoder(), step) == PAYLOAD


def test_a_block_inside_a_chunk_is_handed_out_uncopied() -> None:
    decoder = unsigned_decoder()
    block = b"x" * 4096
    decoder.feed(b"2000\r\n")

    assert decoder.feed(block)[0] is block
