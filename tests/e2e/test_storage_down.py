"""A storage that goes away and comes back, under a gateway that stays."""

import urllib.request
from pathlib import Path

import pytest
from botocore.exceptions import ClientError
from mypy_boto3_s3 import S3Client

from tests.e2e.clients import s3_client
from tests.e2e.conftest import Start, fresh_bucket
from tests.e2e.waiting import until
from tests.services import servers
from tests.services.servers import S3_ACCESS, S3_SECRET

WAIT = 30


def answers(s3: S3Client, bucket: str) -> bool:
    try:
        s3.put_object(Bucket=bucket, Key="again", Body=b"new")
    except ClientError:
        return False
    return True


@pytest.mark.parametrize("state", ["sqlite", "none"])
def test_requests_fail_clearly_while_it_is_down_and_work_again_by_themselves(
    start: Start, tmp_path: Path, state: str
) -> None:
    below = servers.versitygw(tmp_path / "versitygw")
    below.start()
    server = start(
        CCS_STATE__KIND=state,
        CCS_STORAGE__KIND="s3",
        CCS_STORAGE__S3__ENDPOINT=below.url,
        CCS_STORAGE__S3__ACCESS_KEY=S3_ACCESS,
        CCS_STORAGE__S3__SECRET_KEY=S3_SECRET,
        CCS_STORAGE__LIMITS__PAUSE_SECONDS="0.2",
    )
    with s3_client(server) as s3:
        bucket = fresh_bucket(s3)
        s3.put_object(Bucket=bucket, Key="cat", Body=b"meow")
        below.kill()

        for _ in range(12):
            with pytest.raises(ClientError) as refused:
                s3.get_object(Bucket=bucket, Key="cat")
            answer = refused.value.response["ResponseMetadata"]
            assert answer["HTTPStatusCode"] == 503
            assert answer["HTTPHeaders"]["retry-after"] == "1"
        with pytest.raises(ClientError):
            s3.put_object(Bucket=bucket, Key="dog", Body=b"woof")
        counted = urllib.request.urlopen(f"{server.operations}/metrics").read().decode()
        assert 'ccs_storage_errors_total{error="Unavailable",storage="default",' in counted
        below.start()

        until(lambda: answers(s3, bucket), "the storage to be used again", WAIT)
        assert s3.get_object(Bucket=bucket, Key="cat")["Body"].read() == b"meow"
        with pytest.raises(ClientError):
            s3.head_object(Bucket=bucket, Key="dog")
    below.kill()
