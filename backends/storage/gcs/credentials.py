"""Tokens from Google's own library, fetched in a thread because it blocks."""

import asyncio
from typing import Any, Final

import google.auth
import google.auth.transport.requests
from google.auth.exceptions import GoogleAuthError, TransportError
from google.oauth2 import service_account

from backends.errors import AccessDenied, Unavailable
from backends.storage.gcs.options import GCSOptions

SCOPES: Final = ("https://www.googleapis.com/auth/devstorage.full_control",)


class Tokens:
    """The token that is good now; none where the storage is asked without credentials."""

    def __init__(self, options: GCSOptions) -> None:
        self._options = options
        self._refreshing = asyncio.Lock()
        self._credentials: Any = None
        self.project = options.project

    async def current(self) -> str:
        """AccessDenied where there are no credentials, or they are refused."""
        if self._options.anonymous:
            return ""
        if self._credentials is None or not self._credentials.valid:
            async with self._refreshing:
                await asyncio.to_thread(self._refresh)
        return str(self._credentials.token)

    def forget(self, token: str) -> bool:
        """Whether there may be a better token than this one, which was refused."""
        if not token or not self._credentials:
            return False
        if self._credentials.token == token:
            self._credentials.token = None
        return True

    def _refresh(self) -> None:
        try:
            if self._credentials is None:
                self._credentials, found = self._load()
                self.project = self.project or found or ""
            if not self._credentials.valid:
                self._credentials.refresh(google.auth.transport.requests.Request())
        except TransportError as error:
            raise Unavailable(f"no token for the GCS storage: {error}") from error
        except (GoogleAuthError, OSError, ValueError) as error:
            if getattr(error, "retryable", False):
                raise Unavailable(f"no token for the GCS storage: {error}") from error
            raise AccessDenied(f"no credentials for the GCS storage: {error}") from error

    def _load(self) -> tuple[Any, str | None]:
        file = self._options.service_account_file
        if not file:
            return google.auth.default(scopes=SCOPES)
        credentials = service_account.Credentials.from_service_account_file(file, scopes=SCOPES)
        return credentials, credentials.project_id
