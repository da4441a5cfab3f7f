"""The operators' port: metrics and health, for those who run the gateway."""

from collections.abc import Awaitable, Callable, Mapping

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from backends.errors import BackendError

Check = Callable[[], Awaitable[None]]
PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"


def operations(checks: Mapping[str, Check], metrics: Callable[[], bytes]) -> Starlette:
    """An application with /metrics, /health/live and /health/ready.

    Ready means that every check returns; 503 names those that do not, and why.
    """

    async def live(_: Request) -> Response:
        return PlainTextResponse("live\n")

    async def ready(_: Request) -> Response:
        faults = {name: fault for name, check in checks.items() if (fault := await failed(check))}
        if faults:
            return JSONResponse({"ready": False, "faults": faults}, status_code=503)
        return JSONResponse({"ready": True})

    async def prometheus(_: Request) -> Response:
        return Response(metrics(), media_type=PROMETHEUS)

    return Starlette(
        routes=[
            Route("/health/live", live),
            Route("/health/ready", ready),
            Route("/metrics", prometheus),
        ]
    )


async def failed(check: Check) -> str:
    """Why the check fails, or ""."""
    try:
        await check()
    except BackendError as error:
        return str(error)
    return ""
