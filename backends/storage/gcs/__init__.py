"""The ObjectStore on Google Cloud Storage."""

from backends.storage.gcs.options import GCSOptions
from backends.storage.gcs.store import GCSStore

__all__ = ["GCSOptions", "GCSStore"]
