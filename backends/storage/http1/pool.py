"""Connections that are kept for the next request."""

import asyncio
import socket
import ssl
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final, NamedTuple

import aiohappyeyeballs

from backends.storage.http1.connection import Connection
from backends.storage.http1.errors import Broken, Silent
from backends.storage.http1.request import Request, Stream, head_of
from backends.storage.http1.response import Response

SECOND_ADDRESS_SECONDS: Final = 0.25


class Origin(NamedTuple):
    """Where a server is."""

    host: str
    port: int
    tls: bool


@dataclass(frozen=True, slots=True)
class Terms:
    """`connections` at a time; a new one takes up to `connect_seconds`, with names and TLS.

    No wait for an answer, or for more of it, is longer than `read_seconds`. Those in no use are
    closed after `kept_seconds`. `opened` makes their sockets.
    """

    connections: int
    connect_seconds: float
    read_seconds: float
    kept_seconds: float
    trust: ssl.SSLContext
    opened: Callable[[aiohappyeyeballs.AddrInfoType], socket.socket]


class Pool:
    """Sends requests, each over a connection of its own for as long as it takes."""

    def __init__(self, terms: Terms) -> None:
        self._terms = terms
        self._slots = asyncio.Semaphore(terms.connections)
        self._idle: dict[Origin, deque[Connection]] = {}
        self._open: set[Connection] = set()
        self._cleaning: asyncio.TimerHandle | None = None

    async def send(self, origin: Origin, request: Request) -> Response:
        """The answer, as soon as it has a head. Broken, Silent; ValueError for a wrong header.

        What the source of the body raises, passes.
        """
        head = head_of(request)
        await self._slots.acquire()
        try:
            connection = self._kept(origin) or await self._connected(origin)
            try:
                return await self._exchanged(origin, connection, head, request)
            except Broken as error:
                if not _is_stale(connection, request, error):
                    raise
            return await self._exchanged(origin, await self._connected(origin), head, request)
        except BaseException:
            self._slots.release()
            raise

    def close(self) -> None:
        """Give all connections up."""
        if self._cleaning:
            self._cleaning.cancel()
        for connection in self._open:
            connection.abort()
        self._open.clear()
        self._idle.clear()

    async def _exchanged(
        self, origin: Origin, connection: Connection, head: bytes, request: Request
    ) -> Response:
        try:
            answer = await connection.exchange(
                head, request.body, head_only=request.method == "HEAD"
            )
        except BaseException:
            self._open.discard(connection)
            raise
        return Response(answer, connection, partial(self._release, origin))

    def _kept(self, origin: Origin) -> Connection | None:
        """The connection that was in use last, unless the server has closed it."""
        idle = self._idle.get(origin)
        while idle:
            connection = idle.pop()
            if not connection.lost:
                return connection
            self._open.discard(connection)
        return None

    async def _connected(self, origin: Origin) -> Connection:
        terms = self._terms
        try:
            async with asyncio.timeout(terms.connect_seconds):
                connection = await self._opened(origin)
        except TimeoutError as error:
            raise Silent("no connection in time") from error
        except OSError as error:
            raise Broken(str(error) or type(error).__name__) from error
        self._open.add(connection)
        return connection

    async def _opened(self, origin: Origin) -> Connection:
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(origin.host, origin.port, type=socket.SOCK_STREAM)
        opened = await aiohappyeyeballs.start_connection(
            found,
            happy_eyeballs_delay=SECOND_ADDRESS_SECONDS,
            interleave=1,
            socket_factory=self._terms.opened,
        )
        _, connection = await loop.create_connection(
            lambda: Connection(self._terms.read_seconds),
            sock=opened,
            ssl=self._terms.trust if origin.tls else None,
            server_hostname=origin.host if origin.tls else None,
        )
        return connection

    def _release(self, origin: Origin, connection: Connection) -> None:
        self._slots.release()
        if not connection.reusable:
            self._open.discard(connection)
            connection.abort()
            return
        connection.leave()
        self._idle.setdefault(origin, deque()).append(connection)
        if self._cleaning is None:
            self._clean_later()

    def _clean_later(self) -> None:
        loop = asyncio.get_running_loop()
        self._cleaning = loop.call_later(self._terms.kept_seconds, self._clean)

    def _clean(self) -> None:
        """Close what was in no use for too long."""
        oldest = asyncio.get_running_loop().time() - self._terms.kept_seconds
        for origin, idle in list(self._idle.items()):
            while idle and (idle[0].lost or idle[0].idle_since <= oldest):
                connection = idle.popleft()
                self._open.discard(connection)
                connection.abort()
            if not idle:
                del self._idle[origin]
        self._cleaning = None
        if self._idle:
            self._clean_later()


def _is_stale(connection: Connection, request: Request, error: Broken) -> bool:
    """Whether a kept connection was closed by the server before it saw the request."""
    if isinstance(error, Silent) or isinstance(request.body, Stream):
        return False
    return request.repeatable and connection.kept and connection.unanswered
