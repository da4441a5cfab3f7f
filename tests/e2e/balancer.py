"""One address in front of several servers, as a load balancer is: dead ones are passed over."""

import asyncio
import contextlib
import threading
from collections.abc import Sequence
from urllib.parse import urlsplit

BLOCK = 256 * 1024
CONNECT_SECONDS = 1.0


class Balancer:
    """Sends each connection to the next server that takes it; in use while the block runs.

    `urls` may be set anew at any time: servers get other ports when they start again.
    """

    def __init__(self, urls: Sequence[str]) -> None:
        self.urls = list(urls)
        self._turn = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._server: asyncio.Server | None = None
        self._port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def trust(self) -> None:
        """There is no TLS here."""

    def __enter__(self) -> "Balancer":
        self._thread.start()
        listening = asyncio.start_server(self._serve, "127.0.0.1", 0)
        self._server = asyncio.run_coroutine_threadsafe(listening, self._loop).result()
        self._port = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _serve(self, client: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        try:
            upstream, forth = await self._connect()
        except ConnectionError:
            back.transport.abort()
            return
        await asyncio.gather(pipe(client, forth), pipe(upstream, back), return_exceptions=True)

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        for _ in range(len(self.urls)):
            self._turn += 1
            parts = urlsplit(self.urls[self._turn % len(self.urls)])
            with contextlib.suppress(OSError):
                async with asyncio.timeout(CONNECT_SECONDS):
                    return await asyncio.open_connection(parts.hostname, parts.port)
        raise ConnectionError("no server takes the connection")

    async def _end(self) -> None:
        if self._server:
            self._server.close()
        others = asyncio.all_tasks(self._loop) - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)


async def pipe(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    """Pass bytes on until either end is gone; then so is the other."""
    try:
        while block := await source.read(BLOCK):
            target.write(block)
            await target.drain()
    except OSError:
        target.transport.abort()
    finally:
        target.close()
