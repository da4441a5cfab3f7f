"""A gateway whose storage fails in every way a network can: right errors, in time, nothing torn."""

import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final, NamedTuple
from urllib.parse import urlsplit

import pytest
from botocore.exceptions import ClientError, HTTPClientError, IncompleteReadError
from mypy_boto3_s3 import S3Client
from urllib3.exceptions import ProtocolError

from tests.e2e.agreement import digests
from tests.e2e.bodies import KIB, MIB, body, digest
from tests.e2e.clients import s3_client
from tests.e2e.conftest import fresh_bucket
from tests.e2e.grounds import GROUNDS as STORAGES
from tests.e2e.history import ABSENT
from tests.e2e.server import Server
from tests.e2e.waiting import until
from tests.services import canned
from tests.services.faults import Act, Fault, Link, Way
from tests.services.process import Service

SERVICES: Final = {"s3": "versitygw", "azure": "azurite", "gcs": "fake_gcs"}
WAIT: Final = 40
IN_TIME: Final = 20.0
OLD, NEW, LARGE_OLD, LARGE_NEW = (
    body(3 * KIB, 1),
    body(4 * KIB, 2),
    body(7 * MIB, 3),
    body(8 * MIB, 4),
)
SHORT: Final = {
    "CCS_STORAGE__S3__PART_BYTES": str(5 * MIB),
    "CCS_STORAGE__AZURE__BLOCK_BYTES": str(2 * MIB),
    "CCS_STORAGE__GCS__CHUNK_BYTES": str(MIB),
    **{f"CCS_STORAGE__{kind}__READ_SECONDS": "3" for kind in ("S3", "AZURE", "GCS")},
    "CCS_STORAGE__LIMITS__BLOCK_SECONDS": "3",
    "CCS_STORAGE__LIMITS__CALL_SECONDS": "6",
    "CCS_STORAGE__LIMITS__FAILURES": "1000",
    "CCS_STATE__LEASE_SECONDS": "4",
    "CCS_STATE__RECOVERY_SECONDS": "0.3",
}
BROKEN: Final = (IncompleteReadError, ProtocolError, HTTPClientError)
Operation = Callable[["Ground"], object]


class Ending(NamedTuple):
    """How a request ended: S3's code ("" for none, "broken" in a body), status, Retry-After."""

    code: str
    status: int
    retry: str = ""


FINE: Final = Ending("", 200)
BROKEN_OFF: Final = Ending("broken", 0)
DOWN: Final = Ending("ServiceUnavailable", 503, "1")
BUSY: Final = Ending("SlowDown", 503, "1")
DENIED: Final = Ending("AccessDenied", 403)
WRONG: Final = Ending("InternalError", 500)
# fake-gcs-server takes the question how far an upload is for its end, and makes an empty object.
EMULATED: Final = {"gcs": (digest(b""),)}
AZURITES_WRONG: Final = Ending("InvalidRequest", 400)  # it has no code for it; Azure: Md5Mismatch


@dataclass
class Ground:
    """A gateway, its storage behind a link, and a bucket of objects to try things on.

    Each trial has keys of its own, below `trial`: a fault leaves writes in doubt, and a key whose
    last write is in doubt takes no other one until recovery has settled it.
    """

    kind: str
    state: str
    server: Server
    link: Link
    s3: S3Client
    bucket: str
    trial: str = ""
    upload: str = ""
    part: str = ""
    allowed: dict[str, set[str]] = field(default_factory=dict)

    def begin(self, trial: str) -> None:
        """Put the objects of a trial, and note which bodies each of its keys may show after it."""
        self.trial = trial
        for name in ("small", "gone", "joined"):
            self.s3.put_object(Bucket=self.bucket, Key=self.key(name), Body=OLD)
        bucket, key = self.bucket, self.key("joined")
        self.upload = self.s3.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"]
        self.part = self.s3.upload_part(
            Bucket=bucket, Key=key, UploadId=self.upload, PartNumber=1, Body=NEW
        )["ETag"]
        old, new = digest(OLD), digest(NEW)
        self.may_show("small", old, new)
        self.may_show("fresh", new, ABSENT)
        self.may_show("large", digest(LARGE_NEW), ABSENT)
        self.may_show("gone", old, ABSENT)
        self.may_show("copy", old, ABSENT)
        self.may_show("joined", old, new)

    def key(self, name: str) -> str:
        return f"{self.trial}-{name}"

    def may_show(self, name: str, *bodies: str) -> None:
        self.allowed[self.key(name)] = set(bodies)

    def agrees(self) -> bool:
        """Whether each key shows, in HEAD, LIST and GET alike, one of the bodies that it may."""
        try:
            found = digests(self.s3, self.bucket, [*self.allowed])
        except (ClientError, *BROKEN):
            return False
        wrong = {key: shown for key, shown in found.items() if shown not in self.allowed[key]}
        assert not wrong
        return True


