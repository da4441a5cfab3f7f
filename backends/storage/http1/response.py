"""An answer as its reader sees it."""

from collections.abc import Callable, Mapping
from types import TracebackType

from backends.storage.http1.answer import Answer
from backends.storage.http1.connection import Connection


class Response:
    """`headers` have lower-case names. Close it, or read it to its end; a block of `with` does.

    What is forgotten before its end is given up.
    """

    def __init__(
        self, answer: Answer, connection: Connection, release: Callable[[Connection], None]
    ) -> None:
        self.status = answer.status
        self.headers: Mapping[str, str] = answer.headers
        self._answer = answer
        self._connection: Connection | None = connection
        self._release = release
        self._settle()

    @property
    def length(self) -> int | None:
        """How long the body will be; None where its end will tell."""
        told = self.headers.get("content-length")
        return None if told is None else int(told)

    @property
    def ended(self) -> bool:
        """Whether all of the body has come and was taken."""
        return self._answer.ended and not self._answer.buffered

    async def block(self) -> bytes:
        """The bytes that have come since; nothing at the end. Broken, Silent."""
        if self._connection is None:
            return self._answer.take()
        try:
            data = await self._connection.block(self._answer)
        except BaseException:
            self.close()
            raise
        self._settle()
        return data

    async def read(self) -> bytes:
        """All that is left of the body. Broken, Silent."""
        first = await self.block()
        if self.ended:
            return first
        blocks = [first]
        while block := await self.block():
            blocks.append(block)
        return b"".join(blocks)

    def close(self) -> None:
        """Let go of the connection; it is given up where the answer has not ended."""
        if self._connection and not self._answer.ended:
            self._connection.abort()
        self._let_go()

    async def __aenter__(self) -> "Response":
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __del__(self) -> None:
        if self._connection:
            self._connection.give_up_later(self._release)

    def _settle(self) -> None:
        """An answer that has ended needs no connection."""
        if self._answer.ended:
            self._let_go()

    def _let_go(self) -> None:
        connection, self._connection = self._connection, None
        if connection:
            self._release(connection)
