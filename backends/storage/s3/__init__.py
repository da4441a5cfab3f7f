"""The ObjectStore on Amazon S3 and what speaks like it."""

from backends.storage.s3.options import S3Options
from backends.storage.s3.store import S3Store

__all__ = ["S3Options", "S3Store"]
