"""Listeners and processes: one worker in this process, or several under a supervisor.

A worker serves all listeners in one event loop, on sockets that were bound before it started.
SIGTERM and SIGINT stop it gently: it accepts no more, lets requests under way end, then leaves.
"""

import asyncio
import contextlib
import gc
import multiprocessing
import resource
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Final, Protocol

import structlog
import uvicorn
import uvloop

from s3proxy.config import Settings
from s3proxy.listeners import (
    BACKLOG,
    S3,
    SITE,
    Application,
    Listener,
    Sockets,
    close,
    listeners_of,
)
from s3proxy.protocol import protocol

STOPPING: Final = (signal.SIGTERM, signal.SIGINT)
RESTART_SECONDS: Final = 1.0
SPEAK_S3: Final = (S3, SITE)
YOUNG: Final = 10_000  # objects until a collection begins; Python's own is 700
SPAWN: Final = multiprocessing.get_context("spawn")

log: Final = structlog.get_logger("server")


class Gateway(Protocol):
    """What a worker serves."""

    @property
    def applications(self) -> Mapping[str, Application]:
        """By the name of its listener."""


Factory = Callable[[Settings], AbstractAsyncContextManager[Gateway]]


class Stoppable(uvicorn.Server):
    """A uvicorn server that leaves the process's signals alone."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def serve(settings: Settings, factory: Factory, sockets: Sockets) -> None:
    """Serve until told to stop; with several workers, restart those that die."""
    raise_file_limit()
    if settings.server.workers == 1:
        uvloop.run(work(settings, factory, sockets, asyncio.Event()))
    else:
        Supervisor(settings, factory, sockets).run()


async def work(
    settings: Settings, factory: Factory, sockets: Sockets, orphaned: asyncio.Event
) -> None:
    """Serve every listener until a signal comes, or the supervisor is gone.

    A socket that the gateway has no application for is closed.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in STOPPING:
        loop.add_signal_handler(number, stop.set)
    async with factory(settings) as gateway:
        spare_collector()
        servers = servers_of(settings, gateway.applications)
        close({name: bound for name, bound in sockets.items() if name not in servers})
        async with asyncio.TaskGroup() as group:
            serving = [
                group.create_task(server.serve(sockets=[sockets[name]]))
                for name, server in servers.items()
            ]
            watching = group.create_task(_until_any(stop, orphaned))
            await asyncio.wait([*serving, watching], return_when=asyncio.FIRST_COMPLETED)
            for server in servers.values():
                server.should_exit = True
            await asyncio.wait(serving)
            watching.cancel()


def servers_of(settings: Settings, applications: Mapping[str, Application]) -> dict[str, Stoppable]:
    """A server for each listener that has an application."""
    return {
        name: Stoppable(_config(settings, listener, applications[name]))
        for name, listener in listeners_of(settings).items()
        if name in applications
    }


def spare_collector() -> None:
    """Look for cycles less often, and never among what was there when the server started.

    Requests make next to none: reference counts free what they leave.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG)


def raise_file_limit() -> None:
    """Open as many files as the system lets this user."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


class Supervisor:
    """Starts the workers, restarts those that die, and stops them all when it is told to.

    A signal only wakes the loop below, which does everything: so nothing it does is interrupted.
    """

    def __init__(self, settings: Settings, factory: Factory, sockets: Sockets) -> None:
        self._settings = settings
        self._factory = factory
        self._sockets = sockets
        self._alive, self._lifeline = SPAWN.Pipe(duplex=False)
        self._stop, self._stopper = SPAWN.Pipe(duplex=False)
        self._workers: list[BaseProcess] = []

    def run(self) -> None:
        """Run until a signal comes and the last worker has left."""
        for number in STOPPING:
            signal.signal(number, lambda *_: self._stopper.send_bytes(b"stop"))
        for _ in range(self._settings.server.workers):
            self._start()
        while not self._stop.poll():
            wait([self._stop, *(worker.sentinel for worker in self._workers)])
            self._replace_dead()
        self._leave()

    def _start(self) -> None:
        worker = SPAWN.Process(
            target=work_in_process,
            args=(self._settings, self._factory, self._sockets, self._alive),
        )
        worker.start()
        self._workers.append(worker)

    def _replace_dead(self) -> None:
        """Start a worker for each that died, after a moment in which a signal may come."""
        for worker in [worker for worker in self._workers if not worker.is_alive()]:
            self._workers.remove(worker)
            if not self._stop.poll():
                log.error("worker died", process=worker.pid, exitcode=worker.exitcode)
            if not self._stop.poll(RESTART_SECONDS):
                self._start()

    def _leave(self) -> None:
        """Close the ports, so that no client waits for nobody, and let the workers finish."""
        close(self._sockets)
        for worker in self._workers:
            worker.terminate()
        for worker in self._workers:
            worker.join()


def work_in_process(
    settings: Settings, factory: Factory, sockets: Sockets, alive: Connection
) -> None:
    """The main function of a worker process. It leaves when its supervisor has died."""
    raise_file_limit()

    async def main() -> None:
        orphaned = asyncio.Event()
        watch_supervisor(alive, asyncio.get_running_loop(), orphaned)
        await work(settings, factory, sockets, orphaned)

    uvloop.run(main())


def watch_supervisor(
    alive: Connection, loop: asyncio.AbstractEventLoop, orphaned: asyncio.Event
) -> None:
    """Set the event when the other end of the pipe is gone."""

    def watch() -> None:
        wait([alive])
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(orphaned.set)

    threading.Thread(target=watch, name="supervisor watch", daemon=True).start()


async def _until_any(*events: asyncio.Event) -> None:
    waits = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for waiting in waits:
            waiting.cancel()


def _config(settings: Settings, listener: Listener, application: Application) -> uvicorn.Config:
    config = uvicorn.Config(
        application,
        lifespan="off",
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=BACKLOG,
        timeout_graceful_shutdown=settings.server.drain_seconds,
        **_protocol(settings, listener),
    )
    config.load()
    config.ssl = listener.context(settings.tls.minimum_version)
    return config


def _protocol(settings: Settings, listener: Listener) -> dict[str, Any]:
    """How HTTP is spoken: as S3's clients expect it, or with uvicorn's own limit on headers."""
    server = settings.server
    if listener.name not in SPEAK_S3:
        return {"http": "h11", "h11_max_incomplete_event_size": server.max_header_bytes}
    return {
        "http": protocol(server.max_header_bytes, server.header_seconds),
        "timeout_keep_alive": server.idle_seconds,
    }
