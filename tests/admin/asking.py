"""A gateway in this process, and its operators' API, asked as a server would ask it."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from backends.state.protocol import StateStore
from s3proxy import app
from s3proxy.administration import operators_of
from s3proxy.config import Settings
from s3proxy.listeners import Application

SECRET: Final = "a-secret-that-all-sites-share-001"


@dataclass(frozen=True)
class Answer:
    """What came back; `value` is what its JSON says, None where there is no body."""

    status: int
    headers: Mapping[str, str]
    value: Any

    @property
    def kind(self) -> str:
        return self.headers.get("content-type", "")


@dataclass(frozen=True)
class Api:
    """The application of the admin listener, with an operator's key."""

    application: Application
    state: StateStore
    key: str

    def without_key(self) -> "Api":
        return replace(self, key="")

    async def ask(
        self, method: str, target: str, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Ask for /v1TARGET; a body of bytes is sent as it is, all others as JSON."""
        sent = (
            body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        )
        authorization = {"authorization": f"Bearer {self.key}"} if self.key else {}
        given = {"content-type": "application/json", **authorization, **(headers or {})}
        return await asked(self.application, method, f"/v1{target}", sent, given)


async def asked(
    application: Application, method: str, target: str, body: bytes, headers: Mapping[str, str]
) -> Answer:
    url = urlsplit(target)
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": url.path,
        "raw_path": url.path.encode(),
        "root_path": "",
        "query_string": url.query.encode(),
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 9002),
    }
    messages: list[dict[str, Any]] = []

    requests = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> dict[str, Any]:
        if not requests:
            await asyncio.Event().wait()  # a client that stays
        return requests.pop()

    async def send(message: dict[str, Any]) -> None:
        messages.append(message)

    await application(scope, receive, send)
    return answer_of(messages)


def answer_of(messages: list[dict[str, Any]]) -> Answer:
    start, *parts = messages
    text = b"".join(part.get("body", b"") for part in parts)
    headers = {name.decode(): value.decode() for name, value in start["headers"]}
    return Answer(start["status"], headers, json.loads(text) if text else None)


@asynccontextmanager
async def running(data: Path, **sections: Mapping[str, Any]) -> AsyncIterator[Api]:
    """The API of a gateway that is one of several sites, with an operator."""
    given: dict[str, Any] = {
        "storage": {"data": data, "durable": False},
        "sites": {"secret": SECRET, "retry_seconds": 60},
        **sections,
    }
    settings = Settings.model_validate(given)
    async with app.gateway(settings) as gateway:
        assert gateway.admin
        issued = await (await operators_of(settings, gateway.state)).create("tester")
        yield Api(gateway.admin, gateway.state, issued.key)
