"""How an S3 storage is reached."""

from dataclasses import dataclass

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class S3Options:
    """`endpoint` is a URL; "" is Amazon's for the region. Sizes are bytes, times are seconds.

    Without keys the default credential chain is asked: environment, the `profile` of the shared
    files, container and instance roles. `ca_file` has the certificates to trust; "": the system's.
    `virtual_host` puts the bucket into the host's name, which is the style of Amazon's own
    endpoints anyway; others get it in the path otherwise.
    Bodies up to `part_bytes` are put in one request, longer ones as a multipart upload; those of
    unknown length in parts of 5 MiB, with `parts_at_once` of them in memory and under way. Objects
    above `copy_bytes` are copied in parts.
    `etags_are_md5`: the ETag of what is put in one request is its MD5, by which a long body is
    checked, unless the endpoint says that a key of its own encrypts it.
    Without `conditional_writes` the endpoint is one that ignores If-Match on writes, without
    `bucket_tags` one that has no tags for buckets, which carry their owner, without `object_tags`
    one that has none for objects, which carry what is known only after a long body: its checksum.
    """

    endpoint: str = ""
    region: str = "us-east-1"
    access_key: str = ""
    secret_key: str = ""
    session_token: str = ""
    profile: str = ""
    virtual_host: bool = False
    ca_file: str = ""
    part_bytes: int = 64 * MIB
    parts_at_once: int = 2
    copy_bytes: int = 5 * 1024 * MIB
    connections: int = 256
    connect_seconds: float = 5.0
    read_seconds: float = 60.0
    etags_are_md5: bool = True
    conditional_writes: bool = True
    bucket_tags: bool = True
    object_tags: bool = True
