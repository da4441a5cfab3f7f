"""A day of minio-py against an endpoint: HOST:PORT ACCESS SECRET BUCKET FOLDER. Exit 0: right."""

import io
import sys
from datetime import timedelta
from pathlib import Path
from urllib.request import urlopen

from minio import Minio
from minio.commonconfig import ComposeSource, CopySource
from minio.deleteobjects import DeleteObject

MIB = 1024 * 1024
SIZES = {"small": 11, "large": 20 * MIB + 7}


def files(client: Minio, bucket: str, folder: Path) -> None:
    """Put files, in one request and in parts, and get them back."""
    for name, size in SIZES.items():
        source, target = folder / name, folder / f"{name}.back"
        source.write_bytes(bytes(range(256)) * (size // 256) + b"x" * (size % 256))
        client.fput_object(bucket, f"files/{name}", str(source), part_size=5 * MIB)
        client.fget_object(bucket, f"files/{name}", str(target))
        assert target.read_bytes() == source.read_bytes(), name
        assert client.stat_object(bucket, f"files/{name}").size == size, name


def stream_of_unknown_length(client: Minio, bucket: str) -> None:
    content = b"stream" * MIB
    client.put_object(bucket, "stream", io.BytesIO(content), length=-1, part_size=5 * MIB)
    with client.get_object(bucket, "stream", offset=6, length=12) as got:
        assert got.read() == b"streamstream"


def listing(client: Minio, bucket: str) -> None:
    flat = [found.object_name for found in client.list_objects(bucket, recursive=True)]
    assert flat == ["files/large", "files/small", "stream"], flat
    folded = [found.object_name for found in client.list_objects(bucket)]
    assert sorted(map(str, folded)) == ["files/", "stream"], folded


def copies(client: Minio, bucket: str) -> None:
    client.copy_object(bucket, "copy", CopySource(bucket, "files/small"))
    sources = [ComposeSource(bucket, "files/large"), ComposeSource(bucket, "files/small")]
    client.compose_object(bucket, "composed", sources)
    assert client.stat_object(bucket, "composed").size == sum(SIZES.values())


def presigned(client: Minio, bucket: str) -> None:
    url = client.presigned_get_object(bucket, "copy", expires=timedelta(minutes=1))
    with urlopen(url) as got:
        assert len(got.read()) == SIZES["small"]


def removal(client: Minio, bucket: str) -> None:
    client.remove_object(bucket, "copy")
    rest = [str(found.object_name) for found in client.list_objects(bucket, recursive=True)]
    errors = list(client.remove_objects(bucket, [DeleteObject(name) for name in rest]))
    assert errors == [], errors
    client.remove_bucket(bucket)
    assert not client.bucket_exists(bucket)


def main(address: str, access: str, secret: str, bucket: str, folder: str) -> None:
    client = Minio(address, access_key=access, secret_key=secret, secure=False)
    client.make_bucket(bucket)
    files(client, bucket, Path(folder))
    stream_of_unknown_length(client, bucket)
    listing(client, bucket)
    copies(client, bucket)
    presigned(client, bucket)
    removal(client, bucket)


if __name__ == "__main__":
    main(*sys.argv[1:])
