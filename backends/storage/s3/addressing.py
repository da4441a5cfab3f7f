"""Where a bucket stands in the URLs of an endpoint: in the path, or in the name of the host."""

import re
from contextlib import suppress
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from backends.signing import encode_path

LABEL: Final = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")
LABELS: Final = re.compile(rf"{LABEL.pattern}(\.{LABEL.pattern})*")
AMAZON: Final = re.compile(r"\.amazonaws\.com(\.cn)?$")


class Addressing:
    """One endpoint, which may have a port and a path of its own.

    A bucket stands in the path where `virtual` is False, where the host is an IP address, and
    where its name cannot be part of a host's: over https also one with a dot, for which no
    certificate is good.
    """

    def __init__(self, endpoint: str, *, virtual: bool) -> None:
        parts = urlsplit(endpoint)
        self.scheme = parts.scheme
        self._host = parts.netloc.rpartition("@")[2]
        self._before = parts.path.rstrip("/")
        self._names = LABEL if self.scheme == "https" else LABELS
        self._virtual = virtual and not _is_address(parts.hostname or "")

    def place(self, bucket: str, key: str = "") -> tuple[str, str]:
        """Host and encoded path."""
        if self._virtual and self._names.fullmatch(bucket):
            return f"{bucket}.{self._host}", self._before + encode_path(f"/{key}")
        path = f"/{bucket}/{key}" if key else f"/{bucket}"
        return self._host, self._before + encode_path(path)


def is_amazon(endpoint: str) -> bool:
    """Whether the endpoint is Amazon's own, whose style is the bucket in the host's name."""
    return bool(AMAZON.search(urlsplit(endpoint).hostname or ""))


def _is_address(host: str) -> bool:
    with suppress(ValueError):
        return bool(ip_address(host))
    return False
