"""The client of an account, opened when it is first used."""

import asyncio
from contextlib import AsyncExitStack
from typing import Any, Final

import aiohttp
from azure.core.exceptions import AzureError, ServiceResponseError, ServiceResponseTimeoutError
from azure.storage.blob.aio import (
    BlobClient,
    BlobServiceClient,
    ContainerClient,
    ExponentialRetry,
)

from backends.errors import AccessDenied, BucketNotFound
from backends.storage.azure.names import blob_of, broken_rule
from backends.storage.azure.options import AzureOptions
from backends.storage.http import sockets

RETRIES: Final = 2
PAUSE: Final[Any] = 0.2  # the client takes fractions, too
FAILED: Final = 400
ANSWERED: Final = "x-ms-request-id"  # a header of every answer of the service


class Repeats(ExponentialRetry):
    """Asks again after short pauses; not where the service kept silent for as long as it may."""

    def increment(
        self,
        settings: dict[str, Any],
        request: Any,
        response: Any = None,
        error: AzureError | None = None,
    ) -> bool:
        if isinstance(error, ServiceResponseTimeoutError):
            return False
        return bool(super().increment(settings, request, response, error))


class Account:
    """One client, and one pool of connections, for the process."""

    def __init__(self, options: AzureOptions) -> None:
        self._options = options
        self._opening = asyncio.Lock()
        self._held = AsyncExitStack()
        self._service: BlobServiceClient | None = None

    async def service(self) -> BlobServiceClient:
        async with self._opening:
            if self._service is None:
                self._service = await self._held.enter_async_context(await self._connect())
            return self._service

    async def container(self, bucket: str) -> ContainerClient:
        """BucketNotFound where no container can have such a name."""
        if broken_rule(bucket):
            raise BucketNotFound(f"the storage has no bucket {bucket}")
        return (await self.service()).get_container_client(bucket)

    async def blob(self, bucket: str, key: str) -> BlobClient:
        """BucketNotFound where no container can have such a name."""
        return (await self.container(bucket)).get_blob_client(blob_of(key))

    async def close(self) -> None:
        await self._held.aclose()
        self._service = None

    async def _connect(self) -> BlobServiceClient:
        async with AsyncExitStack() as opening:
            session = await opening.enter_async_context(_session(self._options.read_seconds))
            service = await self._client(session)
            self._held.push_async_callback(opening.pop_all().aclose)
            return service

    async def _client(self, session: aiohttp.ClientSession) -> BlobServiceClient:
        options = self._options
        settings: dict[str, Any] = {
            "connection_timeout": options.connect_seconds,
            "read_timeout": options.read_seconds,
            "retry_policy": Repeats(
                initial_backoff=PAUSE,
                increment_base=PAUSE,
                random_jitter_range=PAUSE,
                retry_total=RETRIES,
            ),
            "raw_response_hook": require_azure,
            "session": session,
            "max_single_get_size": options.piece_bytes,
            "max_chunk_get_size": options.piece_bytes,
            "max_single_put_size": options.block_bytes,
        }
        try:
            if options.connection_string:
                text = options.connection_string
                return BlobServiceClient.from_connection_string(text, **settings)
            credential = options.account_key or options.sas_token or await self._identity()
            return BlobServiceClient(options.account_url, credential=credential, **settings)
        except ValueError as error:
            raise AccessDenied(
                f"the settings of the Azure storage are not right: {error}"
            ) from error

    async def _identity(self) -> Any:
        try:
            from azure.identity.aio import DefaultAzureCredential
        except ImportError as error:
            raise AccessDenied(
                "no credentials for the Azure storage: give a connection string, account_key or"
                " sas_token, or install azure-identity for the default chain"
            ) from error
        return await self._held.enter_async_context(DefaultAzureCredential())


def require_azure(response: Any) -> None:
    """Return unless something else than the service, a proxy on the way, made this up."""
    answer = response.http_response
    if answer.status_code < FAILED and ANSWERED not in answer.headers:
        raise ServiceResponseError("the answer is not one of Azure's")


def _session(read_seconds: float) -> aiohttp.ClientSession:
    """As azure-core opens one, over sockets that give up."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(socket_factory=sockets(read_seconds)),
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=True,
        auto_decompress=False,
    )
