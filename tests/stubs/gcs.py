"""A stub of Google Cloud Storage's JSON API: small, strict, and it can be upset.

It refuses what the service's documentation refuses, queries that it does not know too. Written
from the documentation of Cloud Storage's JSON API, version 1.
"""

import re
from dataclasses import dataclass, field
from urllib.parse import unquote

from aiohttp import web

from tests.stubs.gcs_bucket import Refusal
from tests.stubs.gcs_service import ROUTES, Asked, Request, Service


@dataclass
class Upset:
    """What goes wrong with the requests `METHOD target` that the pattern fits, `times` times.

    A `status` is answered instead; with `lost` the request is heeded and its answer is not sent;
    `keeps` says how many bytes of a chunk are kept, before the connection breaks if `lost`.
    """

    pattern: str
    status: int = 0
    body: bytes = b"try again later"
    lost: bool = False
    keeps: int | None = None
    times: int = 1


@dataclass
class Stub(Service):
    """The service behind HTTP. `tokens` are those it takes, or None where it takes anybody."""

    tokens: set[str] | None = None
    upsets: list[Upset] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Any request."""
        body = await request.read()
        call = f"{request.method} {request.raw_path}"
        self.calls.append(call)
        upset = next(
            (one for one in self.upsets if one.times and re.search(one.pattern, call)), None
        )
        if upset:
            upset.times -= 1
            if upset.status:
                return web.Response(status=upset.status, body=upset.body)
        answer = self._heeded(request, body, upset.keeps if upset else None)
        if upset and upset.lost and request.transport:
            request.transport.abort()
        return answer

    def count(self, pattern: str) -> int:
        """How many requests fit a pattern."""
        return sum(bool(re.search(pattern, call)) for call in self.calls)

    def _heeded(self, request: web.Request, body: bytes, keeps: int | None) -> web.Response:
        try:
            self._require_token(request)
            return self._routed(request, body, keeps)
        except Refusal as refusal:
            details = [{"reason": refusal.reason, "domain": "global"}]
            error = {"code": refusal.status, "message": refusal.message, "errors": details}
            return web.json_response({"error": error}, status=refusal.status)

    def _require_token(self, request: web.Request) -> None:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if self.tokens is not None and (scheme != "Bearer" or token not in self.tokens):
            raise Refusal(401, "authError", "Invalid Credentials")

    def _routed(self, request: web.Request, body: bytes, keeps: int | None) -> web.Response:
        path = request.raw_path.partition("?")[0]
        for method, pattern, known, verb in ROUTES:
            found = re.fullmatch(pattern, path)
            if found and method == request.method:
                query = _query_of(request, known)
                named = {name: unquote(text) for name, text in found.groupdict().items()}
                return verb(self, Request(request, query, named, body, keeps))
        raise Refusal(404, "notFound", f"no such method: {request.method} {path}")


def _query_of(request: web.Request, known: frozenset[str]) -> Asked:
    unknown = {*request.query} - known
    if unknown or len(request.query) != len({*request.query}):
        raise Refusal(400, "invalid", f"unknown or repeated parameters: {unknown}")
    return dict(request.query)