def put(name: str, content: bytes) -> Operation:
    return lambda at: at.s3.put_object(Bucket=at.bucket, Key=at.key(name), Body=content)


def get(key: str) -> Operation:
    return lambda at: at.s3.get_object(Bucket=at.bucket, Key=key)["Body"].read()


OPERATIONS: Final[Mapping[str, Operation]] = {
    "put": put("small", NEW),
    "put fresh": put("fresh", NEW),
    "put large": put("large", LARGE_NEW),
    "get": get("read"),
    "get large": get("read large"),
    "head": lambda at: at.s3.head_object(Bucket=at.bucket, Key="read"),
    "list": lambda at: at.s3.list_objects_v2(Bucket=at.bucket),
    "delete": lambda at: at.s3.delete_object(Bucket=at.bucket, Key=at.key("gone")),
    "copy": lambda at: at.s3.copy_object(
        Bucket=at.bucket, Key=at.key("copy"), CopySource={"Bucket": at.bucket, "Key": "read"}
    ),
    "complete": lambda at: at.s3.complete_multipart_upload(
        Bucket=at.bucket,
        Key=at.key("joined"),
        UploadId=at.upload,
        MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": at.part}]},
    ),
}
OF_STATE: Final = frozenset({"head", "list"})


def ending(operation: Operation, at: Ground) -> tuple[Ending, float]:
    """How it ended, and after how many seconds."""
    started = time.monotonic()
    try:
        operation(at)
    except ClientError as error:
        told = error.response["ResponseMetadata"]
        code = error.response["Error"]["Code"]
        retry = told["HTTPHeaders"].get("retry-after", "")
        code = {"503": "ServiceUnavailable", "403": "AccessDenied"}.get(code, code)  # of a HEAD
        return Ending(code, told["HTTPStatusCode"], retry), time.monotonic() - started
    except BROKEN:
        return BROKEN_OFF, time.monotonic() - started
    return FINE, time.monotonic() - started


def endings(at: Ground) -> dict[str, Ending]:
    """How all operations end that are done at once, each of them in time."""
    with ThreadPoolExecutor(len(OPERATIONS)) as pool:
        ended = list(pool.map(lambda operation: ending(operation, at), OPERATIONS.values()))
    for name, (told, seconds) in zip(OPERATIONS, ended, strict=True):
        assert seconds < IN_TIME, f"{name}: {told} after {seconds:.1f} s"
    return {name: told for name, (told, _) in zip(OPERATIONS, ended, strict=True)}


@pytest.fixture(
    scope="module", params=[f"{kind} {state}" for kind in SERVICES for state in ("sqlite", "none")]
)
def running(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Ground]:
    kind, state = request.param.split()
    service: Service = request.getfixturevalue(SERVICES[kind])
    link = Link(service.port)
    link.start()
    settings = {
        name: value.replace(service.url, link.url)
        for name, value in STORAGES[kind](request).items()
    }
    data = tmp_path_factory.mktemp("faulty") / "data"
    server = Server(data, settings={**settings, **SHORT, "CCS_STATE__KIND": state})
    server.start()
    with s3_client(server, read_timeout=3 * IN_TIME, signature_version="s3v4") as s3:
        bucket = fresh_bucket(s3)
        s3.put_object(Bucket=bucket, Key="read", Body=OLD)
        s3.put_object(Bucket=bucket, Key="read large", Body=LARGE_OLD)
        yield Ground(kind, state, server, link, s3, bucket)
    assert server.stop() == 0
    link.close()
    assert "Traceback" not in server.log.read_text(), server.log.read_text()[-4000:]


@pytest.fixture
def ground(running: Ground) -> Iterator[Ground]:
    """Afterwards the gateway has recovered by itself, and no request is left in the storage."""
    running.allowed = {"read": {digest(OLD)}, "read large": {digest(LARGE_OLD)}}
    yield running
    running.link.heal()
    until(running.agrees, "state and storage to agree", WAIT)
    for _ in range(20):
        running.s3.put_object(Bucket=running.bucket, Key="more", Body=NEW)
        running.s3.head_object(Bucket=running.bucket, Key="more")
    until(lambda: running.link.under_way == 0, "no request to be left", WAIT)


def expected(at: Ground, told: Ending) -> dict[str, Ending]:
    """All operations end so, but for those that state answers."""
    silent = OF_STATE if at.state == "sqlite" else frozenset()
    shown = {name: FINE if name in silent else told for name in OPERATIONS}
    if told == BUSY and at.state == "none":
        shown["head"] = DOWN  # HEAD has no body to tell the code in
    return shown


