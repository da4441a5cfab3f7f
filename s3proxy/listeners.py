"""Where a gateway listens: its listeners by name, the sockets they are bound to, their TLS."""

import socket
import ssl
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from s3proxy.config import ConfigError, Settings
from s3proxy.section import Certified

BACKLOG: Final = 2048
VERSIONS: Final = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
S3: Final = "s3"
OPERATIONS: Final = "operations"
ADMIN: Final = "admin"
SITE: Final = "site"
PLAIN: Final = Certified()

Application = Callable[[Any, Any, Any], Awaitable[None]]
Sockets = Mapping[str, socket.socket]


@dataclass(frozen=True, slots=True)
class Listener:
    """One address of the gateway. Clients show a certificate of `ca_file` where there is one."""

    name: str
    host: str
    port: int
    tls: Certified = PLAIN
    ca_file: Path | None = None

    def url(self, bound: socket.socket) -> str:
        """Where the bound listener is reached."""
        scheme = "https" if self.tls.certificate else "http"
        host, port = bound.getsockname()[:2]
        return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"

    def context(self, minimum_version: str) -> ssl.SSLContext | None:
        """The TLS it speaks, or None. ConfigError where the files do not serve."""
        certificate, key = self.tls.certificate, self.tls.key
        if certificate is None or key is None:
            return None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = VERSIONS[minimum_version]
        try:
            context.load_cert_chain(certificate, key)
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(f"tls of {self.name}: {certificate} with {key}: {error}") from error
        if self.ca_file:
            self._ask_for_certificates(context, self.ca_file)
        return context

    def _ask_for_certificates(self, context: ssl.SSLContext, authority: Path) -> None:
        try:
            context.load_verify_locations(authority)
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(f"tls of {self.name}: {authority}: {error}") from error
        context.verify_mode = ssl.CERT_REQUIRED


def listeners_of(settings: Settings) -> dict[str, Listener]:
    """The listeners that the settings name: S3's and the operators' always."""
    return {listener.name: listener for listener in _named(settings)}


def _named(settings: Settings) -> Iterator[Listener]:
    server, admin, sites = settings.server, settings.admin, settings.sites
    yield Listener(S3, server.host, server.port, settings.tls)
    yield Listener(OPERATIONS, server.operations_host, server.operations_port)
    if admin.enabled:
        yield Listener(ADMIN, admin.host, admin.port, admin)
    if sites.secret:
        yield Listener(SITE, sites.host, sites.port, sites, sites.ca_file)


def check_tls(settings: Settings) -> None:
    """Return if the files of each listener's TLS serve: ConfigError."""
    for listener in listeners_of(settings).values():
        listener.context(settings.tls.minimum_version)


def listen(settings: Settings) -> Sockets:
    """Bind all listeners. ConfigError says which address cannot be had."""
    found = listeners_of(settings)
    return {name: bind(listener.host, listener.port) for name, listener in found.items()}


def bind(host: str, port: int) -> socket.socket:
    """A listening socket: early clients wait. ConfigError where the address cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
        bound.listen(BACKLOG)
    except OSError as error:
        bound.close()
        raise ConfigError(f"cannot listen on {host}:{port}: {error.strerror}") from error
    bound.set_inheritable(True)
    return bound


def close(sockets: Sockets) -> None:
    """Close the ports, so that no client waits for nobody."""
    for bound in sockets.values():
        bound.close()
