"""`python -m bench`: measure one S3 endpoint, or two in turns."""

import json
import os
import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from bench.measure import Plan, Run, Subject, measured
from bench.process import ProcessTree, listening_on
from bench.report import Report
from bench.signing import Credentials
from bench.target import Target
from bench.works import WORKS, Stage, Work

LOCAL = ("127.0.0.1", "::1", "localhost")


def main(
    endpoint: Annotated[str, typer.Option(help="URL of the endpoint.")],
    key: Annotated[str, typer.Option(envvar="BENCH_KEY", help="ACCESS:SECRET of the endpoint.")],
    against: Annotated[str, typer.Option(help="URL of a second endpoint, run in turns.")] = "",
    against_key: Annotated[str, typer.Option(envvar="BENCH_AGAINST_KEY")] = "",
    name: Annotated[str, typer.Option(help="What tables call the first endpoint.")] = "",
    against_name: str = "",
    pid: Annotated[int, typer.Option(help="Server process; else who listens on the port.")] = 0,
    against_pid: int = 0,
    region: str = "us-east-1",
    only: Annotated[
        list[str] | None, typer.Option(help="Start of the name of a work; repeatable.")
    ] = None,
    concurrency: Annotated[list[int] | None, typer.Option(help="Connections; repeatable.")] = None,
    rounds: int = 3,
    seconds: Annotated[float, typer.Option(help="Length of each run.")] = 2.0,
    client_cpu: Annotated[int, typer.Option(help="Pin the client to this CPU.")] = -1,
    server_cpu: Annotated[
        list[int] | None, typer.Option(help="Pin the servers; repeatable.")
    ] = None,
    output: Annotated[Path, typer.Option(help="Folder for result.json and result.md.")] = Path(),
) -> None:
    """Measure requests a second, latency, CPU per request and memory of an S3 endpoint."""
    subjects = [subject(endpoint, key, region, name, pid)]
    if against:
        subjects.append(subject(against, against_key or key, region, against_name, against_pid))
    pin(subjects, client_cpu, server_cpu)
    plan = Plan(chosen(only), rounds, seconds, concurrency)
    try:
        runs = measured(plan, subjects, tell)
        peaks = {one.name: one.server.peak_bytes() for one in subjects if one.server is not None}
        write(Report(command_line("bench"), [one.name for one in subjects], runs, peaks), output)
    finally:
        for one in subjects:
            one.stage.clear()


def subject(url: str, key: str, region: str, name: str, pid: int) -> Subject:
    """What to measure at a URL, with its server process where that is on this machine."""
    access_key, _, secret_key = key.partition(":")
    target = Target.at(url, Credentials(access_key, secret_key, region), name)
    server = ProcessTree((pid,)) if pid else None
    if server is None and target.host in LOCAL:
        server = listening_on(target.port)
    if server is not None:
        server.forget_peak()
    return Subject(Stage(target), server)


def pin(subjects: list[Subject], client_cpu: int, server_cpus: list[int] | None) -> None:
    if client_cpu >= 0:
        os.sched_setaffinity(0, [client_cpu])
    for one in subjects:
        if server_cpus and one.server is not None:
            one.server.pin(server_cpus)


def chosen(only: list[str] | None) -> list[Work]:
    """The works whose names start so, or all. BadParameter names those there are."""
    works = [work for work in WORKS if not only or work.name.startswith(tuple(only))]
    if not works:
        raise typer.BadParameter(f"works are: {', '.join(work.name for work in WORKS)}")
    return works


def tell(run: Run) -> None:
    print(
        f"{run.work:20} {run.concurrency:3} {run.target:16} {run.rate:10,.1f}/s "
        f"p50 {run.p50:.2f} ms, p99 {run.p99:.2f} ms, CPU {run.server_cpu} us"
        f"{f', {run.errors} errors: {run.first_error}' if run.errors else ''}",
        file=sys.stderr,
        flush=True,
    )


def write(report: Report, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "result.json").write_text(json.dumps(report.as_json(), indent=1) + "\n")
    (folder / "result.md").write_text(report.as_markdown() + "\n")
    print(report.as_markdown())


def command_line(module: str) -> str:
    """The command as it was given, without secrets."""
    words = list(sys.argv[1:])
    for position, word in enumerate(words):
        if word in ("--key", "--against-key"):
            words[position + 1] = "ACCESS:SECRET"
    return shlex.join(["python", "-m", module, *words])


if __name__ == "__main__":
    typer.run(main)
