"""Which names a bucket may have (S3 API, Bucket naming rules)."""

import re
from typing import Final

from s3proxy.gateway.errors import InvalidBucketName

SHAPE: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]|\.(?=[a-z0-9])){1,61}[a-z0-9]")
ADDRESS: Final = re.compile(r"\d+\.\d+\.\d+\.\d+")
DASH_AND_DOT: Final = re.compile(r"-\.|\.-")
RESERVED_STARTS: Final = ("xn--", "sthree-", "amzn-s3-demo-")
RESERVED_ENDS: Final = ("-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3")


def require_bucket_name(name: str) -> None:
    """Return if a bucket may be called so; InvalidBucketName says which rule it breaks."""
    if not SHAPE.fullmatch(name) or DASH_AND_DOT.search(name):
        raise InvalidBucketName(
            f"{name!r}: a bucket name has 3 to 63 lower-case letters, digits, dots and hyphens, "
            "and starts, ends and surrounds each dot with a letter or digit"
        )
    if ADDRESS.fullmatch(name):
        raise InvalidBucketName(f"{name!r}: a bucket name must not look like an IP address")
    if name.startswith(RESERVED_STARTS) or name.endswith(RESERVED_ENDS):
        raise InvalidBucketName(f"{name!r}: the beginning or the end of the name is reserved")
