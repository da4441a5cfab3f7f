"""The methods of the JSON API that the stub of Google Cloud Storage has, one function each."""

import gzip
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from aiohttp import web

from tests.stubs.gcs_bucket import Bucket, Item, Refusal, Resource, crc32c
from tests.stubs.gcs_session import Upload

CONDITIONS: Final = frozenset({"ifGenerationMatch", "ifMetagenerationMatch"})
BUCKETS: Final = r"/storage/v1/b"
OBJECTS: Final = rf"{BUCKETS}/(?P<bucket>[^/]+)/o"
OBJECT: Final = rf"{OBJECTS}/(?P<name>[^/]+)"
UPLOADS: Final = rf"/upload{OBJECTS}"
REWRITE: Final = rf"{OBJECT}/rewriteTo/b/(?P<to_bucket>[^/]+)/o/(?P<to_name>[^/]+)"
REWRITING: Final = frozenset({*CONDITIONS, "sourceGeneration", "rewriteToken"})
UPLOADING: Final = frozenset({*CONDITIONS, "uploadType", "name", "upload_id"})
PAGING: Final = frozenset({"prefix", "startOffset", "pageToken", "maxResults"})
Asked = Mapping[str, str]


@dataclass
class Service:
    """What the service is, and how it is to behave."""

    buckets: dict[str, Bucket] = field(default_factory=dict)
    others: set[str] = field(default_factory=set)
    page: int = 1000
    rewrites: int = 1
    damages_reads: bool = False
    damages_writes: bool = False
    ignores_hashes: bool = False
    sessions: dict[str, Upload] = field(default_factory=dict)
    moves: dict[str, tuple[object, int]] = field(default_factory=dict)
    url: str = ""

    def bucket(self, name: str) -> Bucket:
        if name in self.others:
            raise Refusal(403, "forbidden", "does not have storage.buckets.get access")
        if name not in self.buckets:
            raise Refusal(404, "notFound", "The specified bucket does not exist.")
        return self.buckets[name]


@dataclass
class Request:
    """A request, taken apart."""

    raw: web.Request
    query: Asked
    named: Asked
    body: bytes
    keeps: int | None

    @property
    def document(self) -> Resource:
        return dict(json.loads(self.body)) if self.body else {}


def _told(item: Item) -> web.Response:
    return web.json_response(item.resource())


def _make_bucket(service: Service, request: Request) -> web.Response:
    name = request.document["name"]
    if not request.query.get("project"):
        raise Refusal(400, "required", "Required parameter: project")
    if name in service.buckets or name in service.others:
        raise Refusal(409, "conflict", "Your previous request to create the bucket succeeded.")
    service.buckets[name] = Bucket(name)
    return web.json_response(_bucket_resource(name))


def _bucket_resource(name: str) -> Resource:
    return {"name": name, "timeCreated": "2026-01-02T03:04:05.678Z"}


def _find_bucket(service: Service, request: Request) -> web.Response:
    return web.json_response(_bucket_resource(service.bucket(request.named["bucket"]).name))


def _delete_bucket(service: Service, request: Request) -> web.Response:
    if service.bucket(request.named["bucket"]).items:
        raise Refusal(409, "conflict", "The bucket you tried to delete is not empty.")
    del service.buckets[request.named["bucket"]]
    return web.Response(status=204)


def _list_buckets(service: Service, request: Request) -> web.Response:
    if not request.query.get("project"):
        raise Refusal(400, "required", "Required parameter: project")
    return web.json_response({"items": [_bucket_resource(name) for name in service.buckets]})


def _list(service: Service, request: Request) -> web.Response:
    return web.json_response(
        service.bucket(request.named["bucket"]).page(request.query, service.page)
    )


def _get(service: Service, request: Request) -> web.Response:
    item = service.bucket(request.named["bucket"]).find(request.named["name"], request.query)
    return (
        _media(service, request.raw, item) if request.query.get("alt") == "media" else _told(item)
    )


def _media(service: Service, request: web.Request, item: Item) -> web.Response:
    data, headers = item.data, {"X-Goog-Generation": str(item.generation)}
    if item.told.get("contentEncoding") == "gzip":
        if "gzip" not in request.headers.get("Accept-Encoding", ""):
            return web.Response(body=gzip.decompress(data), headers=headers)
        headers["Content-Encoding"] = "gzip"
    headers["X-Goog-Hash"] = f"crc32c={crc32c(data)},md5=AAAA"
    if service.damages_reads and data:
        data = bytes([data[0] ^ 1]) + data[1:]
    found = re.fullmatch(r"bytes=(\d+)-(\d*)", request.headers.get("Range", ""))
    if found is None:
        return web.Response(body=data, headers=headers)
    first, last = int(found[1]), int(found[2] or len(data))
    if first >= len(data):
        raise Refusal(416, "requestedRangeNotSatisfiable")
    return web.Response(status=206, body=data[first : last + 1], headers=headers)


def _delete(service: Service, request: Request) -> web.Response:
    bucket, name = service.bucket(request.named["bucket"]), request.named["name"]
    bucket.find(name, request.query)
    del bucket.items[name]
    return web.Response(status=204)


def _patch(service: Service, request: Request) -> web.Response:
    bucket = service.bucket(request.named["bucket"])
    return _told(bucket.patch(request.named["name"], request.document, request.query))


def _compose(service: Service, request: Request) -> web.Response:
    bucket, asked = service.bucket(request.named["bucket"]), request.document
    told = asked.get("destination") or {}
    return _told(bucket.compose(request.named["name"], asked["sourceObjects"], told, request.query))


