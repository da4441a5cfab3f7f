"""SigV4 against botocore as an oracle, then what must be refused."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from s3proxy.s3.errors import S3Error
from s3proxy.s3.signature import Seal, SignedRequest, verify
from tests.unit.signing import (
    ACCESS_KEY,
    REGION,
    SECRET,
    claimed,
    presigned,
    signed,
    with_header,
)

DAY = 24 * 3600

keys = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30)
words = st.text(st.characters(categories=["L", "N", "P", "S"]), max_size=20)
names = keys.filter(lambda name: not name.startswith(("X-Amz-", "Signature", "AWSAccessKeyId")))
queries = st.lists(st.tuples(names, words))
values = st.lists(words.filter(bool), max_size=4).map("  ".join)
headers_of_user = st.dictionaries(
    st.from_regex("x-amz-meta-[a-z0-9-]{1,9}", fullmatch=True), values
)


def check(request: SignedRequest, *, later: int = 0, region: str | None = None) -> Seal:
    found = claimed(request)
    seal = verify(found, request, SECRET, now=found.signed_at + later, region=region)
    assert seal is not None
    return seal


def refusal(request: SignedRequest, *, later: int = 0, region: str | None = None) -> S3Error:
    with pytest.raises(S3Error) as caught:
        check(request, later=later, region=region)
    return caught.value


def with_authorization(old: str, new: str) -> SignedRequest:
    request = signed()
    authorization = request.headers["authorization"]
    assert old in authorization
    return with_header(request, "authorization", authorization.replace(old, new))


def with_query(old: str, new: str) -> SignedRequest:
    request = presigned()
    assert old in request.query
    return request._replace(query=request.query.replace(old, new))


@given(st.sampled_from(["GET", "PUT", "POST", "DELETE"]), keys, queries, headers_of_user)
def test_what_botocore_signs_in_a_header_is_verified(
    method: str, key: str, query: list[tuple[str, str]], headers: dict[str, str]
) -> None:
    request = signed(method, key, query, headers, b"body")

    assert check(request).scope.endswith(f"/{REGION}/s3/aws4_request")
    assert claimed(request).access_key == ACCESS_KEY


@given(st.sampled_from(["GET", "PUT"]), keys, queries, headers_of_user)
def test_what_botocore_presigns_is_verified(
    method: str, key: str, query: list[tuple[str, str]], headers: dict[str, str]
) -> None:
    request = presigned(method, key, query, headers)

    check(request)
    assert claimed(request).payload == "UNSIGNED-PAYLOAD"


@given(st.data())
def test_a_request_with_any_byte_changed_is_refused(data: st.DataObject) -> None:
    request = signed("PUT", "a/b", [("tagging", "1")], {"x-amz-meta-a": "b"}, b"body")
    now = claimed(request).signed_at
    names = ["host", "x-amz-meta-a", "x-amz-date", "x-amz-content-sha256", "authorization"]
    name = data.draw(st.sampled_from(["method", "path", "query", *names]))
    text = request.headers[name] if name in names else str(getattr(request, name))
    at = data.draw(st.integers(0, len(text) - 1))
    character = data.draw(st.characters(min_codepoint=33, max_codepoint=126))
    # Other separators between an Authorization's fields can leave the same fields.
    assume(character != text[at] and not (name == "authorization" and text[at] in ", "))
    changed = f"{text[:at]}{character}{text[at + 1 :]}"

    with pytest.raises(S3Error):
        trusted(with_text(request, name, changed), now)


def with_text(request: SignedRequest, name: str, text: str) -> SignedRequest:
    parts: dict[str, SignedRequest] = {
        "method": request._replace(method=text),
        "path": request._replace(path=text),
        "query": request._replace(query=text),
    }
    return parts.get(name) or with_header(request, name, text)


def trusted(request: SignedRequest, now: int) -> None:
    """What a server does that knows one access key."""
    found = claimed(request)
    if found.access_key != ACCESS_KEY:
        raise S3Error("InvalidAccessKeyId")
    verify(found, request, SECRET, now=now)


def test_a_wrong_secret_is_answered_with_what_was_signed_but_no_secret() -> None:
    request = signed()
    found = claimed(request)
    with pytest.raises(S3Error) as caught:
        verify(found, request, "another secret", now=found.signed_at)

    details = caught.value.details
    assert caught.value.code == "SignatureDoesNotMatch"
    assert details["AWSAccessKeyId"] == ACCESS_KEY
    assert details["SignatureProvided"] == found.signature
    assert details["StringToSign"].startswith("AWS4-HMAC-SHA256\n")
    assert details["CanonicalRequest"].startswith("GET\n/bucket/key\n\nhost:")
    assert "secret" not in str(details)


@pytest.mark.parametrize("later", [-901, 901])
def test_a_clock_more_than_15_minutes_off_is_refused(later: int) -> None:
    check(signed(), later=899 if later > 0 else -899)
    error = refusal(signed(), later=later)

    assert error.code == "RequestTimeTooSkewed"
    assert error.details["MaxAllowedSkewMilliseconds"] == "900000"


def test_a_presigned_url_is_good_in_its_time_only() -> None:
    request = presigned(expires=2 * DAY)

    check(request, later=2 * DAY)
    check(request, later=-899)
    assert refusal(request, later=2 * DAY + 1).message == "Request has expired"
    assert refusal(request, later=-901).message == "Request is not valid yet"


@pytest.mark.parametrize("expires", [0, -1, 604801, 10**30])
def test_a_presigned_url_lasts_from_a_second_to_a_week(expires: int) -> None:
    assert claimed(presigned(expires=604800)).expires == 604800
    assert refusal(presigned(expires=expires)).code == "AuthorizationQueryParametersError"


def test_any_region_is_good_unless_one_is_pinned() -> None:
    check(signed(), region=REGION)
    in_header = refusal(signed(), region="us-east-1")
    in_query = refusal(presigned(), region="us-east-1")

    assert in_header.code == "AuthorizationHeaderMalformed"
    assert in_query.code == "AuthorizationQueryParametersError"
    assert in_header.details == in_query.details == {"Region": "us-east-1"}


@pytest.mark.parametrize("request_sent", [signed(), presigned()], ids=["header", "query"])
def test_an_unsigned_amz_header_is_refused(request_sent: SignedRequest) -> None:
    error = refusal(with_header(request_sent, "x-amz-acl", "public-read"))

    assert (error.code, error.details) == ("AccessDenied", {"HeadersNotSigned": "x-amz-acl"})


def test_other_unsigned_headers_are_harmless() -> None:
    check(with_header(signed(), "x-amzn-trace-id", "Root=1"))


def test_the_host_must_be_signed() -> None:
    error = refusal(with_authorization("SignedHeaders=host;", "SignedHeaders="))

    assert (error.code, error.details) == ("AccessDenied", {"HeadersNotSigned": "host"})


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Credential=", "Credentials="),
        ("Signature=", "Signatures="),
        ("SignedHeaders=", ""),
        (f"Credential={ACCESS_KEY}/", "Credential=/"),
        (f"/{REGION}/", "/"),
        ("/s3/", "/ec2/"),
        ("aws4_request", "aws4_reply"),
        ("/20", "/19"),
        ("host", "h\xf6st"),
    ],
)
def test_a_malformed_authorization_is_refused(old: str, new: str) -> None:
    assert refusal(with_authorization(old, new)).code == "AuthorizationHeaderMalformed"


def test_spaces_between_the_fields_of_an_authorization_do_not_matter() -> None:
    check(with_authorization(", ", ","))
    check(with_authorization(", ", " ,  "))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("X-Amz-Algorithm=AWS4-HMAC-SHA256", "X-Amz-Algorithm=AWS4-HMAC-SHA512"),
        ("X-Amz-Algorithm=AWS4-HMAC-SHA256&", ""),
        ("X-Amz-SignedHeaders", "X-Amz-Signed"),
        ("X-Amz-Date=2", "X-Amz-Date=x"),
        ("X-Amz-Expires=600", "X-Amz-Expires=soon"),
        ("X-Amz-Expires=600", "X-Amz-Expires="),
        ("s3%2Faws4", "ec2%2Faws4"),
        ("SignedHeaders=host", "SignedHeaders=%E2%82%AC"),
    ],
)
def test_a_malformed_presigned_url_is_refused(old: str, new: str) -> None:
    assert refusal(with_query(old, new)).code == "AuthorizationQueryParametersError"


def test_a_date_header_may_stand_for_the_amz_date() -> None:
    request = signed(headers={"date": "x"})
    date = {"date": "Fri, 24 May 2013 00:00:00 GMT"}
    headers = {n: v for n, v in request.headers.items() if n != "x-amz-date"} | date

    moved = request._replace(headers=headers)
    authorization = headers["authorization"].replace(
        headers["authorization"].split("/")[2], "20130524"
    )

    assert claimed(with_header(moved, "authorization", authorization)).signed_at == 1369353600


@pytest.mark.parametrize("date", ["", "yesterday", "20130524", "20139924T000000Z"])
def test_a_request_without_a_valid_date_is_refused(date: str) -> None:
    assert refusal(with_header(signed(), "x-amz-date", date)).code == "AccessDenied"


def test_a_missing_payload_hash_is_refused() -> None:
    request = signed()
    headers = {n: v for n, v in request.headers.items() if n != "x-amz-content-sha256"}

    assert refusal(request._replace(headers=headers)).code == "InvalidRequest"


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        ("", "InvalidArgument"),
        ("invalid", "InvalidArgument"),
        ("g" * 64, "InvalidArgument"),
        ("STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD", "NotImplemented"),
    ],
)
def test_a_payload_hash_that_is_none_is_refused(payload: str, code: str) -> None:
    assert refusal(with_header(signed(), "x-amz-content-sha256", payload)).code == code


@pytest.mark.parametrize(
    "payload", ["UNSIGNED-PAYLOAD", "STREAMING-UNSIGNED-PAYLOAD-TRAILER", "a" * 64]
)
def test_a_payload_hash_that_s3_knows_is_claimed(payload: str) -> None:
    assert claimed(with_header(signed(), "x-amz-content-sha256", payload)).payload == payload


def test_a_seal_does_not_show_its_key() -> None:
    seal = check(signed())

    assert repr(seal.key) not in repr(seal)
