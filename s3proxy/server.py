"""Listeners and processes: one worker in this process, or several under a supervisor.

A worker serves two ports in one event loop, S3's and the operators', on sockets that were bound
before it started. SIGTERM and SIGINT stop it gently: it accepts no more, lets requests under way
end, then leaves.
"""

import asyncio
import contextlib
import multiprocessing
import resource
import signal
import socket
import ssl
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Final, Protocol

import structlog
import uvicorn
import uvloop

from s3proxy.config import ConfigError, Settings
from s3proxy.protocol import protocol

BACKLOG: Final = 2048
STOPPING: Final = (signal.SIGTERM, signal.SIGINT)
RESTART_SECONDS: Final = 1.0
VERSIONS: Final = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
SPAWN: Final = multiprocessing.get_context("spawn")

log: Final = structlog.get_logger("server")
Application = Callable[[Any, Any, Any], Awaitable[None]]


class Gateway(Protocol):
    """What a worker serves on its two ports."""

    @property
    def s3(self) -> Application: ...

    @property
    def operations(self) -> Application: ...


Factory = Callable[[Settings], AbstractAsyncContextManager[Gateway]]


@dataclass(frozen=True, slots=True)
class Listeners:
    """Bound sockets of the two ports."""

    s3: socket.socket
    operations: socket.socket


class Stoppable(uvicorn.Server):
    """A uvicorn server that leaves the process's signals alone."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def listen(settings: Settings) -> Listeners:
    """Bind both ports. ConfigError says which address cannot be had."""
    server = settings.server
    return Listeners(
        bind(server.host, server.port), bind(server.operations_host, server.operations_port)
    )


def bind(host: str, port: int) -> socket.socket:
    """A listening socket: early clients wait. ConfigError where the address cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
        bound.listen(BACKLOG)
    except OSError as error:
        bound.close()
        raise ConfigError(f"cannot listen on {host}:{port}: {error.strerror}") from error
    bound.set_inheritable(True)
    return bound


def tls_context(settings: Settings) -> ssl.SSLContext | None:
    """The context of the S3 listener, or None. ConfigError where the files do not serve."""
    tls = settings.tls
    if tls.certificate is None or tls.key is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = VERSIONS[tls.minimum_version]
    try:
        context.load_cert_chain(tls.certificate, tls.key)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"tls: {tls.certificate} with {tls.key}: {error}") from error
    return context


def serve(settings: Settings, factory: Factory, listeners: Listeners) -> None:
    """Serve until told to stop; with several workers, restart those that die."""
    raise_file_limit()
    if settings.server.workers == 1:
        uvloop.run(work(settings, factory, listeners, asyncio.Event()))
    else:
        Supervisor(settings, factory, listeners).run()


async def work(
    settings: Settings, factory: Factory, listeners: Listeners, orphaned: asyncio.Event
) -> None:
    """Serve both ports until a signal comes, or the supervisor is gone."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in STOPPING:
        loop.add_signal_handler(number, stop.set)
    async with factory(settings) as gateway:
        servers = [
            Stoppable(_s3_config(settings, gateway.s3)),
            Stoppable(_operations_config(settings, gateway.operations)),
        ]
        sockets = [listeners.s3, listeners.operations]
        async with asyncio.TaskGroup() as group:
            serving = [
                group.create_task(server.serve(sockets=[bound]))
                for server, bound in zip(servers, sockets, strict=True)
            ]
            watching = group.create_task(_until_any(stop, orphaned))
            await asyncio.wait([*serving, watching], return_when=asyncio.FIRST_COMPLETED)
            for server in servers:
                server.should_exit = True
            await asyncio.wait(serving)
            watching.cancel()


def raise_file_limit() -> None:
    """Open as many files as the system lets this user."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


class Supervisor:
    """Starts the workers, restarts those that die, and stops them all when it is told to.

    A signal only wakes the loop below, which does everything: so nothing it does is interrupted.
    """

    def __init__(self, settings: Settings, factory: Factory, listeners: Listeners) -> None:
        self._settings = settings
        self._factory = factory
        self._listeners = listeners
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
            args=(
                self._settings,
                self._factory,
                self._listeners.s3,
                self._listeners.operations,
                self._alive,
            ),
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
        self._listeners.s3.close()
        self._listeners.operations.close()
        for worker in self._workers:
            worker.terminate()
        for worker in self._workers:
            worker.join()


def work_in_process(
    settings: Settings,
    factory: Factory,
    s3: socket.socket,
    operations: socket.socket,
    alive: Connection,
) -> None:
    """The main function of a worker process. It leaves when its supervisor has died."""
    raise_file_limit()

    async def main() -> None:
        orphaned = asyncio.Event()
        watch_supervisor(alive, asyncio.get_running_loop(), orphaned)
        await work(settings, factory, Listeners(s3, operations), orphaned)

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


def _s3_config(settings: Settings, application: Application) -> uvicorn.Config:
    server = settings.server
    config = uvicorn.Config(
        application,
        http=protocol(server.max_header_bytes, server.header_seconds),
        timeout_keep_alive=server.idle_seconds,
        **_common(settings),
    )
    config.load()
    config.ssl = tls_context(settings)
    return config


def _operations_config(settings: Settings, application: Application) -> uvicorn.Config:
    return uvicorn.Config(application, **_common(settings))


def _common(settings: Settings) -> dict[str, Any]:
    return {
        "lifespan": "off",
        "ws": "none",
        "log_config": None,
        "access_log": False,
        "server_header": False,
        "proxy_headers": False,
        "backlog": BACKLOG,
        "timeout_graceful_shutdown": settings.server.drain_seconds,
    }


def addresses(listeners: Sequence[socket.socket]) -> list[tuple[str, int]]:
    """Where the sockets are bound: host and port."""
    return [bound.getsockname()[:2] for bound in listeners]
