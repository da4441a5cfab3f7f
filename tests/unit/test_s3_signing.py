"""Our signatures are those of botocore."""

from datetime import UTC, datetime
from unittest.mock import patch
from urllib.parse import urlsplit

import botocore.auth
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from backends.signing import EMPTY, UNSIGNED, Keys, encode_path, encode_query, sign

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
HOST = "storage.example:9000"
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
TOKENS = st.text("abcdefghijklmnopqrstuvwxyz0123456789-", min_size=1, max_size=20)
VALUES = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=60)
NAMES = st.one_of(
    TOKENS.map("x-amz-meta-{}".format),
    st.sampled_from(["content-type", "content-md5", "range", "if-match", "x-amz-copy-source"]),
)
SECRETS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=40)


def authorization(request: AWSRequest, keys: Keys, region: str, payload: str) -> str:
    """What botocore signs the same request with, at the same time."""
    request.context["timestamp"] = ""
    request.context["client_config"] = Config(s3={"payload_signing_enabled": payload == EMPTY})
    signer = S3SigV4Auth(Credentials(keys.access, keys.secret, keys.token or None), "s3", region)
    with patch.object(botocore.auth, "get_current_datetime", lambda: NOW.replace(tzinfo=None)):
        signer.add_auth(request)
    return str(request.headers["Authorization"])


@given(
    method=st.sampled_from(["GET", "PUT", "HEAD", "DELETE", "POST"]),
    key=TEXT,
    query=st.lists(st.tuples(TEXT.filter(bool), TEXT), max_size=4, unique_by=lambda pair: pair[0]),
    headers=st.dictionaries(NAMES, VALUES, max_size=4),
    keys=st.builds(Keys, SECRETS, SECRETS, st.one_of(st.just(""), SECRETS)),
    region=st.sampled_from(["us-east-1", "eu-central-2", "auto", "garage"]),
    payload=st.sampled_from([EMPTY, UNSIGNED]),
)
def test_a_signature_is_the_one_of_botocore(
    method: str,
    key: str,
    query: list[tuple[str, str]],
    headers: dict[str, str],
    keys: Keys,
    region: str,
    payload: str,
) -> None:
    path, encoded = encode_path(f"/photos/{key}"), encode_query(query)
    ours = sign(
        method, HOST, path, encoded, headers, keys, region, payload=payload, now=NOW.timestamp()
    )
    url = f"http://{HOST}{path}{'?' if encoded else ''}{encoded}"
    assert urlsplit(url).path == path

    theirs = authorization(AWSRequest(method, url, dict(headers)), keys, region, payload)

    assert ours["authorization"] == theirs
