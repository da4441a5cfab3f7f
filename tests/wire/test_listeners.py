"""What a worker serves: a listener of its own for each application, with its own TLS."""

import asyncio
import http.client
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import trustme

from s3proxy.config import ConfigError, Settings
from s3proxy.listeners import Application, check_tls, listen, listeners_of
from s3proxy.server import work

SECRET = "a-secret-that-all-sites-share-001"
NAMES = ("s3", "operations", "admin", "site")


@dataclass(frozen=True)
class Named:
    """A gateway whose applications say their names."""

    applications: Mapping[str, Application]


def says(name: str) -> Application:
    async def application(scope: Any, receive: Any, send: Any) -> None:
        headers = [(b"content-length", str(len(name)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": name.encode()})

    return application


@dataclass(frozen=True)
class Serving:
    """A worker that serves, and where."""

    ports: Mapping[str, int]

    def ask(self, name: str, context: ssl.SSLContext | None = None) -> str:
        port = self.ports[name]
        connection = (
            http.client.HTTPSConnection("127.0.0.1", port, timeout=10, context=context)
            if context
            else http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        )
        try:
            connection.request("GET", "/")
            return connection.getresponse().read().decode()
        finally:
            connection.close()


@asynccontextmanager
async def serving(served: tuple[str, ...], **sections: Any) -> AsyncIterator[Serving]:
    """A worker over the applications of these names, on ports of the system's choice."""
    settings = settings_of(**sections)
    sockets = listen(settings)
    stop = asyncio.Event()

    @asynccontextmanager
    async def factory(_: Settings) -> AsyncIterator[Named]:
        yield Named({name: says(name) for name in served})

    working = asyncio.create_task(work(settings, factory, sockets, stop))
    try:
        yield Serving({name: bound.getsockname()[1] for name, bound in sockets.items()})
    finally:
        stop.set()
        await working


def settings_of(**sections: Any) -> Settings:
    ports: dict[str, dict[str, Any]] = {
        "server": {"port": 0, "operations_port": 0},
        "admin": {"port": 0},
        "sites": {"port": 0, "secret": SECRET},
    }
    return Settings.model_validate(
        {name: {**ports.get(name, {}), **sections.get(name, {})} for name in {*ports, *sections}}
    )


async def test_each_listener_serves_its_own_application() -> None:
    async with serving(NAMES) as worker:
        told = {name: await asyncio.to_thread(worker.ask, name) for name in NAMES}

    assert told == {name: name for name in NAMES}


async def test_a_port_without_an_application_is_closed() -> None:
    async with serving(("s3", "operations")) as worker:
        assert await asyncio.to_thread(worker.ask, "s3") == "s3"
        for name in ("admin", "site"):
            with pytest.raises(ConnectionRefusedError):
                await asyncio.to_thread(worker.ask, name)


@pytest.mark.parametrize("name", NAMES)
async def test_endless_headers_are_refused(name: str) -> None:
    async with serving(NAMES) as worker:
        reader, writer = await asyncio.open_connection("127.0.0.1", worker.ports[name])
        writer.write(b"GET / HTTP/1.1\r\nhost: a\r\nendless: " + b"a" * 100_000)
        answer = await asyncio.wait_for(reader.read(), 10)
        writer.close()

    assert answer.startswith(b"HTTP/1.1 4")


def test_there_is_a_site_listener_with_a_secret_and_an_admin_listener_unless_it_is_off() -> None:
    assert list(listeners_of(settings_of())) == ["s3", "operations", "admin", "site"]
    assert list(listeners_of(settings_of(sites={"secret": ""}))) == ["s3", "operations", "admin"]
    assert list(listeners_of(settings_of(admin={"enabled": False}))) == ["s3", "operations", "site"]


@dataclass(frozen=True)
class Certificates:
    """Certificates of two authorities, and files of the first's."""

    authority: trustme.CA
    stranger: trustme.CA
    folder: Path

    def files(self) -> dict[str, str]:
        leaf = self.authority.issue_cert("127.0.0.1")
        chain, key = self.folder / "chain.pem", self.folder / "key.pem"
        leaf.cert_chain_pems[0].write_to_path(str(chain))
        leaf.private_key_pem.write_to_path(str(key))
        return {"certificate": str(chain), "key": str(key)}

    def ca_file(self) -> str:
        file = self.folder / "authority.pem"
        self.authority.cert_pem.write_to_path(str(file))
        return str(file)

    def context(self, shown: trustme.CA | None = None) -> ssl.SSLContext:
        """A client that trusts the authority, and shows a certificate of that one."""
        context = ssl.create_default_context()
        self.authority.configure_trust(context)
        if shown:
            shown.issue_cert("another-site").configure_cert(context)
        return context


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    return Certificates(trustme.CA(), trustme.CA(), tmp_path)


async def test_the_site_listener_asks_for_a_certificate_of_its_authority(
    certificates: Certificates,
) -> None:
    own = {**certificates.files(), "ca_file": certificates.ca_file()}
    async with serving(NAMES, sites=own) as worker:

        async def ask(shown: trustme.CA | None) -> str:
            return await asyncio.to_thread(worker.ask, "site", certificates.context(shown))

        assert await ask(certificates.authority) == "site"
        for shown in (None, certificates.stranger):
            with pytest.raises((ssl.SSLError, ConnectionError)):
                await ask(shown)
        assert await asyncio.to_thread(worker.ask, "s3") == "s3"


async def test_the_admin_listener_speaks_tls_of_the_least_version(
    certificates: Certificates,
) -> None:
    old = certificates.context()
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    tls = {"minimum_version": "1.3"}
    async with serving(NAMES, admin=certificates.files(), tls=tls) as worker:
        answer = await asyncio.to_thread(worker.ask, "admin", certificates.context())
        with pytest.raises(ssl.SSLError):
            await asyncio.to_thread(worker.ask, "admin", old)

    assert answer == "admin"


@pytest.mark.parametrize("name", ["admin", "sites"])
def test_files_that_do_not_serve_are_named(certificates: Certificates, name: str) -> None:
    missing = {"certificate": "/no/cert", "key": "/no/key"}

    with pytest.raises(ConfigError, match=rf"tls of {name.removesuffix('s')}: /no/cert with"):
        check_tls(settings_of(**{name: missing}))


def test_an_authority_that_does_not_serve_is_named(certificates: Certificates) -> None:
    own = {**certificates.files(), "ca_file": "/no/authority"}

    with pytest.raises(ConfigError, match=r"tls of site: /no/authority: "):
        check_tls(settings_of(sites=own))
