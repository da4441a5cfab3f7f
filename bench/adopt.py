"""`python -m bench.adopt`: how fast a bucket that is there already becomes ours.

It starts one versitygw over files, fills a bucket as another program would, and adopts that into an
empty state, then scrubs it. The listing by itself is measured beside that: nothing can be quicker.
"""

import asyncio
import resource
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from backends.clock import milliseconds
from backends.state.completing import Completing
from backends.state.sqlite import SQLiteState
from backends.storage.s3 import S3Options, S3Store
from bench import servers
from bench.servers import KEY, Command, running
from bench.target import Target
from bench.works import Seed, Stage
from reconcile.jobs.work import START, Job, Work
from reconcile.storages.adopt import Adopt
from reconcile.storages.scrub import Scrub
from replication.documents import OWN, Documents
from s3proxy.s3.proofs import WholeProof

TEMPORARY: Final = Path(tempfile.gettempdir())


def main(
    versitygw: Annotated[Path, typer.Option(help="The program versitygw.", exists=True)],
    objects: Annotated[int, typer.Option(help="How many there are.")] = 20_000,
    rounds: int = 3,
    folder: Annotated[
        Path, typer.Option(help="Where the server keeps its files for the time being.")
    ] = TEMPORARY,
) -> None:
    """Measure adoption over an S3 server on this machine."""
    with ExitStack() as held:
        home = Path(held.enter_context(tempfile.TemporaryDirectory(dir=folder)))
        storage = servers.posix(versitygw, home / "storage")
        held.enter_context(running(storage, home / "storage.log"))
        stage, seed = Stage(Target.at(storage.url, KEY, "storage")), Seed("adopted", objects, 16)
        stage.prepare(seed)
        for number in range(rounds):
            path = home / f"state-{number}.db"
            asyncio.run(measured(storage, path, stage.bucket(seed), objects))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        print(f"peak of this process: {peak} MiB")


async def measured(storage: Command, path: Path, bucket: str, objects: int) -> None:
    """One listing, one adoption into a new state, and a second one, which finds nothing new."""
    options = S3Options(
        storage.url, region=KEY.region, access_key=KEY.access_key, secret_key=KEY.secret_key
    )
    store, state = S3Store(options), SQLiteState.open(path, site="bench")
    try:
        began = time.perf_counter()
        assert sum([1 async for _ in store.listing(bucket)]) == objects
        tell("listing", objects, time.perf_counter() - began)
        await Documents(state, OWN).prepare()
        for what in ("first run", "second run"):
            completing = Completing(state, store)
            work = Adopt(completing, store, {"": store}, owner="bench", known_seconds=0)
            await measured_job(work, what, {"bucket": bucket}, objects)
        scrub = Scrub(state, store, {"": store}, None, WholeProof)
        await measured_job(scrub, "scrub", {"buckets": [bucket]}, objects)
    finally:
        await store.close()
        await state.close()


async def measured_job(work: Work, what: str, order: dict[str, Any], objects: int) -> None:
    job = Job("bench", work.kind, milliseconds(), order)
    done: dict[str, int] = {}
    began, cpu = time.perf_counter(), time.process_time()
    async for step in work.run(job, START):
        done[step.phase] = done.get(step.phase, 0) + step.done
        if step.done and done[step.phase] == objects:
            took, used = time.perf_counter() - began, time.process_time() - cpu
            tell(f"{what}, {step.phase}", objects, took, used)
            began, cpu = time.perf_counter(), time.process_time()


def tell(what: str, objects: int, took: float, cpu: float = 0) -> None:
    used = f", {1e6 * cpu / objects:.0f} us of CPU each" if cpu else ""
    print(f"{what:28} {objects / took:10,.0f} objects/s{used}")


if __name__ == "__main__":
    typer.run(main)
