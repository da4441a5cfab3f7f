"""Answers for what is not built: "not configured" to a read, 501 to a write, never a guess."""

from s3proxy.s3 import xml
from s3proxy.s3.errors import S3Error
from s3proxy.s3.operations import Scope
from s3proxy.s3.request import Request
from s3proxy.s3.response import Response, document
from s3proxy.s3.services import Services

CONTENT = {"RequestPaymentConfiguration": "<Payer>BucketOwner</Payer>"}


async def answer(services: Services, request: Request) -> Response:
    """What the operation's own line says, once the object it asks about is known to be there."""
    stands_in = request.operation.answer
    if stands_in == "NotImplemented":
        raise S3Error(stands_in, f"{request.operation.name} is not implemented.")
    if request.scope is Scope.OBJECT:
        await services.objects.find(request.bucket, request.key)
    if not stands_in.startswith("<"):
        raise S3Error(stands_in)
    name = stands_in.strip("<>")
    return document(xml.root(name, CONTENT.get(name, "")))


async def get_object_tagging(services: Services, request: Request) -> Response:
    """GetObjectTagging: no object has tags yet, which S3 says with an empty set."""
    await services.objects.find(request.bucket, request.key)
    return document(xml.root("Tagging", "<TagSet></TagSet>"))
