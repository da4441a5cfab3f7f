"""`python -m bench.proxies`: our gateway over S3 against versitygw's proxy, over the same server.

It starts one versitygw over files, and before it our gateway without state, our gateway with
state, and versitygw in its S3 mode. All of them, and the server behind them by itself, take turns.
"""

import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Final

import typer

from bench import servers
from bench.__main__ import chosen, command_line, tell, write
from bench.measure import Plan, Subject, measured
from bench.process import listening_on
from bench.report import ByTarget
from bench.servers import KEY, Command, running
from bench.target import Target
from bench.works import Stage

WORKS: Final = ["HEAD", "GET 4", "PUT 4", "GET 64", "PUT 64 MiB"]
PROXY: Final = "versitygw s3"
STRAIGHT: Final = "straight"
TEMPORARY: Final = Path(tempfile.gettempdir())


def main(
    versitygw: Annotated[Path, typer.Option(help="The program versitygw.", exists=True)],
    folder: Annotated[
        Path, typer.Option(help="Where the servers keep their files for the time being.")
    ] = TEMPORARY,
    workers: Annotated[int, typer.Option(help="Processes of our gateway.")] = 1,
    only: Annotated[
        list[str] | None, typer.Option(help="Start of the name of a work; repeatable.")
    ] = None,
    concurrency: Annotated[list[int] | None, typer.Option(help="Connections; repeatable.")] = None,
    rounds: int = 5,
    seconds: Annotated[float, typer.Option(help="Length of each run.")] = 2.0,
    output: Annotated[Path, typer.Option(help="Folder for result.json and result.md.")] = Path(),
) -> None:
    """Measure what a gateway over an S3 server costs, ours and versitygw's."""
    plan = Plan(chosen(only or WORKS), rounds, seconds, concurrency)
    with ExitStack() as held:
        home = Path(held.enter_context(tempfile.TemporaryDirectory(dir=folder)))
        subjects = [
            subject(name, command, behind)
            for name, (command, behind) in started(held, home, versitygw, workers).items()
        ]
        for one in subjects:
            held.callback(one.stage.clear)
        runs = measured(plan, subjects, tell)
        peaks = {one.name: one.server.peak_bytes() for one in subjects if one.server is not None}
        names = [one.name for one in subjects]
        command = command_line("bench.proxies")
        write(ByTarget(command, names, runs, peaks, (PROXY, STRAIGHT)), output)


def started(
    held: ExitStack, home: Path, program: Path, workers: int
) -> dict[str, tuple[Command, Command | None]]:
    """The endpoints by name, answering, each with the server behind it."""
    storage = servers.posix(program, home / "storage")
    before = {
        "ccs": servers.ccs(home / "ccs", storage, state="none", workers=workers),
        "ccs, state": servers.ccs(home / "state", storage, state="sqlite", workers=workers),
        PROXY: servers.proxy(program, home / "proxy", storage),
    }
    held.enter_context(running(storage, home / "storage.log"))
    for number, command in enumerate(before.values()):
        held.enter_context(running(command, home / f"{number}.log"))
    return {name: (command, storage) for name, command in before.items()} | {
        STRAIGHT: (storage, None)
    }


def subject(name: str, command: Command, behind: Command | None) -> Subject:
    target = Target.at(command.url, KEY, name)
    storage = listening_on(behind.port) if behind else None
    return Subject(Stage(target), listening_on(command.port), storage)


if __name__ == "__main__":
    typer.run(main)
