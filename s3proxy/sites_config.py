"""Settings of this site towards others: its listener, the secret they share, how it replicates."""

from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator, model_validator

from s3proxy.section import Certified

MIB = 1024 * 1024
LEAST_SECRET = 32
ALONE = "this site knows no others: set sites.secret, the same at every site, and restart"


class Sites(Certified):
    """The listener that other sites reach, opened where there is a secret, and replication."""

    host: str = "127.0.0.1"
    port: int = Field(default=9003, ge=0, le=65535)
    ca_file: Path | None = None
    endpoint: str = Field(default="", pattern=r"^(https?://.+)?$")
    secret: str = Field(default="", repr=False)
    clock_seconds: float = Field(default=5.0, gt=0)
    at_once: int = Field(default=32, ge=1, le=1024)
    whole_bytes: int = Field(default=64 * MIB, ge=0, le=5 * 1024 * MIB)
    part_bytes: int = Field(default=16 * MIB, ge=5 * MIB, le=5 * 1024 * MIB)
    retry_seconds: float = Field(default=0.2, gt=0)
    retry_most_seconds: float = Field(default=60.0, gt=0)
    attempts: int = Field(default=10, ge=1)
    timeout_seconds: float = Field(default=30.0, gt=0)
    compression: Literal["none", "zstd"] = "none"
    remote_read: Literal["off", "read", "restore"] = "restore"
    probe_seconds: float = Field(default=2.0, gt=0)
    negative_seconds: float = Field(default=2.0, ge=0)

    @property
    def url(self) -> str:
        """How other sites reach this one."""
        scheme = "https" if self.certificate else "http"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return self.endpoint or f"{scheme}://{host}:{self.port}"

    @field_validator("secret")
    @classmethod
    def _is_long(cls, secret: str) -> str:
        if secret and len(secret) < LEAST_SECRET:
            raise ValueError(f"a secret has at least {LEAST_SECRET} characters")
        return secret

    @model_validator(mode="after")
    def _clients_are_known_over_tls_alone(self) -> "Sites":
        if self.ca_file and not self.certificate:
            raise ValueError(
                "ca_file needs a certificate and its key: without TLS nobody shows one"
            )
        return self
