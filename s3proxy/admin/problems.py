"""Errors as the operators' API tells them: problem details, RFC 9457."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from backends import errors as ground
from s3proxy.config import ConfigError

MEDIA_TYPE: Final = "application/problem+json"
NO_KIND: Final = "about:blank"
KIND: Final = "urn:ccs:problem:"
UNAUTHORIZED: Final = "this needs an operator's key: Authorization: Bearer ccs_op_..."

# The last part of a problem's type, and the status. An error is told as the first of its kinds.
KINDS: Final[Mapping[type[Exception], tuple[str, HTTPStatus]]] = {
    ground.NotFound: ("not-found", HTTPStatus.NOT_FOUND),
    ground.AlreadyExists: ("already-exists", HTTPStatus.CONFLICT),
    ground.NotEmpty: ("not-empty", HTTPStatus.CONFLICT),
    ground.Refused: ("refused", HTTPStatus.CONFLICT),
    ground.PreconditionFailed: ("precondition-failed", HTTPStatus.PRECONDITION_FAILED),
    ground.InvalidName: ("invalid", HTTPStatus.UNPROCESSABLE_ENTITY),
    ConfigError: ("invalid", HTTPStatus.UNPROCESSABLE_ENTITY),
    ground.NotSupported: ("not-supported", HTTPStatus.NOT_IMPLEMENTED),
    ground.AccessDenied: ("refused-behind", HTTPStatus.BAD_GATEWAY),
    ground.NoSpace: ("no-space", HTTPStatus.INSUFFICIENT_STORAGE),
    ground.Unavailable: ("unavailable", HTTPStatus.SERVICE_UNAVAILABLE),
    ground.BackendError: ("failed", HTTPStatus.INTERNAL_SERVER_ERROR),
}


class Fault(BaseModel):
    """What is wrong with one part of a request: a JSON pointer, or a parameter's name."""

    at: str
    detail: str


class Problem(BaseModel):
    """What went wrong (RFC 9457)."""

    type: str = Field(default=NO_KIND, description="Names the kind of problem; stable.")
    title: str
    status: int
    detail: str = Field(default="", description="What is wrong here, in a sentence.")
    errors: list[Fault] = Field(default=[], description="The faults of an invalid request.")


def handle_problems(application: FastAPI) -> None:
    """Tell every error of the application as a problem."""
    for kind in (ground.BackendError, ConfigError):
        application.add_exception_handler(kind, _on_error)
    application.add_exception_handler(HTTPException, _on_http)
    application.add_exception_handler(RequestValidationError, _on_invalid)
    application.add_exception_handler(Exception, _on_bug)


def answer(
    status: int,
    detail: str = "",
    *,
    kind: str = NO_KIND,
    errors: Sequence[Fault] = (),
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """The answer for a problem; what is not told is left out."""
    title = HTTPStatus(status).phrase
    problem = Problem(type=kind, title=title, status=status, detail=detail, errors=list(errors))
    told = {name: value for name, value in problem.model_dump().items() if value}
    return JSONResponse(told, status, headers, MEDIA_TYPE)


def of(error: Exception) -> JSONResponse:
    """The answer for a neutral error."""
    name, status = next(KINDS[kind] for kind in type(error).__mro__ if kind in KINDS)
    headers = {"retry-after": "1"} if status == HTTPStatus.SERVICE_UNAVAILABLE else None
    return answer(status, str(error), kind=KIND + name, headers=headers)


def unauthorized() -> JSONResponse:
    """The answer to whoever shows no operator's key (RFC 6750, 3)."""
    headers = {"www-authenticate": 'Bearer realm="ccs"'}
    return answer(HTTPStatus.UNAUTHORIZED, UNAUTHORIZED, headers=headers)


async def _on_error(_: Request, error: Exception) -> JSONResponse:
    return of(error)


async def _on_http(_: Request, error: Exception) -> JSONResponse:
    """No such path, or no such method of it."""
    if not isinstance(error, HTTPException):
        raise error
    told = "" if error.detail == HTTPStatus(error.status_code).phrase else error.detail
    return answer(error.status_code, told, headers=error.headers)


async def _on_invalid(_: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, RequestValidationError):
        raise error
    faults = [_fault(fault) for fault in error.errors()]
    detail = "; ".join(f"{fault.at}: {fault.detail}" for fault in faults)
    status = HTTPStatus.UNPROCESSABLE_ENTITY
    return answer(status, detail, kind=f"{KIND}invalid", errors=faults)


async def _on_bug(_: Request, __: Exception) -> JSONResponse:
    """What is wrong is in the log: it is raised again once this is sent."""
    return answer(HTTPStatus.INTERNAL_SERVER_ERROR)


def _fault(fault: Mapping[str, Any]) -> Fault:
    source, *path = fault["loc"]
    at = "".join(f"/{part}" for part in path) if source == "body" else str(path[-1])
    return Fault(at=at, detail=fault["msg"].removeprefix("Value error, "))