def _rewrite(service: Service, request: Request) -> web.Response:
    """A part of the copy with each call; the token is good for the same request only."""
    source = service.bucket(request.named["bucket"])
    source_query = {"sourceGeneration": request.query.get("sourceGeneration", "")}
    conditions = {name: request.query[name] for name in CONDITIONS & {*request.query}}
    item = source.find(
        request.named["name"], {k: v for k, v in source_query.items() if v}, "sourceGeneration"
    )
    target = service.bucket(request.named["to_bucket"])
    target.require(request.named["to_name"], conditions)
    asked = (item.generation, dict(request.named), request.document, conditions)
    token = request.query.get("rewriteToken", "")
    known, done = (
        service.moves.get(token, (asked, 0)) if token in service.moves or not token else (0, 0)
    )
    if known != asked:
        raise Refusal(400, "invalid", "a rewriteToken of another request")
    if done + 1 < service.rewrites:
        service.moves[f"t{done + 1}"] = (asked, done + 1)
        return web.json_response({"done": False, "rewriteToken": f"t{done + 1}"})
    told = request.document or item.told
    copy = target.store(
        request.named["to_name"], item.data, told, conditions, components=item.components
    )
    return web.json_response({"done": True, "resource": copy.resource()})


def _upload(service: Service, request: Request) -> web.Response:
    bucket = service.bucket(request.named["bucket"])
    if request.query.get("uploadType") == "resumable":
        return _begin(service, bucket, request)
    if request.query.get("uploadType") != "multipart":
        raise Refusal(400, "invalid", "uploadType")
    told, kind, data = _parts_of(request)
    data, told = _damaged(service, data, {"contentType": kind, **told})
    return _told(bucket.store(told["name"], data, told, request.query))


def _damaged(service: Service, data: bytes, told: Resource) -> tuple[bytes, Resource]:
    if service.ignores_hashes:
        told.pop("crc32c", None)
    return (bytes([data[0] ^ 1]) + data[1:] if service.damages_writes and data else data), told


def _parts_of(request: Request) -> tuple[Resource, str, bytes]:
    """The two parts of a multipart/related body: the resource, the type and the bytes."""
    kind = request.raw.headers["Content-Type"]
    boundary = re.fullmatch(r"multipart/related; boundary=(\w+)", kind)
    if boundary is None:
        raise Refusal(400, "invalid", f"Content-Type {kind}")
    mark = f"--{boundary[1]}".encode()
    head, first, second, end = request.body.split(mark, 3)
    if head or not end.startswith(b"--"):
        raise Refusal(400, "invalid", "no multipart body")
    resource = json.loads(first.partition(b"\r\n\r\n")[2])
    headers, _, data = second.partition(b"\r\n\r\n")
    return resource, headers.decode().partition(": ")[2].strip(), data.removesuffix(b"\r\n")


def _begin(service: Service, bucket: Bucket, request: Request) -> web.Response:
    name = request.query["name"]
    conditions = {key: value for key, value in request.query.items() if key in CONDITIONS}
    bucket.require(name, conditions)
    token = f"s{len(service.sessions)}"
    service.sessions[token] = Upload(bucket, name, request.document, conditions)
    path = f"/upload/storage/v1/b/{bucket.name}/o?uploadType=resumable&upload_id={token}"
    return web.Response(headers={"Location": service.url + path})


def _session_of(service: Service, request: Request) -> Upload:
    token = request.query.get("upload_id", "")
    if token not in service.sessions:
        raise Refusal(404, "notFound", "no such upload")
    return service.sessions[token]


def _chunk(service: Service, request: Request) -> web.Response:
    upload = _session_of(service, request)
    body, told = _damaged(service, request.body, upload.told)
    hashes = "" if service.ignores_hashes else request.raw.headers.get("X-Goog-Hash", "")
    place = request.raw.headers.get("Content-Range", "")
    upload.told = told
    item = upload.put(place, body, hashes, request.keeps)
    return _told(item) if item else web.Response(status=308, headers=upload.range)


def _cancel(service: Service, request: Request) -> web.Response:
    upload = _session_of(service, request)
    upload.ended = True
    return web.Response(status=499)


Verb = Callable[[Service, Request], web.Response]
Route = tuple[str, str, frozenset[str], Verb]
ROUTES: Final[tuple[Route, ...]] = (
    ("POST", BUCKETS, frozenset({"project"}), _make_bucket),
    ("GET", BUCKETS, frozenset({"project", "maxResults", "pageToken"}), _list_buckets),
    ("GET", rf"{BUCKETS}/(?P<bucket>[^/]+)", frozenset(), _find_bucket),
    ("DELETE", rf"{BUCKETS}/(?P<bucket>[^/]+)", frozenset(), _delete_bucket),
    ("GET", OBJECTS, PAGING, _list),
    ("GET", OBJECT, CONDITIONS | {"alt", "generation"}, _get),
    ("DELETE", OBJECT, CONDITIONS, _delete),
    ("PATCH", OBJECT, CONDITIONS, _patch),
    ("POST", rf"{OBJECT}/compose", CONDITIONS, _compose),
    ("POST", REWRITE, REWRITING, _rewrite),
    ("POST", UPLOADS, UPLOADING, _upload),
    ("PUT", UPLOADS, UPLOADING, _chunk),
    ("DELETE", UPLOADS, UPLOADING, _cancel),
)
