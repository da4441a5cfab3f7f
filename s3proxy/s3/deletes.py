"""DeleteObjects: up to 1,000 keys in one request, each with its own outcome."""

import asyncio
from typing import Final

from backends.errors import BackendError, NotFound
from backends.model import UNCONDITIONAL, Precondition
from s3proxy.s3 import arguments, xml
from s3proxy.s3.body import read_document
from s3proxy.s3.errors import S3Error
from s3proxy.s3.request import MAX_KEY_BYTES, Request
from s3proxy.s3.response import Response, document
from s3proxy.s3.services import Services
from s3proxy.s3.translation import to_s3

MAX_KEYS: Final = 1000
UNSUPPORTED: Final = ("LastModifiedTime", "Size")


async def delete_objects(services: Services, request: Request) -> Response:
    """DeleteObjects; a key that holds nothing counts as deleted."""
    wanted = xml.parse(await read_document(services, request), "Delete", many=["Object"])
    objects = wanted.get("Object", [])
    if not objects or len(objects) > MAX_KEYS or not all(isinstance(o, dict) for o in objects):
        raise S3Error("MalformedXML", f"Name 1 to {MAX_KEYS} objects, each with its Key.")
    quiet = xml.text_in(wanted, "Quiet").strip().lower() == "true"
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_delete(services, request, named)) for named in objects]
    results = [task.result() for task in tasks]
    body = "".join(text for deleted, text in results if not (quiet and deleted))
    return document(xml.root("DeleteResult", body))


async def _delete(services: Services, request: Request, named: xml.Element) -> tuple[bool, str]:
    """Whether the key is deleted, and the element that says so or why not."""
    key = xml.text_in(named, "Key")
    try:
        condition = _condition(key, named)
        await services.objects.delete(request.bucket, key, request.id, condition=condition)
    except NotFound:
        return True, _deleted(key)
    except BackendError as error:
        return False, _failed(key, to_s3(error))
    except S3Error as error:
        return False, _failed(key, error)
    return True, _deleted(key)


def _condition(key: str, named: xml.Element) -> Precondition:
    """What must hold for this key to be deleted; S3Error where it cannot be."""
    if not key:
        raise S3Error("MalformedXML", "An <Object> has no Key.")
    if len(key.encode()) > MAX_KEY_BYTES:
        raise S3Error("KeyTooLongError")
    version = xml.text_in(named, "VersionId")
    if version:
        arguments.require_no_version({"versionId": version})
    if any(name in named for name in UNSUPPORTED):
        raise S3Error("NotImplemented", "Only the ETag of an object can be a condition.")
    etag = xml.text_in(named, "ETag").strip().strip('"')
    return Precondition(match=etag) if etag else UNCONDITIONAL


def _deleted(key: str) -> str:
    return xml.tag("Deleted", xml.element("Key", key))


def _failed(key: str, error: S3Error) -> str:
    return xml.tag(
        "Error",
        xml.element("Key", key)
        + xml.element("Code", error.code)
        + xml.element("Message", error.message),
    )
