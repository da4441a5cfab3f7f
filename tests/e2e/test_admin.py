"""The operators' API of real servers, and the commands that are clients of it."""

import contextlib
import json
import os
import pty
import signal
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.error import HTTPError

import pytest

from tests.e2e.clients import refused, s3_client
from tests.e2e.commands import at, ccs, told
from tests.e2e.conftest import Start
from tests.e2e.server import COMMAND, FIRST, ROOT, Key, Server, environment
from tests.e2e.sites import Group, sites
from tests.e2e.waiting import until
from tests.services.faults import Act, Fault
from tests.services.process import free_port

SECONDS: Final = 30
FAILED: Final = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n"
IMPATIENT: Final = {"CCS_SITES__ATTEMPTS": "2", "CCS_SITES__RETRY_SECONDS": "0.02"}


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Group]:
    """East and west, who do not know each other yet."""
    settings = {"east": IMPATIENT}
    folder = tmp_path_factory.mktemp("pair")
    with sites(folder, ["east", "west"], settings, joined=False) as group:
        yield group


@pytest.fixture(scope="module")
def east(pair: Group) -> Server:
    """A server that knows the west."""
    told(pair[0].server, "site", "add", pair[1].link.url)
    return pair[0].server


def line_of(table: str, name: str) -> str:
    """The line of a table that begins with the name."""
    return next(line for line in table.splitlines() if line.lstrip("│ ").startswith(name))


def synced(server: Server, site: str) -> bool:
    """Whether the site has been sent all that was there."""
    key = (server.data / "operator.key").read_text().strip()
    asked = urllib.request.Request(
        f"{server.admin}/v1/sites/{site}/sync", headers={"authorization": f"Bearer {key}"}
    )
    with urllib.request.urlopen(asked, timeout=10) as answer:
        return bool(json.load(answer)["state"] == "done")


def status_at(server: Server, key: str, path: str = "/v1/health") -> int:
    headers = {"authorization": f"Bearer {key}"}
    try:
        with urllib.request.urlopen(
            urllib.request.Request(server.admin + path, headers=headers), timeout=10
        ) as answer:
            return int(answer.status)
    except HTTPError as error:
        error.close()
        return error.code


def test_a_site_is_added_paused_resumed_and_drained(pair: Group, east: Server) -> None:
    listed = told(east, "site", "list")
    paused = told(east, "site", "pause", "west")
    later = told(east, "site", "resume", "west", "--at", "2031-01-31T22:00+01:00")
    drained = told(east, "site", "drain", "west")
    shown = told(east, "site", "show", "west")
    resumed = told(east, "site", "resume", "west")

    assert "active" in line_of(listed, "east")
    assert pair[1].link.url in line_of(listed, "west")
    assert paused == "west is paused.\n"
    assert later == "west is paused until 2031-01-31T21:00:00Z.\n"
    assert drained == "west is drained.\n"
    assert "state = drained\n" in shown
    assert resumed == "west is active.\n"


def test_bandwidth_is_limited_by_the_time_of_the_day_and_the_limits_dropped(east: Server) -> None:
    day = ("--from", "08:00", "--to", "18:00")
    told(east, "site", "limit", "west", "--out", "50MB", "--in", "1.5GiB", *day)
    limited = told(east, "site", "limit", "west", "--out", "5MB", *day)
    plain = told(east, "site", "limit", "west", "--out", "0")
    shown = told(east, "site", "show", "west")
    cleared = told(east, "site", "limit", "west", "--clear")

    assert "1.6 GB/s" in line_of(limited, "in")
    for table in (limited, plain, shown):
        line = line_of(table, "out")
        assert [part in line for part in ("08:00", "18:00", "5.0 MB/s")] == [True] * 3
    assert "no limit" in plain
    assert cleared == told(east, "site", "limit", "west") == "west has no limits.\n"


def test_rules_are_put_listed_and_removed(east: Server) -> None:
    put = told(
        east, "site", "rule", "put", "r", "--bucket", "a-*", "--bucket", "b", "--prefix", "x/"
    )
    listed = told(east, "site", "rule", "list")
    off = told(east, "site", "rule", "put", "r", "--disabled", "--no-deletes")
    replaced = told(east, "site", "rule", "list")
    removed = told(east, "site", "rule", "remove", "r")

    assert (put, off, removed) == ("r is in force.\n", "r is not in force.\n", "r is removed.\n")
    assert [part in line_of(listed, "r ") for part in ("a-* b", "x/", "yes")] == [True] * 3
    assert "no" not in line_of(listed, "r ")
    assert [part in line_of(replaced, "r ") for part in ("a-*", "yes")] == [False, False]
    assert "r " not in told(east, "site", "rule", "list").splitlines()[-2]


def test_status_and_sync_tell_how_replication_stands(east: Server) -> None:
    answer = told(east, "site", "sync", "west")
    status = told(east, "site", "status")

    assert answer == "All is sent to west once more: 0 objects so far.\n"
    assert "active" in line_of(status, "west")
    assert "dead letters" in status


def test_dead_letters_are_listed_retried_and_dropped(pair: Group, east: Server) -> None:
    until(lambda: synced(east, "west"), "the end of the job that would send them again", SECONDS)
    link = pair[1].link
    link.fail(Fault(Act.ANSWER, answer=FAILED, method="PUT", path="/poison"))
    with s3_client(east) as s3:
        s3.create_bucket(Bucket="photos")
        for key in ("poison-1", "poison-2"):
            s3.put_object(Bucket="photos", Key=key, Body=b"x")

    def letters() -> str:
        return told(east, "site", "dead-letters", "list", "west")

    until(lambda: "poison-1" in letters() and "poison-2" in letters(), "dead letters", SECONDS)
    link.heal()
    dropped = told(
        east, "site", "dead-letters", "drop", "west", "--bucket", "photos", "--key", "poison-1"
    )
    retried = told(east, "site", "dead-letters", "retry", "west")

    assert (dropped, retried) == ("1 dropped.\n", "1 arrived.\n")
    assert "poison" not in letters()
    with s3_client(pair[1].server) as s3:
        assert s3.get_object(Bucket="photos", Key="poison-2")["Body"].read() == b"x"


