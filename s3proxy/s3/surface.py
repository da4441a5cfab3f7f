"""What applications are answered: S3, by the clients' keys and the buckets' owners."""

from backends.model import AccessKey
from s3proxy.s3.errors import S3Error
from s3proxy.s3.handlers import HANDLERS
from s3proxy.s3.operations import Scope
from s3proxy.s3.request import Request
from s3proxy.s3.response import Response
from s3proxy.s3.services import Services


class S3Surface:
    """As Surface, over the rules of a gateway."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def key(self, access_key: str) -> AccessKey:
        """As Surface."""
        return await self._services.access.key(access_key)

    async def authorise(self, request: Request) -> None:
        """As Surface."""
        access = self._services.access
        access.require_client(request.caller)
        if request.scope is Scope.SERVICE or request.operation.name == "CreateBucket":
            return
        bucket = await self._services.buckets.find(request.bucket)
        access.require(request.caller, request.operation.right, bucket)
        expected = request.headers.get("x-amz-expected-bucket-owner", bucket.owner)
        if expected != bucket.owner:
            raise S3Error("AccessDenied", "The bucket belongs to another owner than expected.")

    async def handle(self, request: Request) -> Response:
        """As Surface."""
        return await HANDLERS[request.operation.name](self._services, request)
