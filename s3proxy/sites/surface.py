"""What other sites are answered: their own keys, and only while they are sites of ours."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

from backends.errors import AccessDenied, NotFound
from backends.model import AccessKey
from replication.documents import SHARED
from replication.messages import API, ID_HEADER, PROTOCOL_HEADER, secret_of
from replication.topology import PROTOCOL, Site, SiteState, site_in
from s3proxy.s3.body import received
from s3proxy.s3.errors import S3Error
from s3proxy.s3.request import Request
from s3proxy.s3.response import Response
from s3proxy.sites import facts, objects, parts, ranges
from s3proxy.sites.services import SiteServices

Handler = Callable[[SiteServices, Request], Awaitable[Response]]
HANDLERS: Final[dict[str, Handler]] = {
    "PutObject": objects.put,
    "GetObject": objects.get,
    "DeleteObject": objects.delete,
    "CreateMultipartUpload": parts.begin,
    "UploadPart": parts.put,
    "CompleteMultipartUpload": parts.complete,
}


class SiteSurface:
    """As Surface. A caller is the site whose name its access key is."""

    def __init__(self, services: SiteServices) -> None:
        self._services = services

    async def key(self, access_key: str) -> AccessKey:
        """As Surface: whoever has the secret may sign for a site; `authorise` says which may."""
        secret = secret_of(self._services.secret, access_key)
        return AccessKey(access_key, secret, access_key, 0)

    async def authorise(self, request: Request) -> None:
        """As Surface. A site that is not known yet may say who it is, and nothing else."""
        name = request.caller.owner
        if not name:
            raise AccessDenied("sign the request with a site's key")
        if request.headers.get(PROTOCOL_HEADER) != str(PROTOCOL):
            raise S3Error("InvalidRequest", f"This site speaks version {PROTOCOL} of the protocol.")
        if name == self._services.name:
            raise AccessDenied(f"this site is called {name}, too: each site needs its own name")
        site = await self._site(name)
        if site is None:
            self._require_introduction(request, name)
        elif site.state is SiteState.REMOVED:
            raise AccessDenied(f"the site {name} was removed: nothing it sends is applied")
        elif site.id != request.headers.get(ID_HEADER):
            raise AccessDenied(f"another site is known as {name}: each site needs its own name")

    async def handle(self, request: Request) -> Response:
        """As Surface."""
        handler = _handler(request)
        if handler is None:
            raise S3Error("NotImplemented", "Sites do not ask each other for this.")
        try:
            return await handler(self._services, request)
        finally:
            await self._drain(request)

    async def _drain(self, request: Request) -> None:
        """Read a body that was not wanted: who still sends does not see the answer."""
        if not request.body_asked:
            with suppress(S3Error):
                async for _ in received(request, self._services.body_timeout):
                    continue

    def _require_introduction(self, request: Request, name: str) -> None:
        if request.bucket == API or (request.bucket == SHARED and request.method == "PUT"):
            return
        raise AccessDenied(f"the site {name} is not known here: `ccs site add` makes it known")

    async def _site(self, name: str) -> Site | None:
        """As the documents have it now: from the moment it is removed, nothing it sends counts."""
        try:
            return await site_in(self._services.shared, name)
        except NotFound:
            return None


def _handler(request: Request) -> Handler | None:
    """Who answers: the JSON API, or an object's own verb."""
    if request.bucket != API:
        return HANDLERS.get(request.operation.name)
    return ranges.answer if request.method == "POST" else facts.ask
