"""The examples that the S3 API reference publishes for SigV4, byte for byte."""

import pytest

from s3proxy.s3.chunked import ChunkDecoder
from s3proxy.s3.signature import Seal, SignedRequest, claim, verify

SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
ACCESS_KEY = "AKIAIOSFODNN7EXAMPLE"
NOON = 1369353600  # Fri, 24 May 2013 00:00:00 GMT
EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
BASE = {
    "host": "examplebucket.s3.amazonaws.com",
    "x-amz-content-sha256": EMPTY,
    "x-amz-date": "20130524T000000Z",
}

GET_OBJECT = (
    SignedRequest("GET", "/test.txt", "", BASE | {"range": "bytes=0-9"}),
    "host;range;x-amz-content-sha256;x-amz-date",
    "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
)
PUT_OBJECT = (
    SignedRequest(
        "PUT",
        "/test$file.text",
        "",
        BASE
        | {
            "date": "Fri, 24 May 2013 00:00:00 GMT",
            "x-amz-content-sha256": (
                "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072"
            ),
            "x-amz-storage-class": "REDUCED_REDUNDANCY",
        },
    ),
    "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
    "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
)
GET_LIFECYCLE = (
    SignedRequest("GET", "/", "lifecycle", BASE),
    "host;x-amz-content-sha256;x-amz-date",
    "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
)
LIST_OBJECTS = (
    SignedRequest("GET", "/", "max-keys=2&prefix=J", BASE),
    "host;x-amz-content-sha256;x-amz-date",
    "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
)
CHUNKED = (
    SignedRequest(
        "PUT",
        "/examplebucket/chunkObject.txt",
        "",
        {
            "host": "s3.amazonaws.com",
            "x-amz-date": "20130524T000000Z",
            "x-amz-storage-class": "REDUCED_REDUNDANCY",
            "x-amz-content-sha256": "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
            "content-encoding": "aws-chunked",
            "x-amz-decoded-content-length": "66560",
            "content-length": "66824",
        },
    ),
    "content-encoding;content-length;host;x-amz-content-sha256;x-amz-date;"
    "x-amz-decoded-content-length;x-amz-storage-class",
    "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9",
)
CHUNKED_WITH_TRAILER = (
    SignedRequest(
        "PUT",
        "/examplebucket/chunkObject.txt",
        "",
        {
            "host": "s3.amazonaws.com",
            "x-amz-date": "20130524T000000Z",
            "x-amz-storage-class": "REDUCED_REDUNDANCY",
            "x-amz-content-sha256": "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
            "content-encoding": "aws-chunked",
            "x-amz-decoded-content-length": "66560",
            "x-amz-trailer": "x-amz-checksum-crc32c",
            "content-length": "66824",
        },
    ),
    "content-encoding;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;"
    "x-amz-storage-class;x-amz-trailer",
    "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e",
)
CHUNK_SIGNATURES = (
    "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
    "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
    "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9",
)
CHUNK_SIGNATURES_BEFORE_TRAILER = (
    "b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2",
    "1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7",
    "2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992",
)
TRAILER = (
    b"x-amz-checksum-crc32c:sOO8/Q==\r\n"
    b"x-amz-trailer-signature:"
    b"d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435\r\n"
)
PAYLOAD = b"a" * 66560


def seal_of(request: SignedRequest, signed_headers: str, signature: str) -> Seal:
    authorization = (
        f"AWS4-HMAC-SHA256 Credential={ACCESS_KEY}/20130524/us-east-1/s3/aws4_request,"
        f"SignedHeaders={signed_headers},Signature={signature}"
    )
    sent = request._replace(headers={**request.headers, "authorization": authorization})
    found = claim(sent)
    assert found is not None
    assert found.access_key == ACCESS_KEY
    seal = verify(found, sent, SECRET, now=NOON)
    assert seal is not None
    return seal


def body_of(signatures: tuple[str, str, str], trailer: bytes) -> bytes:
    chunks = zip((PAYLOAD[:65536], PAYLOAD[65536:], b""), signatures, strict=True)
    return (
        b"".join(
            f"{len(chunk):x};chunk-signature={signature}\r\n".encode()
            + (chunk + b"\r\n" if chunk else b"")
            for chunk, signature in chunks
        )
        + trailer
        + b"\r\n"
    )


@pytest.mark.parametrize(
    "example",
    [GET_OBJECT, PUT_OBJECT, GET_LIFECYCLE, LIST_OBJECTS, CHUNKED, CHUNKED_WITH_TRAILER],
    ids=["GET", "PUT", "lifecycle", "list", "chunked", "chunked with trailer"],
)
def test_a_published_signature_is_verified(example: tuple[SignedRequest, str, str]) -> None:
    assert seal_of(*example).signature == example[2]


def test_the_published_presigned_url_is_verified() -> None:
    query = (
        "X-Amz-Algorithm=AWS4-HMAC-SHA256"
        "&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request"
        "&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host"
        "&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
    )
    request = SignedRequest("GET", "/test.txt", query, {"host": BASE["host"]})
    found = claim(request)

    assert found is not None
    assert (found.expires, found.payload) == (86400, "UNSIGNED-PAYLOAD")
    assert verify(found, request, SECRET, now=NOON + 86400) is not None


def test_the_published_chunked_upload_is_decoded() -> None:
    decoder = ChunkDecoder(seal_of(*CHUNKED), signed=True, trailer=False, decoded_length=66560)
    body = body_of(CHUNK_SIGNATURES, b"")

    payload = b"".join(decoder.feed(body))

    assert len(body) == 66824
    assert (payload, decoder.finished) == (PAYLOAD, True)


def test_the_published_chunked_upload_with_a_trailer_is_decoded() -> None:
    seal = seal_of(*CHUNKED_WITH_TRAILER)
    decoder = ChunkDecoder(seal, signed=True, trailer=True, decoded_length=66560)

    payload = b"".join(decoder.feed(body_of(CHUNK_SIGNATURES_BEFORE_TRAILER, TRAILER)))

    assert (payload, decoder.finished) == (PAYLOAD, True)
    assert decoder.trailers == {"x-amz-checksum-crc32c": "sOO8/Q=="}
