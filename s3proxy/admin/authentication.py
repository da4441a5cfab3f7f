"""Who may ask: operators, by a bearer token (RFC 6750), before anything of a request is read."""

from typing import Final

import structlog
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backends.errors import BackendError
from s3proxy.admin import problems
from s3proxy.admin.operators import Operators

SCHEME: Final = "bearer"
READS: Final = frozenset({"GET", "HEAD", "OPTIONS"})

log: Final = structlog.get_logger("admin")


class Authenticated:
    """Lets operators in; everyone else gets 401, but at the `free` paths. Changes are logged."""

    def __init__(self, app: ASGIApp, operators: Operators, free: frozenset[str]) -> None:
        self._app = app
        self._operators = operators
        self._free = free

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] in self._free:
            await self._app(scope, receive, send)
            return
        try:
            operator = await self._operators.owner_of(token_of(Headers(scope=scope)))
        except BackendError as error:
            await problems.of(error)(scope, receive, send)
            return
        if operator is None:
            await problems.unauthorized()(scope, receive, send)
        elif scope["method"] in READS:
            await self._app(scope, receive, send)
        else:
            await self._app(scope, receive, logged(scope, send, operator.name))


def token_of(headers: Headers) -> str:
    """The token that the request bears; "" without one."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == SCHEME else ""


def logged(scope: Scope, send: Send, operator: str) -> Send:
    """As `send`; says who changed what, and how that ended."""

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            log.info(
                "an operator's change",
                operator=operator,
                method=scope["method"],
                path=scope["path"],
                status=int(message["status"]),
            )
        await send(message)

    return sending
