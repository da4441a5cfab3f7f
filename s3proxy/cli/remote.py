"""A gateway somewhere, asked over its operators' API."""

import json
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import SplitResult, quote, urlencode, urlsplit

import typer

from backends.errors import AccessDenied, BackendError, NotFound, Refused, Unavailable
from s3proxy import config as settings
from s3proxy.config import ConfigError, load
from s3proxy.first_operator import FILE

TIMEOUT_SECONDS: Final = 60.0
SCHEMES: Final = ("http", "https")
UNAUTHORIZED: Final = 401
NOT_FOUND: Final = 404
FAILED: Final = 500
LEAST_ERROR: Final = 400

Server = Annotated[
    str,
    typer.Option("--server", envvar=settings.SERVER, help="The URL of a gateway's operators' API."),
]
OperatorKey = Annotated[
    str,
    typer.Option(
        "--operator-key",
        envvar=settings.OPERATOR_KEY,
        show_default=False,
        help="An operator's key; that of the data folder if left out.",
    ),
]
LOCAL: Final = "http://127.0.0.1:9002"


class Remote:
    """One gateway's operators' API. Errors are those of `backends.errors`, in its own words."""

    def __init__(self, server: str, key: str) -> None:
        self._server = server.rstrip("/")
        self._url = _checked(self._server)
        self._key = key

    def get(self, *path: str, **query: str) -> Any:
        """What the resource at /v1/PATH is."""
        return self._ask("GET", path, query=query)

    def post(self, *path: str, body: Any = None) -> Any:
        return self._ask("POST", path, body=body)

    def put(self, *path: str, body: Any) -> Any:
        return self._ask("PUT", path, body=body)

    def patch(self, *path: str, body: Any) -> Any:
        return self._ask("PATCH", path, body=body)

    def delete(self, *path: str, **query: str) -> Any:
        return self._ask("DELETE", path, query=query)

    def lines(self, *path: str) -> Iterator[Any]:
        """What the resource at /v1/PATH lists, line by line, as it comes."""
        connection = self._connection()
        try:
            connection.request("GET", self._target(path), headers=self._headers())
            answer = connection.getresponse()
            if answer.status >= LEAST_ERROR:
                self._read(answer)
            yield from map(json.loads, answer)
        except (OSError, HTTPException) as error:
            raise Unavailable(f"no gateway answers at {self._server}: {error}") from error
        finally:
            connection.close()

    def _ask(
        self, method: str, path: tuple[str, ...], *, body: Any = None, query: Any = None
    ) -> Any:
        target = self._target(path) + (f"?{urlencode(query)}" if query else "")
        text = None if body is None else json.dumps(body).encode()
        connection = self._connection()
        try:
            connection.request(method, target, text, self._headers())
            return self._read(connection.getresponse())
        except (OSError, HTTPException) as error:
            raise Unavailable(f"no gateway answers at {self._server}: {error}") from error
        finally:
            connection.close()

    def _target(self, path: tuple[str, ...]) -> str:
        return f"{self._url.path}/v1/" + "/".join(quote(part, safe="") for part in path)

    def _headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self._key}", "content-type": "application/json"}

    def _connection(self) -> HTTPConnection:
        kind = HTTPSConnection if self._url.scheme == "https" else HTTPConnection
        return kind(self._url.hostname or "", self._url.port, timeout=TIMEOUT_SECONDS)

    def _read(self, answer: HTTPResponse) -> Any:
        text = answer.read()
        try:
            told = json.loads(text) if text else None
        except ValueError as error:
            raise Unavailable(f"{self._server} is no gateway's operators' API") from error
        if answer.status >= LEAST_ERROR:
            raise self._error(answer.status, told)
        return told

    def _error(self, status: int, problem: Any) -> BackendError:
        """What the gateway says went wrong."""
        detail = problem.get("detail") or problem.get("title") if isinstance(problem, dict) else ""
        sentence = str(detail or f"{self._server} answers {status}")
        if status == UNAUTHORIZED:
            return AccessDenied(
                f"{self._server} does not know this operator's key: give --operator-key, or make "
                "one with `ccs operator create`"
            )
        if status == NOT_FOUND:
            return NotFound(sentence)
        return Unavailable(sentence) if status >= FAILED else Refused(sentence)


def remote_of(server: str, key: str, config: Path | None, data: Path | None) -> Remote:
    """The gateway of the options. ConfigError where there is no key, or no such URL."""
    return Remote(server, key or _key_in(load(config, {"storage.data": data}).storage.data))


def _key_in(folder: Path) -> str:
    file = folder / FILE
    try:
        return file.read_text().strip()
    except OSError as error:
        raise ConfigError(
            f"no operator's key: give --operator-key, or a gateway's --data folder ({error})"
        ) from error


def _checked(server: str) -> SplitResult:
    try:
        url = urlsplit(server)
        if url.scheme in SCHEMES and url.hostname and (url.port is None or url.port > 0):
            return url
    except ValueError as error:
        raise ConfigError(f"--server: {server} is no URL: {error}") from error
    raise ConfigError(f"--server: {server} is no URL like {LOCAL}")
