"""The gateway: S3 on the wire, our rules behind it."""

from typing import Final

DISTRIBUTION: Final = "clone-cloud-store"