def test_the_status_is_live_with_watch_and_outlives_the_gateway(start: Start) -> None:
    server = start(CCS_ADMIN__PORT=str(free_port()), CCS_SITES__SECRET="s" * 32)
    main, other = pty.openpty()
    command = ["site", "status", "--watch", "--every", "0.1", *at(server)]
    watching = subprocess.Popen(
        [*COMMAND, *command],
        cwd=ROOT,
        env=environment({"COLUMNS": "250", "TERM": "xterm"}),
        stdout=other,
        stderr=other,
        start_new_session=True,
    )
    os.close(other)
    try:
        read_until(main, "dead letters")
        server.kill()
        read_until(main, "no gateway answers")
        server.start()
        read_until(main, "dead letters")
        watching.send_signal(signal.SIGINT)
        assert watching.wait(SECONDS) == 0
    finally:
        with contextlib.suppress(ProcessLookupError):
            watching.kill()
        watching.wait()
        os.close(main)


def read_until(terminal: int, words: str) -> None:
    """Read what a terminal shows, up to these words."""
    seen = ""

    def shows() -> bool:
        nonlocal seen
        seen += os.read(terminal, 65536).decode(errors="replace")
        return words in seen

    until(shows, f"{words} on the terminal", SECONDS)


def test_a_removed_site_is_listed_as_such(pair: Group, east: Server) -> None:
    removed = told(east, "site", "remove", "west")
    again = ccs("site", "pause", "west", *at(east))

    assert removed == "west is removed.\n"
    assert "removed" in line_of(told(east, "site", "list"), "west")
    assert (again.code, again.errors.startswith("ccs: the site west was removed")) == (1, True)


def test_operators_come_and_go_beside_a_running_server(start: Start) -> None:
    server = start(workers=2)
    data = ("--data", str(server.data))
    key = ccs("operator", "create", "ann", *data).out.strip()

    assert status_at(server, key) == 200
    assert "ann" in ccs("operator", "list", *data).out
    assert key not in ccs("operator", "list", *data).out
    assert ccs("operator", "create", "ann", *data).code == 1
    assert ccs("operator", "remove", "ann", *data).code == 0
    until(lambda: {status_at(server, key) for _ in range(8)} == {401}, "401 of all", SECONDS)
    assert ccs("operator", "remove", "ann", *data).errors == "ccs: there is no operator ann\n"


def test_keys_of_operators_and_of_applications_are_good_at_their_own_listener_only(
    http: Server,
) -> None:
    key = (http.data / "operator.key").read_text().strip()

    assert status_at(http, key) == 200
    assert {status_at(http, one) for one in (FIRST.access, FIRST.secret)} == {401}
    with s3_client(http, Key(key, key)) as s3, refused("InvalidAccessKeyId", 403):
        s3.list_buckets()
    for url in (http.url, http.operations):
        assert status_at(Server(http.data, admin=url), key) in {400, 403, 404}


def test_the_api_can_be_turned_off(start: Start) -> None:
    server = start(CCS_ADMIN__ENABLED="false")

    assert server.admin == ""
    assert not (server.data / "operator.key").exists()


def test_a_key_may_come_from_the_environment_at_the_server_and_at_the_command(
    start: Start, tmp_path: Path
) -> None:
    key = "ccs_op_" + "k" * 40
    server = start(CCS_OPERATOR_KEY=key, CCS_SITES__SECRET="s" * 32)

    listed = ccs("site", "list", CCS_SERVER=server.admin, CCS_OPERATOR_KEY=key)

    assert (listed.code, listed.errors) == (0, "")


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (("show", "nowhere"), 1, "there is no site nowhere"),
        (("show", "a?b#c"), 1, "there is no site a?b#c"),
        (("add", "http://127.0.0.1:9"), 1, "127.0.0.1:9"),
        (("add", "127.0.0.1:9"), 1, "/endpoint"),
        (("resume", "west", "--at", "noon"), 2, "noon is no time"),
        (("list", "--server", "ftp://127.0.0.1"), 2, "ftp://127.0.0.1 is no URL"),
        (("list", "--server", "http://127.0.0.1:x"), 2, "is no URL"),
        (("list", "--server", "http://127.0.0.1:9"), 1, "no gateway answers at http://127.0.0.1:9"),
        (("list", "--operator-key", "ccs_op_wrong"), 1, "does not know this operator's key"),
        (("list", "--data", "/nowhere"), 2, "no operator's key"),
        (("rule", "remove", "none"), 1, "there is no rule none"),
        (("frobnicate",), 2, "frobnicate"),
    ],
)
def test_what_goes_wrong_is_told_in_a_sentence(
    pair: Group, arguments: tuple[str, ...], code: int, sentence: str
) -> None:
    server = pair[0].server
    options = {"--server": server.admin, "--data": str(server.data)}
    rest = [part for option in options.items() if option[0] not in arguments for part in option]

    ended = ccs("site", *arguments, *rest)

    assert (ended.code, ended.out) == (code, "")
    assert sentence in ended.errors
    assert "Traceback" not in ended.errors


def test_an_answer_of_another_server_is_told_as_such(http: Server) -> None:
    ended = ccs("site", "list", "--server", http.operations, "--operator-key", "ccs_op_any")

    assert ended.code == 1
    assert "is no gateway's operators' API" in ended.errors
