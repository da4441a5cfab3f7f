"""Other programs that write into the storages: each vendor's own client."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import boto3
import google.auth.credentials
from azure.storage.blob import BlobBlock, BlobServiceClient, ContentSettings
from google.cloud.storage import Client

from tests.services.process import Service
from tests.services.servers import AZURE_ACCOUNT, AZURE_KEY, REGION, S3_ACCESS, S3_SECRET

MIB = 1024 * 1024


@dataclass(frozen=True)
class Foreign:
    """An object as another program writes it. Headers are by S3's names."""

    key: str
    data: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    metadata: Mapping[str, str] = field(default_factory=dict)

    @property
    def md5(self) -> str:
        return hashlib.md5(self.data).hexdigest()

    def parts(self) -> list[bytes]:
        """The bytes in pieces of 5 MiB."""
        return [self.data[at : at + 5 * MIB] for at in range(0, len(self.data), 5 * MIB)]


class Writer(Protocol):
    """Makes a bucket and writes into it: `put` in one request, `put_parts` in several.

    `replace` writes what is there already, `delete` removes it.
    """

    def make(self, bucket: str) -> None: ...

    def put(self, bucket: str, thing: Foreign) -> None: ...

    def put_parts(self, bucket: str, thing: Foreign) -> None: ...

    def replace(self, bucket: str, thing: Foreign) -> None: ...

    def delete(self, bucket: str, key: str) -> None: ...


class S3Writer:
    def __init__(self, service: Service) -> None:
        self._client: Any = boto3.client(
            "s3",
            endpoint_url=service.url,
            region_name=REGION,
            aws_access_key_id=S3_ACCESS,
            aws_secret_access_key=S3_SECRET,
        )

    def make(self, bucket: str) -> None:
        self._client.create_bucket(Bucket=bucket)

    def put(self, bucket: str, thing: Foreign) -> None:
        told = {name.title().replace("-", ""): text for name, text in thing.headers.items()}
        named = {"Bucket": bucket, "Key": thing.key, "Metadata": dict(thing.metadata)}
        self._client.put_object(**named, **told, Body=thing.data)

    def put_parts(self, bucket: str, thing: Foreign) -> None:
        named = {"Bucket": bucket, "Key": thing.key}
        upload = self._client.create_multipart_upload(**named)["UploadId"]
        parts = []
        for number, piece in enumerate(thing.parts(), start=1):
            answer = self._client.upload_part(
                **named, UploadId=upload, PartNumber=number, Body=piece
            )
            parts.append({"PartNumber": number, "ETag": answer["ETag"]})
        self._client.complete_multipart_upload(
            **named, UploadId=upload, MultipartUpload={"Parts": parts}
        )

    def replace(self, bucket: str, thing: Foreign) -> None:
        self.put(bucket, thing)

    def delete(self, bucket: str, key: str) -> None:
        self._client.delete_object(Bucket=bucket, Key=key)


class AzureWriter:
    def __init__(self, service: Service) -> None:
        url = f"{service.url}/{AZURE_ACCOUNT}"
        self._client = BlobServiceClient(url, credential=AZURE_KEY)

    def make(self, bucket: str) -> None:
        self._client.create_container(bucket)

    def put(self, bucket: str, thing: Foreign) -> None:
        told = {name.replace("-", "_"): text for name, text in thing.headers.items()}
        settings = ContentSettings(**told, content_md5=bytearray.fromhex(thing.md5))
        blob = self._client.get_blob_client(bucket, thing.key)
        blob.upload_blob(thing.data, metadata=dict(thing.metadata), content_settings=settings)

    def put_parts(self, bucket: str, thing: Foreign) -> None:
        blob = self._client.get_blob_client(bucket, thing.key)
        blocks = []
        for number, piece in enumerate(thing.parts()):
            blob.stage_block(f"{number:04}", piece)
            blocks.append(BlobBlock(f"{number:04}"))
        blob.commit_block_list(blocks)

    def replace(self, bucket: str, thing: Foreign) -> None:
        self.delete(bucket, thing.key)
        self.put(bucket, thing)

    def delete(self, bucket: str, key: str) -> None:
        self._client.get_blob_client(bucket, key).delete_blob()


class GCSWriter:
    def __init__(self, service: Service) -> None:
        credentials = google.auth.credentials.AnonymousCredentials()
        options = {"api_endpoint": service.url}
        self._client = Client(project="test", credentials=credentials, client_options=options)

    def make(self, bucket: str) -> None:
        self._client.create_bucket(bucket)

    def put(self, bucket: str, thing: Foreign) -> None:
        blob = self._client.bucket(bucket).blob(thing.key)
        blob.metadata = dict(thing.metadata)
        for name, text in thing.headers.items():
            setattr(blob, name.replace("-", "_"), text)
        blob.upload_from_string(thing.data, content_type=thing.headers.get("content-type"))

    def put_parts(self, bucket: str, thing: Foreign) -> None:
        sources = []
        for number, piece in enumerate(thing.parts()):
            source = self._client.bucket(bucket).blob(f"{thing.key}.{number}")
            source.upload_from_string(piece)
            sources.append(source)
        self._client.bucket(bucket).blob(thing.key).compose(sources)
        for source in sources:
            source.delete()

    def replace(self, bucket: str, thing: Foreign) -> None:
        self.put(bucket, thing)

    def delete(self, bucket: str, key: str) -> None:
        self._client.bucket(bucket).blob(key).delete()
