"""Settings of storages: which kind, how it is reached, what lies around it."""

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from s3proxy.section import Section

MIB = 1024 * 1024


class S3Backend(Section):
    """An S3 endpoint behind the gateway."""

    endpoint: str = Field(default="", pattern=r"^(https?://.+)?$")
    region: str = "us-east-1"
    access_key: str = ""
    secret_key: str = Field(default="", repr=False)
    session_token: str = Field(default="", repr=False)
    profile: str = ""
    virtual_host: bool = False
    ca_file: str = ""
    part_bytes: int = Field(default=64 * MIB, ge=5 * MIB, le=5 * 1024 * MIB)
    parts_at_once: int = Field(default=2, ge=1, le=64)
    copy_bytes: int = Field(default=5 * 1024 * MIB, ge=5 * MIB, le=5 * 1024 * MIB)
    connections: int = Field(default=256, ge=1)
    connect_seconds: float = Field(default=5.0, gt=0)
    read_seconds: float = Field(default=60.0, gt=0)
    etags_are_md5: bool = True
    conditional_writes: bool = True
    bucket_tags: bool = True
    object_tags: bool = True

    @model_validator(mode="after")
    def _both_or_none(self) -> "S3Backend":
        if bool(self.access_key) != bool(self.secret_key):
            raise ValueError("access_key and secret_key go together")
        return self


class AzureBackend(Section):
    """An Azure storage account behind the gateway."""

    connection_string: str = Field(default="", repr=False)
    account_url: str = Field(default="", pattern=r"^(https?://.+)?$")
    account_key: str = Field(default="", repr=False)
    sas_token: str = Field(default="", repr=False)
    block_bytes: int = Field(default=4 * MIB, ge=MIB, le=100 * MIB)
    piece_bytes: int = Field(default=MIB, ge=MIB // 4, le=32 * MIB)
    connect_seconds: float = Field(default=5.0, gt=0)
    read_seconds: float = Field(default=60.0, gt=0)


class GCSBackend(Section):
    """Google Cloud Storage behind the gateway."""

    project: str = ""
    service_account_file: str = ""
    endpoint: str = Field(default="", pattern=r"^(https?://.+)?$")
    anonymous: bool = False
    location: str = ""
    chunk_bytes: int = Field(default=4 * MIB, ge=MIB // 4, le=100 * MIB)
    connections: int = Field(default=256, ge=1)
    connect_seconds: float = Field(default=5.0, gt=0)
    read_seconds: float = Field(default=60.0, gt=0)


class Limits(Section):
    """What a storage may take, and how long."""

    read_bytes_per_second: int = Field(default=0, ge=0)
    write_bytes_per_second: int = Field(default=0, ge=0)
    call_seconds: float = Field(default=60.0, gt=0)
    block_seconds: float = Field(default=60.0, gt=0)
    failures: int = Field(default=8, ge=1)
    pause_seconds: float = Field(default=5.0, gt=0)


class Buffer(Section):
    """Where writes wait for a storage that does not take them."""

    mode: Literal["off", "unsteady", "always"] = "off"
    path: Path | None = None
    max_bytes: int = Field(default=10 * 1024 * MIB, ge=1)
    unsteady_seconds: float = Field(default=30.0, gt=0)
    retry_seconds: float = Field(default=1.0, gt=0)
    longest_retry_seconds: float = Field(default=300.0, gt=0)


class Backend(Section):
    """One storage."""

    kind: Literal["local", "s3", "azure", "gcs"] = "local"
    path: Path | None = None
    bucket_prefix: str = Field(default="", pattern=r"^[a-z0-9.-]{0,40}$")
    s3: S3Backend = S3Backend()
    azure: AzureBackend = AzureBackend()
    gcs: GCSBackend = GCSBackend()
    limits: Limits = Limits()
    buffer: Buffer = Buffer()

    @model_validator(mode="after")
    def _local_disk_needs_no_buffer(self) -> "Backend":
        if self.kind == "local" and self.buffer.mode != "off":
            raise ValueError("a local storage has no buffer: it is the disk already")
        return self

    @model_validator(mode="after")
    def _azure_has_an_account(self) -> "Backend":
        named = self.azure.connection_string or self.azure.account_url
        if self.kind == "azure" and not named:
            raise ValueError("azure needs a connection_string or an account_url")
        return self


class Storage(Backend):
    """Where bytes lie, unless a bucket has another place; and the folder of all that is ours."""

    data: Path = Path("ccs-data")
    durable: bool = True


class NamedStorage(Backend):
    """Another storage, and which buckets are made there."""

    buckets: tuple[str, ...] = ()
    location: str = Field(default="", pattern=r"^[A-Za-z0-9-]{0,64}$")
