"""Whether all that can be seen of a store agrees: LIST with HEAD with GET, state with storage."""

import hashlib
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

from botocore.exceptions import ClientError
from mypy_boto3_s3 import S3Client

from tests.e2e.bodies import MIB
from tests.e2e.history import ABSENT


class Seen(NamedTuple):
    """What a listing entry and the headers of a read both say."""

    etag: str
    size: int


def digests(s3: S3Client, bucket: str, keys: Sequence[str]) -> dict[str, str]:
    """The digest of each key's body (ABSENT for none), where LIST, HEAD and GET all agree.

    Recovery may settle a write between two looks: a key that changed is looked at again.
    """
    found: dict[str, str] = {}
    left = set(keys)
    while left:
        before = listed(s3, bucket)
        looked = {key: (headed(s3, bucket, key), *got(s3, bucket, key)) for key in left}
        after = listed(s3, bucket)
        for key in [key for key in left if before.get(key) == after.get(key)]:
            head, get, digest = looked[key]
            assert head == get == after.get(key), f"{key}: HEAD, GET and LIST do not agree"
            found[key] = digest
            left.remove(key)
    return found


def listed(s3: S3Client, bucket: str) -> dict[str, Seen]:
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket)
    return {
        one["Key"]: Seen(one["ETag"], one["Size"])
        for page in pages
        for one in page.get("Contents", ())
    }


def headed(s3: S3Client, bucket: str, key: str) -> Seen | None:
    try:
        head = s3.head_object(Bucket=bucket, Key=key)
    except ClientError as error:
        require_absent(error)
        return None
    return Seen(head["ETag"], head["ContentLength"])


def got(s3: S3Client, bucket: str, key: str) -> tuple[Seen | None, str]:
    """What GET says of the key, and the digest of the body it sent."""
    try:
        answer = s3.get_object(Bucket=bucket, Key=key)
    except ClientError as error:
        require_absent(error)
        return None, ABSENT
    digest = hashlib.sha256()
    for block in answer["Body"].iter_chunks(MIB):
        digest.update(block)
    return Seen(answer["ETag"], answer["ContentLength"]), digest.hexdigest()


def require_absent(error: ClientError) -> None:
    if error.response["ResponseMetadata"]["HTTPStatusCode"] != 404:
        raise error


def unsettled(data: Path) -> dict[str, Any]:
    """What lies in a data folder that should not be there once recovery is through."""
    state, catalog = data / "state.db", data / "storage/catalog.db"
    files = {path.name for path in (data / "storage/segments").rglob("*") if path.is_file()}
    segments = column(catalog, "SELECT segment FROM pieces UNION SELECT segment FROM parts")
    locators = column(state, "SELECT locator FROM objects WHERE bucket NOT LIKE '.ccs%'")
    objects = column(catalog, "SELECT CAST(id AS TEXT) FROM objects")
    found = {
        "segments that only the disk or only the catalog has": files ^ (segments - {None}),
        "objects that only the storage or only state has": objects ^ locators,
        "incoming": [path.name for path in (data / "storage/incoming").iterdir()],
        "trash": column(catalog, "SELECT segment FROM trash"),
        "intents": column(state, "SELECT key FROM intents"),
        "discards": column(state, "SELECT locator FROM discards"),
    }
    return {what: left for what, left in found.items() if left}


def column(database: Path, query: str) -> set[Any]:
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=10)) as connection:
        return {value for (value,) in connection.execute(query)}
