"""One gateway over two storages, through boto3."""

from pathlib import Path
from typing import Any

import pytest

from tests.e2e.clients import s3_client
from tests.e2e.conftest import Start


@pytest.mark.parametrize("state", ["sqlite", "none"])
def test_buckets_go_by_name_or_by_location_and_stay_there(
    start: Start, tmp_path: Path, state: str
) -> None:
    archive = tmp_path / "archive"
    server = start(
        CCS_STATE__KIND=state,
        CCS_STORAGES__ARCHIVE__KIND="local",
        CCS_STORAGES__ARCHIVE__PATH=str(archive),
        CCS_STORAGES__ARCHIVE__BUCKETS="archive-*,backup-*",
        CCS_STORAGES__ARCHIVE__LOCATION="cold",
    )
    content = bytes(100_000)
    with s3_client(server) as s3:
        for name in ("photos", "archive-2026"):
            s3.create_bucket(Bucket=name)
            s3.put_object(Bucket=name, Key="cat", Body=content)
        configuration: Any = {"LocationConstraint": "cold"}
        s3.create_bucket(Bucket="by-location", CreateBucketConfiguration=configuration)
        s3.copy_object(
            Bucket="by-location", Key="copy", CopySource={"Bucket": "photos", "Key": "cat"}
        )

        assert s3.get_object(Bucket="by-location", Key="copy")["Body"].read() == content
        assert s3.get_object(Bucket="archive-2026", Key="cat")["Body"].read() == content
        assert [one["Name"] for one in s3.list_buckets()["Buckets"]] == [
            "archive-2026",
            "by-location",
            "photos",
        ]
    near = server.data / "storage"
    assert (len(segments(near)), len(segments(archive))) == (1, 2)


def segments(folder: Path) -> list[Path]:
    """The files of large bodies."""
    return [path for path in folder.rglob("*/*") if path.is_file()]
