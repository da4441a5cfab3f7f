"""How clients of Pulsar connect, and what its errors are among ours."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

import pulsar
from pulsar.asyncio import Client, PulsarException

from backends import errors
from backends.events.pulsar.options import PulsarOptions

CLOSE_SECONDS: Final = 5.0
KINDS: Final = {
    "AuthenticationError": errors.AccessDenied,
    "AuthorizationError": errors.AccessDenied,
    "ErrorGettingAuthenticationData": errors.AccessDenied,
    "TopicNotFound": errors.NotFound,
}


def client_of(options: PulsarOptions) -> Client:
    """A client that has yet to connect."""
    return Client(
        options.url,
        authentication=_authentication(options),
        operation_timeout_seconds=max(int(options.timeout), 1),
        connection_timeout_ms=int(options.timeout * 1000),
        tls_trust_certs_file_path=options.ca_file or None,
        tls_validate_hostname=True,
        logger=pulsar.ConsoleLogger(pulsar.LoggerLevel.Error),
    )


@contextmanager
def translated(options: PulsarOptions, subject: str) -> Iterator[None]:
    """Around Pulsar's calls only: their errors become ours, the cause kept."""
    try:
        yield
    except PulsarException as error:
        name = error.error().name
        told = f"Pulsar at {options.url}: {subject}: {error}"
        raise KINDS.get(name, errors.Unavailable)(told) from error
    except TimeoutError as error:
        raise errors.Unavailable(
            f"Pulsar at {options.url}: {subject}: no answer in time"
        ) from error


async def close(client: Client) -> None:
    """Let go, in time; what was not taken is not sent any more."""
    with suppress(PulsarException, TimeoutError):
        async with asyncio.timeout(CLOSE_SECONDS):
            await client.close()


def _authentication(options: PulsarOptions) -> Any:
    if options.token:
        return pulsar.AuthenticationToken(options.token)
    if options.cert_file:
        return pulsar.AuthenticationTLS(options.cert_file, options.key_file)
    return None
