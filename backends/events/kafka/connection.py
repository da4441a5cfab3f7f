"""How every client of Kafka connects, and what its errors are among ours."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from aiokafka import errors as kafka
from aiokafka.conn import create_conn

from backends import errors
from backends.events.kafka.options import KafkaOptions

RETRY_MILLISECONDS: Final = 250
REFUSALS: Final = (
    kafka.AuthenticationFailedError,
    kafka.AuthenticationMethodNotSupported,
    kafka.ClusterAuthorizationFailedError,
    kafka.GroupAuthorizationFailedError,
    kafka.IllegalSaslStateError,
    kafka.SaslAuthenticationFailed,
    kafka.TopicAuthorizationFailedError,
    kafka.UnsupportedSaslMechanismError,
    ssl.SSLCertVerificationError,
)


class Connection:
    """Shared by the clients of one set of options; opens nothing by itself."""

    def __init__(self, options: KafkaOptions) -> None:
        self.options = options
        self._security = _security(options)

    def arguments(self) -> dict[str, Any]:
        """What each of aiokafka's clients is made with."""
        return {
            "bootstrap_servers": list(self.options.servers),
            "client_id": self.options.client_id,
            "request_timeout_ms": int(self.options.timeout * 1000),
            "retry_backoff_ms": RETRY_MILLISECONDS,
            **self._security,
        }

    @asynccontextmanager
    async def translated(self, subject: str) -> AsyncIterator[None]:
        """Around Kafka's calls only: their errors become ours, the cause kept."""
        try:
            yield
        except kafka.KafkaConnectionError as error:
            cause = await self._refusal() or error
            raise self._neutral(cause, subject) from cause
        except (kafka.KafkaError, OSError, TimeoutError) as error:
            raise self._neutral(error, subject) from error

    async def _refusal(self) -> Exception | None:
        """Why the first server lets nobody in: a client that failed on all of them does not say."""
        host, _, port = self.options.servers[0].rpartition(":")
        limit = int(self.options.timeout * 1000)
        connecting = {"client_id": self.options.client_id, "request_timeout_ms": limit}
        try:
            connection = await create_conn(host, int(port), **connecting, **self._security)
        except REFUSALS as error:
            return error
        except (kafka.KafkaError, OSError, TimeoutError):
            return None
        connection.close()
        return None

    def _neutral(self, error: Exception, subject: str) -> errors.BackendError:
        told = f"Kafka at {self.options.address}: {subject}: {_told(error)}"
        if isinstance(error, REFUSALS):
            return errors.AccessDenied(told)
        if isinstance(error, kafka.UnknownTopicOrPartitionError):
            return errors.NotFound(told)
        return errors.Unavailable(told)


def _security(options: KafkaOptions) -> dict[str, Any]:
    protocol = "SASL_" if options.user else ""
    if not _is_tls(options):
        return _sasl(options) | {"security_protocol": f"{protocol}PLAINTEXT"}
    context = ssl.create_default_context(cafile=options.ca_file or None)
    if options.cert_file:
        context.load_cert_chain(options.cert_file, options.key_file or None)
    return _sasl(options) | {"security_protocol": f"{protocol}SSL", "ssl_context": context}


def _is_tls(options: KafkaOptions) -> bool:
    return options.tls or bool(options.ca_file or options.cert_file)


def _sasl(options: KafkaOptions) -> dict[str, Any]:
    if not options.user:
        return {}
    return {
        "sasl_mechanism": options.mechanism,
        "sasl_plain_username": options.user,
        "sasl_plain_password": options.password,
    }


def _told(error: Exception) -> str:
    if isinstance(error, asyncio.TimeoutError):
        return "no answer in time"
    return str(error) or type(error).__name__
