import pytest

from s3proxy.s3.errors import S3Error
from s3proxy.s3.signature import SignedRequest, claim

V4 = (
    "AWS4-HMAC-SHA256 Credential=key/20130524/eu/s3/aws4_request, "
    f"SignedHeaders=host, Signature={'0' * 64}"
)
HEADERS = {"x-amz-date": "20130524T000000Z", "x-amz-content-sha256": "UNSIGNED-PAYLOAD"}


def request(query: str = "", **headers: str) -> SignedRequest:
    return SignedRequest("GET", "/", query, HEADERS | headers)


def refusal(signed: SignedRequest, *, sigv2: bool = True) -> S3Error:
    with pytest.raises(S3Error) as caught:
        claim(signed, sigv2=sigv2)
    return caught.value


@pytest.mark.parametrize("query", ["", "acl", "prefix=Signature", "X-Amz-Meta=1", "MySignature=1"])
def test_a_request_without_a_signature_is_anonymous(query: str) -> None:
    assert claim(request(query)) is None


@pytest.mark.parametrize(
    "signed",
    [
        request("X-Amz-Signature=0", authorization=V4),
        request("a=b&X-Amz-Algorithm=AWS4-HMAC-SHA256", authorization=V4),
        request("Signature=x&AWSAccessKeyId=y&Expires=1", authorization=V4),
        request("X-Amz-Algorithm=AWS4-HMAC-SHA256", authorization="AWS a:b"),
        request("X-Amz-Algorithm=AWS4-HMAC-SHA256&Signature=x"),
    ],
)
def test_two_mechanisms_at_once_are_refused(signed: SignedRequest) -> None:
    assert refusal(signed).code == "InvalidArgument"


@pytest.mark.parametrize(
    "authorization", ["Bearer x", "Basic eDp5", "AWS4-ECDSA-P256-SHA256 x", "\x07", "aws x:y"]
)
def test_an_unknown_mechanism_is_refused(authorization: str) -> None:
    error = refusal(request(authorization=authorization))

    assert error.code == "InvalidArgument"
    assert error.details == {"ArgumentName": "Authorization", "ArgumentValue": authorization}


@pytest.mark.parametrize("authorization", ["", "  "])
def test_an_empty_authorization_is_refused(authorization: str) -> None:
    assert refusal(request(authorization=authorization)).code == "AccessDenied"


@pytest.mark.parametrize(
    "signed",
    [request(authorization="AWS a:b"), request("AWSAccessKeyId=a&Signature=b&Expires=1")],
)
def test_sigv2_is_refused_unless_it_is_allowed(signed: SignedRequest) -> None:
    error = refusal(signed, sigv2=False)

    assert error.code == "InvalidRequest"
    assert "AWS4-HMAC-SHA256" in error.message


@pytest.mark.parametrize(
    "query", ["X-Amz-Signature=0", "X-Amz-Credential=a", "X-Amz-Algorithm=AWS4-HMAC-SHA256"]
)
def test_half_a_presigned_url_is_not_anonymous(query: str) -> None:
    assert refusal(request(query)).code == "AuthorizationQueryParametersError"
