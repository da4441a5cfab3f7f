"""`ccs demo`, as someone new tries it."""

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

import pytest
from botocore.exceptions import BotoCoreError
from mypy_boto3_s3 import S3Client

from tests.e2e.agreement import got
from tests.e2e.clients import s3_client
from tests.e2e.server import COMMAND, ROOT, Key, environment
from tests.e2e.waiting import until

SECONDS: Final = 60


class Site(NamedTuple):
    """What a client needs of one."""

    url: str
    trust: None = None


class Demo(NamedTuple):
    """The two sites, the folder they are in, the key that is good at both."""

    east: Site
    west: Site
    folder: Path
    key: Key


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Demo]:
    folder = tmp_path / "demo"
    told = tmp_path / "told"
    with told.open("wb") as out:
        running = subprocess.Popen(
            [*COMMAND, "demo", "--data", str(folder), "--port", "0"],
            cwd=ROOT,
            env=environment({}),
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    try:
        until(lambda: "Ctrl-C" in told.read_text(), "the demo", SECONDS)
        east, west = (
            Site(url) for url in re.findall(r"serves S3 at (http://\S+)", told.read_text())
        )
        yield Demo(east, west, folder, Key("DEMO", (folder / "secret").read_text()))
    finally:
        running.send_signal(signal.SIGINT)
        assert running.wait(SECONDS) == 0
        for file in folder.glob("*.pid"):
            pid = int(file.read_text())
            until(partial(has_ended, pid), "the sites to end", SECONDS)


def has_ended(pid: int) -> bool:
    return not Path(f"/proc/{pid}").exists()


def caught_up(west: S3Client) -> bool:
    try:
        return got(west, "demo", "later")[0] is not None
    except BotoCoreError:
        return False


def test_put_here_get_there_kill_one_catch_up(demo: Demo) -> None:
    with s3_client(demo.east, demo.key) as east, s3_client(demo.west, demo.key) as west:
        east.create_bucket(Bucket="demo")
        east.put_object(Bucket="demo", Key="now", Body=b"now")
        assert west.get_object(Bucket="demo", Key="now")["Body"].read() == b"now"

        os.kill(int((demo.folder / "west.pid").read_text()), signal.SIGKILL)
        east.put_object(Bucket="demo", Key="later", Body=b"later")
        again = subprocess.Popen(
            [*COMMAND, "serve", "--config", str(demo.folder / "west.toml")],
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
        )
        try:
            until(lambda: caught_up(west), "the west to catch up", SECONDS)
        finally:
            again.terminate()
            again.wait(SECONDS)
