"""The command line, as its own process."""

import os
import socket
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest


def ccs(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("CCS_")}
    return subprocess.run(
        [sys.executable, "-m", "s3proxy.cli", *arguments],
        env={**clean, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_keys_are_made_listed_disabled_and_enabled(tmp_path: Path) -> None:
    data = ("--data", str(tmp_path / "data"))

    made = ccs("key", "create", "--owner", "ann", *data)
    access_key, secret_key = (line.split(" = ")[1] for line in made.stdout.splitlines())
    own = ccs(
        "key",
        "create",
        "--owner",
        "bob",
        "--access-key",
        "b-key",
        "--secret-key",
        "12345678",
        *data,
    )
    disabled = ccs("key", "disable", access_key, *data)
    listed = ccs("key", "list", *data)
    enabled = ccs("key", "enable", access_key, *data)

    assert len(access_key) == 20
    assert len(secret_key) == 40
    assert [result.returncode for result in (made, own, disabled, listed, enabled)] == [0] * 5
    assert "b-key" in listed.stdout
    assert "no" in next(line for line in listed.stdout.splitlines() if access_key in line)
    assert secret_key not in listed.stdout + disabled.stdout
    assert "12345678" not in listed.stdout


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("key", "create", "--owner", "a", "--access-key", "abc"), "go together"),
        (("key", "create", "--owner", "a", "--access-key", "a/b", "--secret-key", "1" * 8), "a/b"),
        (("key", "create", "--owner", "a", "--access-key", "abc", "--secret-key", "1"), "at least"),
        (("key", "create", "--owner", " "), "owner"),
        (("serve", "--workers", "0"), "workers"),
        (("serve", "--config", "/does/not/exist.toml"), "No such file"),
        (("check", "--config", "/does/not/exist.toml"), "No such file"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(
    tmp_path: Path, arguments: tuple[str, ...], sentence: str
) -> None:
    result = ccs(*arguments, "--data", str(tmp_path))

    assert result.returncode == 2
    assert sentence in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


def test_a_key_that_is_there_is_not_replaced(tmp_path: Path) -> None:
    key = ("key", "create", "--owner", "a", "--access-key", "abc", "--secret-key", "1" * 8)
    data = ("--data", str(tmp_path))

    assert ccs(*key, *data).returncode == 0
    assert "exists already" in ccs(*key, *data).stderr


def test_an_unknown_key_is_a_failure(tmp_path: Path) -> None:
    result = ccs("key", "disable", "nobody", "--data", str(tmp_path))

    assert (result.returncode, result.stderr) == (1, "ccs: there is no access key nobody\n")


def test_a_port_in_use_is_said_in_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        result = ccs("serve", "--port", port, "--data", str(tmp_path))

    assert result.returncode == 2
    assert f"cannot listen on 127.0.0.1:{port}: Address already in use" in result.stderr


def test_a_data_folder_that_cannot_be_is_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    result = ccs("serve", "--port", "0", "--data", str(tmp_path / "file"))

    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    assert str(tmp_path / "file") in result.stderr


def test_a_newer_data_folder_is_refused(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "state.db") as connection:
        connection.execute("PRAGMA user_version = 9999")
    connection.close()

    result = ccs("key", "list", "--data", str(tmp_path))

    assert result.returncode == 1
    assert "run a newer ccs" in result.stderr


def test_check_reaches_what_the_configuration_names(tmp_path: Path) -> None:
    good = ccs(
        "check",
        "--data",
        str(tmp_path / "data"),
        CCS_SERVER__PORT="0",
        CCS_SERVER__OPERATIONS_PORT="0",
        CCS_ADMIN__PORT="0",
    )
    bad = ccs(
        "check",
        "--data",
        str(tmp_path / "data"),
        CCS_TLS__CERTIFICATE="/no/cert",
        CCS_TLS__KEY="/no/key",
        CCS_SERVER__PORT="0",
        CCS_SERVER__OPERATIONS_PORT="0",
        CCS_ADMIN__PORT="0",
    )

    assert good.returncode == 0
    assert (bad.returncode, "/no/cert" in bad.stderr) == (2, True)


def test_version_and_help() -> None:
    assert ccs("version").stdout.startswith("ccs ")
    assert "Serve S3 until" in ccs("serve", "--help").stdout
    assert ccs("frobnicate").returncode == 2


def test_secrets_are_for_their_owner_alone(tmp_path: Path) -> None:
    data = tmp_path / "data"
    ccs("key", "create", "--owner", "ann", "--data", str(data))

    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in [data, data / "state.db"]}

    assert modes == {"data": 0o700, "state.db": 0o600}
