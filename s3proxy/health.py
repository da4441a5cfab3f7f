"""The operators' port: metrics and health, for those who run the gateway."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from backends.errors import BackendError

Check = Callable[[], Awaitable[None]]
SHOWN = 1000
PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"


def operations(
    checks: Mapping[str, Check],
    metrics: Callable[[], bytes],
    buffers: Callable[[int], Mapping[str, Any]],
    details: Callable[[], Mapping[str, Any]] = dict,
) -> Starlette:
    """An application with /metrics, /health/live, /health/ready and /buffer.

    Ready means that every check returns; 503 names those that do not, and why. `details` are
    told beside that and decide nothing. `buffers` tells what waits for each storage, up to so many
    entries.
    """

    async def live(_: Request) -> Response:
        return PlainTextResponse("live\n")

    async def ready(_: Request) -> Response:
        faults = {name: fault for name, check in checks.items() if (fault := await failed(check))}
        if faults:
            told = {"ready": False, "faults": faults, **details()}
            return JSONResponse(told, status_code=503)
        return JSONResponse({"ready": True, **details()})

    async def prometheus(_: Request) -> Response:
        return Response(metrics(), media_type=PROMETHEUS)

    async def waiting(request: Request) -> Response:
        limit = request.query_params.get("limit", str(SHOWN))
        if not limit.isdecimal():
            return PlainTextResponse("limit is not a number\n", status_code=400)
        return JSONResponse(buffers(int(limit)))

    return Starlette(
        routes=[
            Route("/health/live", live),
            Route("/health/ready", ready),
            Route("/metrics", prometheus),
            Route("/buffer", waiting),
        ]
    )


async def failed(check: Check) -> str:
    """Why the check fails, or ""."""
    try:
        await check()
    except BackendError as error:
        return str(error)
    return ""
