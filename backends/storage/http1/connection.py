"""A connection to a server: a request out, its answer in, with back pressure both ways."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from backends.storage.http1.answer import Answer
from backends.storage.http1.errors import Broken, Silent
from backends.storage.http1.request import Stream

TOGETHER: Final = 64 * 1024  # a body that leaves with its head
PIECE: Final = 256 * 1024
MOST_BUFFERED: Final = 512 * 1024
SUCCESS: Final = 300


class Connection(asyncio.Protocol):
    """One exchange at a time. `kept` says that there was one before.

    No wait for the server is longer than `read_seconds`.
    """

    def __init__(self, read_seconds: float) -> None:
        self.kept = False
        self.lost = False
        self.idle_since = 0.0
        self._loop = asyncio.get_running_loop()
        self._read_seconds = read_seconds
        self._transport: asyncio.Transport | None = None
        self._answer: Answer | None = None
        self._error: Exception | None = None
        self._full = False
        self._held_back = False
        self._sent = False
        self._waiting: asyncio.Future[None] | None = None

    @property
    def reusable(self) -> bool:
        """Whether another exchange may follow."""
        answer = self._answer
        return not self.lost and self._sent and (answer is None or answer.reusable)

    @property
    def unanswered(self) -> bool:
        """Whether nothing has come of an answer."""
        return self._answer is None or not self._answer.begun

    async def exchange(self, head: bytes, body: bytes | Stream, *, head_only: bool) -> Answer:
        """Send a request; its answer as soon as it has a head. Broken, Silent.

        What the source of the body raises, passes. After any error the connection is gone.
        """
        answer = self._answer = Answer(head_only=head_only)
        self._sent = False
        try:
            if isinstance(body, bytes) and len(body) <= TOGETHER:
                self._write(head + body)
                self._sent = True
            else:
                self._write(head)
                await (self._stream(body) if isinstance(body, Stream) else self._pieces(body))
            while not answer.headed:
                await self._more()
            self._require_sent(answer, body)
        except BaseException:
            self.abort()
            raise
        return answer

    async def block(self, answer: Answer) -> bytes:
        """More of the body; nothing where it has ended. Broken, Silent."""
        while not answer.buffered and not answer.ended:
            self._resume()
            await self._more()
        data = answer.take()
        if not answer.ended:
            self._resume()
        return data

    def leave(self) -> None:
        """Forget the exchange, which is over."""
        self._answer, self.kept = None, True
        self.idle_since = self._loop.time()
        self._resume()

    def abort(self) -> None:
        """Give the connection up at once, whatever is still to be sent."""
        self.lost = True
        if self._transport:
            self._transport.abort()

    def give_up_later(self, then: Callable[["Connection"], None]) -> None:
        """Abort from wherever this is called, also from another thread, `then` go on."""

        def give_up() -> None:
            self.abort()
            then(self)

        with suppress(RuntimeError):  # the loop is over, and its connections with it
            self._loop.call_soon_threadsafe(give_up)

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        answer = self._answer
        if answer is None:  # nobody asked
            self.abort()
            return
        try:
            answer.feed(data)
        except Broken as error:
            self._fail(error)
        if answer.buffered > MOST_BUFFERED and self._transport and not self._held_back:
            self._held_back = True
            self._transport.pause_reading()
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True
        try:
            if self._answer:
                self._answer.closed()
        except Broken as error:
            self._fail(Broken(str(exc)) if exc else error)
        self._wake()

    def pause_writing(self) -> None:
        self._full = True

    def resume_writing(self) -> None:
        self._full = False
        self._wake()

    async def _stream(self, body: Stream) -> None:
        """Send the blocks, unless an answer comes first. Broken where they are too few."""
        left = body.length
        async for block in body.blocks:
            left -= len(block)
            self._write(block)
            if await self._is_answered():
                return
        if left:
            raise Broken(f"the body has {body.length - left} bytes, not {body.length}")
        self._sent = True

    async def _pieces(self, body: bytes) -> None:
        view = memoryview(body)
        for at in range(0, len(view), PIECE):
            self._write(view[at : at + PIECE])
            if await self._is_answered():
                return
        self._sent = True

    async def _is_answered(self) -> bool:
        """Wait until there is room to send more; whether the server wants no more."""
        answer = self._answer
        while self._full and not self._error and not (answer and answer.headed):
            await self._changed(None)
        if self._error:
            raise self._error
        return bool(answer and answer.headed)

    def _require_sent(self, answer: Answer, body: bytes | Stream) -> None:
        """Broken where success is told of a body that did not go out whole.

        Who refuses a stream may not have read it: nothing is sent after it.
        """
        waiting = self._transport.get_write_buffer_size() if self._transport else 0
        if answer.status >= SUCCESS:
            self._sent = self._sent and not waiting and isinstance(body, bytes)
        elif waiting or not self._sent:
            raise Broken("the server answered before it had the body")

    async def _more(self) -> None:
        """Wait until something has come. Silent where it takes too long."""
        if self._error:
            raise self._error
        await self._changed(self._read_seconds)
        if self._error:
            raise self._error

    async def _changed(self, seconds: float | None) -> None:
        waiting = self._waiting = self._loop.create_future()
        timer = self._loop.call_later(seconds, self._silent) if seconds is not None else None
        try:
            await waiting
        finally:
            self._waiting = None
            if timer:
                timer.cancel()

    def _write(self, data: bytes | memoryview) -> None:
        if self._error or self._transport is None or self.lost:
            raise self._error or Broken("the connection is lost")
        self._transport.write(data)

    def _resume(self) -> None:
        if self._held_back and self._transport and not self.lost:
            self._held_back = False
            self._transport.resume_reading()

    def _silent(self) -> None:
        self._fail(Silent("no answer in time"))
        self._wake()

    def _fail(self, error: Exception) -> None:
        self._error = self._error or error
        self.abort()

    def _wake(self) -> None:
        if self._waiting and not self._waiting.done():
            self._waiting.set_result(None)
