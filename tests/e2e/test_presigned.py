"""Presigned URLs, used as a browser would: no SDK, no credentials."""

import ssl
import urllib.request
from collections.abc import Iterator
from typing import Any
from urllib.error import HTTPError

import pytest
from mypy_boto3_s3 import S3Client

from tests.e2e.bodies import MIB, body
from tests.e2e.clients import s3_client
from tests.e2e.server import Server

KEY = "a b/ü+%.txt"


class Browser:
    """Plain HTTP."""

    def __init__(self, server: Server) -> None:
        self._context = ssl.create_default_context(cafile=server.trust) if server.trust else None

    def send(self, method: str, url: str, content: bytes | None = None, **headers: str) -> bytes:
        request = urllib.request.Request(url, data=content, method=method, headers=headers)
        with urllib.request.urlopen(request, timeout=30, context=self._context) as answer:
            taken: bytes = answer.read()
        return taken

    def refusal(self, method: str, url: str, content: bytes | None = None) -> tuple[int, str]:
        with pytest.raises(HTTPError) as caught:
            self.send(method, url, content)
        with caught.value as answer:
            return answer.code, answer.read().decode()


@pytest.fixture
def browser(server: Server) -> Browser:
    return Browser(server)


@pytest.fixture
def signer(server: Server) -> Iterator[S3Client]:
    with s3_client(server, signature_version="s3v4") as client:
        yield client


def url_of(signer: S3Client, call: str, bucket: str, seconds: int = 60, **asked: Any) -> str:
    return signer.generate_presigned_url(
        call, Params={"Bucket": bucket, "Key": KEY, **asked}, ExpiresIn=seconds
    )


def test_a_presigned_url_uploads_and_another_downloads(
    signer: S3Client, browser: Browser, bucket: str
) -> None:
    content = body(2 * MIB)

    browser.send("PUT", url_of(signer, "put_object", bucket), content)

    assert browser.send("GET", url_of(signer, "get_object", bucket)) == content
    assert browser.send("HEAD", url_of(signer, "head_object", bucket)) == b""
    browser.send("DELETE", url_of(signer, "delete_object", bucket))
    assert signer.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


def test_a_presigned_url_is_for_its_method_alone(
    signer: S3Client, browser: Browser, bucket: str
) -> None:
    status, error = browser.refusal("PUT", url_of(signer, "get_object", bucket), b"meow")

    assert (status, "<Code>SignatureDoesNotMatch</Code>" in error) == (403, True)


def test_a_presigned_url_is_for_its_key_alone(
    signer: S3Client, browser: Browser, bucket: str
) -> None:
    url = url_of(signer, "get_object", bucket).replace("a%20b", "b%20b")

    status, error = browser.refusal("GET", url)

    assert (status, "<Code>SignatureDoesNotMatch</Code>" in error) == (403, True)


def test_a_presigned_url_may_rename_the_answers_headers(
    signer: S3Client, browser: Browser, bucket: str
) -> None:
    signer.put_object(Bucket=bucket, Key=KEY, Body=b"meow")
    url = url_of(signer, "get_object", bucket, ResponseContentType="text/x-cat")

    assert browser.send("GET", url) == b"meow"


def test_a_request_without_any_signature_is_refused(
    server: Server, browser: Browser, bucket: str
) -> None:
    status, error = browser.refusal("GET", f"{server.url}/{bucket}/")

    assert (status, "<Code>AccessDenied</Code>" in error) == (403, True)
