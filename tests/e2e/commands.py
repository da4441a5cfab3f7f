"""`ccs` as operators run it: a process that asks a gateway and ends."""

import subprocess
from dataclasses import dataclass
from typing import Final

from s3proxy.cli.remote import Remote
from tests.e2e.server import COMMAND, ROOT, Server, environment

SECONDS: Final = 60


@dataclass(frozen=True)
class Ended:
    """How a command ended, and what it told."""

    code: int
    out: str
    errors: str


def ccs(*arguments: str, **variables: str) -> Ended:
    """Run the command; wide enough for any table."""
    wide = {"COLUMNS": "250", **variables}
    done = subprocess.run(
        [*COMMAND, *arguments],
        cwd=ROOT,
        env=environment(wide),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    return Ended(done.returncode, done.stdout, done.stderr)


def at(server: Server) -> tuple[str, ...]:
    """The options that name a server, and the operator's key of its data folder."""
    return ("--server", server.admin, "--data", str(server.data))


def told(server: Server, *arguments: str) -> str:
    """What a command that must go well tells of the server."""
    ended = ccs(*arguments, *at(server))
    assert (ended.code, ended.errors) == (0, ""), ended
    return ended.out


def remote_of(server: Server) -> Remote:
    """The operators' API, asked without a process for each question."""
    return Remote(server.admin, (server.data / "operator.key").read_text().strip())
