"""Addresses in virtual-host style: the bucket is the first label of the host."""

import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from mypy_boto3_s3 import S3Client

from tests.e2e.bodies import MIB, body
from tests.e2e.clients import s3_client
from tests.e2e.conftest import DOMAIN, fresh_bucket
from tests.e2e.grounds import LISTENERS
from tests.e2e.server import Server

GROUNDS = LISTENERS  # addresses do not depend on what is below


@pytest.fixture
def virtual(server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Client]:
    """A client that puts the bucket into the host, where every name below the domain is us."""
    resolve = socket.getaddrinfo

    def here(host: Any, *rest: Any, **named: Any) -> Any:
        is_ours = str(host).endswith(DOMAIN)
        return resolve("127.0.0.1" if is_ours else host, *rest, **named)

    monkeypatch.setattr(socket, "getaddrinfo", here)
    address = urlsplit(server.url)
    url = f"{address.scheme}://{DOMAIN}:{address.port}"
    with s3_client(server, url=url, s3={"addressing_style": "virtual"}) as client:
        yield client


@pytest.mark.parametrize("key", ["cat", "a b/ü+%.txt", "bucket/key", "//"])
def test_a_bucket_in_the_host_name_is_the_same_bucket(
    virtual: S3Client, s3: S3Client, key: str
) -> None:
    bucket = fresh_bucket(virtual)
    content = body(MIB)

    virtual.put_object(Bucket=bucket, Key=key, Body=content)

    assert virtual.get_object(Bucket=bucket, Key=key)["Body"].read() == content
    assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == content
    assert [one["Key"] for one in virtual.list_objects_v2(Bucket=bucket)["Contents"]] == [key]