def answer(answers: Mapping[str, bytes]) -> Callable[[Ground], Fault]:
    return lambda at: Fault(Act.ANSWER, answer=answers[at.kind])


ENDS: Final[Mapping[str, tuple[Callable[[Ground], Fault | None], Ending]]] = {
    "refused": (lambda _: None, DOWN),
    "silent": (lambda _: Fault(Act.SILENCE, at=-1), DOWN),
    "reset": (lambda _: Fault(Act.RESET, at=-1), DOWN),
    "garbage": (lambda _: Fault(Act.ANSWER, answer=canned.GARBAGE), DOWN),
    "failing": (answer(canned.FAILED), DOWN),
    "throttling": (answer(canned.THROTTLED), BUSY),
    "expired": (answer(canned.EXPIRED), DENIED),
}


def test_each_fault_has_its_error_in_time(ground: Ground) -> None:
    for name, (make, told) in ENDS.items():
        ground.begin(name)
        fault = make(ground)
        if fault:
            ground.link.fail(fault)
        else:
            ground.link.refuse()
        assert (name, endings(ground)) == (name, expected(ground, told))
        ground.link.heal()


def test_a_body_that_breaks_off_stands_still_or_is_wrong_breaks_the_connection(
    ground: Ground,
) -> None:
    for act in (Act.CUT, Act.RESET, Act.SILENCE, Act.FLIP):
        ground.link.fail(Fault(act, at=MIB // 2, method="GET", path="large"))
        told, seconds = ending(OPERATIONS["get large"], ground)
        assert told in {BROKEN_OFF, DOWN}, act  # DOWN where not even a first block came whole
        assert seconds < IN_TIME
    ground.link.fail(Fault(Act.FLIP, at=KIB, method="GET", path="read"))
    assert ending(OPERATIONS["get"], ground)[0] == (WRONG if ground.kind == "s3" else BROKEN_OFF)


def test_a_body_that_does_not_arrive_whole_or_right_is_not_kept(ground: Ground) -> None:
    wrong = AZURITES_WRONG if ground.kind == "azure" else WRONG
    for act, told in ((Act.RESET, DOWN), (Act.SILENCE, DOWN), (Act.FLIP, wrong)):
        ground.trial = act.name
        for name, operation in (("fresh", "put fresh"), ("large", "put large")):
            ground.link.fail(Fault(act, Way.REQUEST, at=2 * KIB, method="PUT|POST"))
            ended, seconds = ending(OPERATIONS[operation], ground)
            assert (act, name, ended) == (act, name, told)
            assert seconds < IN_TIME
            ground.may_show(name, ABSENT, *EMULATED.get(ground.kind, ()))
        ground.link.heal()


def test_an_answer_that_gets_lost_leaves_the_old_or_the_new(ground: Ground) -> None:
    ground.begin("lost")
    ground.link.fail(Fault(Act.LOSE, method="PUT|POST|DELETE|PATCH"))
    assert set(endings(ground).values()) <= {FINE, DOWN}


def test_a_client_that_leaves_in_mid_body_leaves_nothing(ground: Ground) -> None:
    ground.trial = "left"
    for name, operation in (("large", "PUT"), ("read large", "GET")):
        leave(ground, operation, ground.key(name) if operation == "PUT" else name)
    ground.may_show("large", ABSENT)


def is_written(seen: Sequence[tuple[str, str]]) -> bool:
    """Whether a request among these brings bytes."""
    return any(method in {"PUT", "POST", "PATCH"} for method, _ in seen)


def leave(at: Ground, method: str, key: str) -> None:
    """Ask as a signed URL does, and hang up in the middle of the body."""
    verb = {"PUT": "put_object", "GET": "get_object"}[method]
    url = at.s3.generate_presigned_url(verb, Params={"Bucket": at.bucket, "Key": key})
    asked = urlsplit(url)
    head = f"{method} {asked.path}?{asked.query} HTTP/1.1\r\nHost: {asked.netloc}\r\n"
    length = f"Content-Length: {len(LARGE_NEW)}\r\n" if method == "PUT" else ""
    seen = len(at.link.seen)
    with socket.create_connection((asked.hostname, asked.port or 80), IN_TIME) as client:
        client.sendall(f"{head}{length}\r\n".encode())
        if method == "PUT":
            client.sendall(LARGE_NEW[: 6 * MIB])
            until(lambda: is_written(at.link.seen[seen:]), "the body to reach the storage", WAIT)
        assert method == "PUT" or client.recv(64 * KIB).startswith(b"HTTP/1.1 200")
