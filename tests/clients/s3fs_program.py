"""A day of s3fs against an endpoint: URL ACCESS SECRET BUCKET. Exits 0 if all was right."""

import sys

from s3fs import S3FileSystem

MIB = 1024 * 1024
CONTENT = bytes(range(256)) * (4096 * 12)


def writing_and_reading(files: S3FileSystem, bucket: str) -> None:
    """Write small and large, then read whole and from the middle."""
    for name, content in {"small": b"meow", "deep/er/large": CONTENT}.items():
        with files.open(f"{bucket}/{name}", "wb") as out:
            out.write(content)
        assert files.cat(f"{bucket}/{name}") == content, name
    with files.open(f"{bucket}/deep/er/large", "rb") as source:
        source.seek(6 * MIB + 1)
        assert source.read(300) == CONTENT[6 * MIB + 1 :][:300]


def looking(files: S3FileSystem, bucket: str) -> None:
    assert files.find(bucket) == [f"{bucket}/deep/er/large", f"{bucket}/small"]
    assert files.ls(bucket, detail=False) == [f"{bucket}/deep", f"{bucket}/small"]
    assert files.glob(f"{bucket}/**/lar*") == [f"{bucket}/deep/er/large"]
    assert files.isdir(f"{bucket}/deep")
    assert files.info(f"{bucket}/small")["size"] == 4
    assert not files.exists(f"{bucket}/never")


def moving(files: S3FileSystem, bucket: str) -> None:
    files.copy(f"{bucket}/small", f"{bucket}/a copy+%")
    files.mv(f"{bucket}/a copy+%", f"{bucket}/moved")
    assert files.cat(f"{bucket}/moved") == b"meow"
    files.pipe({f"{bucket}/many/{number}": b"x" for number in range(30)})
    assert len(files.find(f"{bucket}/many")) == 30


def removing(files: S3FileSystem, bucket: str) -> None:
    files.rm(bucket, recursive=True)
    files.invalidate_cache()
    assert not files.exists(bucket)


def main(url: str, access: str, secret: str, bucket: str) -> None:
    files = S3FileSystem(key=access, secret=secret, endpoint_url=url, skip_instance_cache=True)
    files.mkdir(bucket)
    writing_and_reading(files, bucket)
    looking(files, bucket)
    moving(files, bucket)
    removing(files, bucket)


if __name__ == "__main__":
    main(*sys.argv[1:])
