"""The rare verbs of an S3 endpoint, through aiobotocore; its errors become ours here."""

import asyncio
import base64
import hashlib
from collections.abc import Awaitable, Mapping
from contextlib import AsyncExitStack
from typing import Any, Final, TypeVar

from aiobotocore.config import AioConfig
from aiobotocore.session import AioSession
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    ReadTimeoutError,
)
from botocore.parsers import ResponseParserError

from backends.errors import BackendError, Unavailable
from backends.storage.http import repeated, retry_after, sockets
from backends.storage.s3.addressing import is_amazon
from backends.storage.s3.connection import Connection, require_credentials
from backends.storage.s3.errors import error_of, failed_call, told_of
from backends.storage.s3.options import S3Options

SAFE: Final = frozenset(
    {
        "abort_multipart_upload",
        "create_bucket",
        "delete_objects",
        "get_bucket_tagging",
        "get_object_tagging",
        "head_bucket",
        "list_buckets",
        "put_bucket_tagging",
        "put_object_tagging",
    }
)
SILENT: Final = (ConnectTimeoutError, ReadTimeoutError, TimeoutError)
DIGESTED: Final = ("PutBucketTagging", "PutObjectTagging", "DeleteObjects")
T = TypeVar("T")


class Client:
    """One session, one aiobotocore client, one connection for a process; opened when first used."""

    def __init__(self, options: S3Options) -> None:
        self._options = options
        self._opening = asyncio.Lock()
        self._held = AsyncExitStack()
        self._opened: tuple[Any, Connection] | None = None

    async def connection(self) -> Connection:
        """Where the verbs on the way of each object go."""
        return (self._opened or await self._open())[1]

    async def ask(self, verb: str, subject: str, **arguments: Any) -> dict[str, Any]:
        """What the endpoint answers to a verb as botocore names it; our errors.

        Only verbs that may happen twice are tried again where there was no answer.
        """
        api, connection = self._opened or await self._open()
        await connection.keys()

        async def once() -> dict[str, Any]:
            asked: Awaitable[dict[str, Any]] = getattr(api, verb)(**arguments)
            return await _translated(asked, f"{verb} {subject}", self._options.region)

        return await repeated(once, repeatable=verb in SAFE)

    async def close(self) -> None:
        await self._held.aclose()
        self._opened = None

    async def _open(self) -> tuple[Any, Connection]:
        async with self._opening:
            if self._opened is None:
                self._opened = await _translated(self._connect(), "opening the S3 storage")
            return self._opened

    async def _connect(self) -> tuple[Any, Connection]:
        options = self._options
        session = AioSession(profile=options.profile or None)
        if options.access_key:
            token = options.session_token or None
            session.set_credentials(options.access_key, options.secret_key, token)
        credentials = require_credentials(await session.get_credentials())
        api = await self._held.enter_async_context(
            session.create_client(
                "s3",
                region_name=options.region,
                endpoint_url=options.endpoint or None,
                verify=options.ca_file or None,
                config=_config(options),
            )
        )
        for operation in DIGESTED:
            api.meta.events.register_last(f"before-call.s3.{operation}", _digest)
        connection = Connection(options, api.meta.endpoint_url, credentials)
        self._held.push_async_callback(connection.close)
        return api, connection


def _config(options: S3Options) -> AioConfig:
    virtual = options.virtual_host or is_amazon(options.endpoint)
    return AioConfig(
        signature_version="s3v4",
        connect_timeout=options.connect_seconds,
        read_timeout=options.read_seconds,
        max_pool_connections=options.connections,
        connector_args={"socket_factory": sockets(options.read_seconds)},
        retries={"total_max_attempts": 1, "mode": "standard"},
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        s3={
            "addressing_style": "virtual" if virtual else "auto",
            "payload_signing_enabled": False,
        },
    )


def _digest(params: dict[str, Any], **_: Any) -> None:
    """Send the digest that these verbs need as MD5, which every S3-like knows; not as CRC32."""
    digest = hashlib.md5(params["body"], usedforsecurity=False).digest()
    params["headers"]["Content-MD5"] = base64.b64encode(digest).decode()
    params["headers"].pop("x-amz-sdk-checksum-algorithm", None)
    params["context"].pop("checksum", None)


async def _translated(asked: Awaitable[T], subject: str, region: str = "") -> T:
    try:
        return await asked
    except ClientError as error:
        raise _answered(error, subject, region) from error
    except SILENT as error:
        raise Unavailable(f"{subject}: {error}") from TimeoutError(str(error))
    except ResponseParserError as error:
        raise Unavailable(f"{subject}: the storage's answer is none of S3's: {error}") from error
    except (BotoCoreError, OSError, ValueError) as error:
        raise failed_call(error, subject) from error


def _answered(answer: ClientError, subject: str, region: str) -> BackendError:
    about = answer.response.get("ResponseMetadata", {})
    headers = about.get("HTTPHeaders", {})
    told = told_of(answer.response.get("Error", {}))
    told = told._replace(region=told.region or headers.get("x-amz-bucket-region", ""))
    error = error_of(about.get("HTTPStatusCode", 0), told, subject, region=region)
    if isinstance(error, Unavailable):
        error.retry_after = retry_after({"Retry-After": headers.get("retry-after", "")})
    return error


def field_of(answer: Mapping[str, Any], name: str) -> str:
    """What an answer says in that field. Unavailable where it says nothing: no S3 gave it."""
    if not answer.get(name):
        raise Unavailable(f"the storage's answer has no {name}")
    return str(answer[name])
