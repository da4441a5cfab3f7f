"""When an object expires: asked for by a header, told by one."""

import re
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime
from pathlib import Path
from typing import Final

import pytest

from tests.wire.gateway import Answer, Client, running

ASKED: Final = "x-ccs-expires"
TOLD: Final = "x-amz-expiration"
LATER: Final = datetime(2099, 1, 31, 12, tzinfo=UTC)
DATE: Final = "Sat, 31 Jan 2099 12:00:00 GMT"
SHOWN: Final = f'expiry-date="{DATE}", rule-id="object"'
PATIENCE: Final = 20.0


def until_gone(client: Client, path: str) -> Answer:
    """What a GET answers once the object is gone."""
    deadline = time.monotonic() + PATIENCE
    while (answer := client.ask("GET", path)).status == 200:
        assert time.monotonic() < deadline, f"{path} does not expire"
        time.sleep(0.02)
    return answer


@pytest.mark.parametrize(
    "text", [DATE, "2099-01-31T12:00:00Z", "2099-01-31T13:00:00+01:00", "2099-01-31T12:00:00.0Z"]
)
def test_a_put_may_say_when_its_object_expires(client: Client, bucket: str, text: str) -> None:
    put = client.ask("PUT", f"/{bucket}/cat", {ASKED: text}, body=b"meow")

    assert (put.status, put.headers[TOLD]) == (200, SHOWN)
    assert client.ask("GET", f"/{bucket}/cat").headers[TOLD] == SHOWN
    assert client.ask("HEAD", f"/{bucket}/cat").headers[TOLD] == SHOWN


def test_what_does_not_expire_says_nothing_of_it(client: Client, bucket: str) -> None:
    client.ask("PUT", f"/{bucket}/cat", {ASKED: DATE}, body=b"meow")

    put = client.ask("PUT", f"/{bucket}/cat", body=b"anew")

    assert TOLD not in put.headers
    assert TOLD not in client.ask("GET", f"/{bucket}/cat").headers


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("tomorrow", "RFC 3339"),
        ("", "RFC 3339"),
        ("2099-01-31T12:00:00", "RFC 3339"),
        ("2020-01-31T12:00:00Z", "is over"),
    ],
    ids=["words", "nothing", "no zone", "over"],
)
def test_what_is_no_time_to_come_is_refused(
    client: Client, bucket: str, text: str, said: str
) -> None:
    for method, path in (("PUT", f"/{bucket}/cat"), ("POST", f"/{bucket}/cat?uploads")):
        answer = client.ask(method, path, {ASKED: text})

        assert (answer.status, answer.code) == (400, "InvalidArgument")
        assert said in answer.body.decode()
    assert client.ask("HEAD", f"/{bucket}/cat").status == 404


def test_an_upload_says_it_for_the_object_that_it_becomes(client: Client, bucket: str) -> None:
    begun = client.ask("POST", f"/{bucket}/cat?uploads", {ASKED: DATE})
    [upload] = re.findall("<UploadId>(.*)</UploadId>", begun.body.decode())
    part = client.ask("PUT", f"/{bucket}/cat?partNumber=1&uploadId={upload}", body=b"meow")
    body = (
        "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber>"
        f"<ETag>{part.headers['etag']}</ETag></Part></CompleteMultipartUpload>"
    )

    completed = client.ask("POST", f"/{bucket}/cat?uploadId={upload}", body=body.encode())
    again = client.ask("POST", f"/{bucket}/cat?uploadId={upload}", body=body.encode())

    assert (completed.status, completed.headers[TOLD]) == (200, SHOWN)
    assert again.headers[TOLD] == SHOWN
    assert client.ask("HEAD", f"/{bucket}/cat").headers[TOLD] == SHOWN


def test_a_copy_expires_when_its_own_request_says_so(client: Client, bucket: str) -> None:
    client.ask("PUT", f"/{bucket}/cat", {ASKED: DATE}, body=b"meow")
    source = {"x-amz-copy-source": f"/{bucket}/cat"}

    plain = client.ask("PUT", f"/{bucket}/plain", source)
    asked = client.ask("PUT", f"/{bucket}/asked", {**source, ASKED: DATE})
    client.ask("PUT", f"/{bucket}/dog", body=b"woof")
    itself = client.ask(
        "PUT", f"/{bucket}/dog", {"x-amz-copy-source": f"/{bucket}/dog", ASKED: DATE}
    )

    assert TOLD not in plain.headers
    assert (asked.headers[TOLD], itself.headers[TOLD]) == (SHOWN, SHOWN)
    assert client.ask("HEAD", f"/{bucket}/dog").headers[TOLD] == SHOWN


def test_an_object_expires(tmp_path: Path) -> None:
    with running(tmp_path / "data", expiry={"hours": 0.00003}) as client:
        client.ask("PUT", "/photos")
        moment = datetime.now(UTC) + timedelta(seconds=1)
        put = client.ask("PUT", "/photos/cat", {ASKED: moment.isoformat()}, body=b"meow")
        client.ask("PUT", "/photos/dog", {ASKED: format_datetime(LATER, usegmt=True)}, body=b"woof")
        [shown] = re.findall('expiry-date="([^"]*)"', put.headers[TOLD])
        assert abs(parsedate_to_datetime(shown) - moment) < timedelta(seconds=1)

        gone = until_gone(client, "/photos/cat")

        assert (gone.status, gone.code) == (404, "NoSuchKey")
        assert client.ask("GET", "/photos/dog").body == b"woof"


def test_without_a_state_no_promise_is_made_that_nobody_keeps(tmp_path: Path) -> None:
    with running(
        tmp_path / "data", state={"kind": "none"}, storage={"data": tmp_path / "data"}
    ) as client:
        client.ask("PUT", "/photos")

        answer = client.ask("PUT", "/photos/cat", {ASKED: DATE}, body=b"meow")

        assert (answer.status, answer.code) == (501, "NotImplemented")
        assert client.ask("HEAD", "/photos/cat").status == 404
