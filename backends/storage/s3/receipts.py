"""Whether an endpoint received the bytes that were sent, as far as its answers to writes tell."""

import base64
import re
from collections.abc import AsyncIterator
from typing import Final

import anycrc

from backends.errors import Unavailable
from backends.storage.http1 import Response
from backends.storage.s3.attributes import ENCRYPTION, KEYED

MD5: Final = re.compile(r"[0-9a-f]{32}")
CRC: Final = "x-amz-checksum-crc64nvme"
MODEL: Final = anycrc.Model("CRC64-NVME")


def crc_of(data: bytes, before: int = 0) -> int:
    """The CRC64NVME of bytes that follow those whose CRC is `before`."""
    return int(MODEL.calc(data, before))


class Counted:
    """Blocks on their way through; `crc` is that of those that passed, None unless `enabled`."""

    def __init__(self, blocks: AsyncIterator[bytes], *, enabled: bool) -> None:
        self._blocks = blocks
        self.crc = 0 if enabled else None

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for block in self._blocks:
            if self.crc is not None:
                self.crc = crc_of(block, self.crc)
            yield block


class Receipts:
    """Reads answers to writes. `tell_crc`: the last one named a CRC64NVME, `told_crc`: any did.

    Amazon's do so since December 2024 though none was sent, whatever encrypts the object.
    `etags_are_md5` as the settings say.
    """

    def __init__(self, *, etags_are_md5: bool) -> None:
        self.tell_crc = self.told_crc = False
        self._md5 = etags_are_md5

    def learn(self, answer: Response) -> None:
        """Take from an answer what the next one will tell."""
        self.tell_crc = CRC in answer.headers
        self.told_crc = self.told_crc or self.tell_crc

    def differ(self, answer: Response, md5: str, crc: int | None = None) -> bool | None:
        """Whether other bytes were received than were sent; None where that cannot be known.

        `md5` is in hexadecimal digits, or "" where it is not known.
        """
        told = answer.headers.get(CRC)
        if crc is not None and told is not None:
            return told != base64.b64encode(crc.to_bytes(8, "big")).decode()
        etag = etag_of(answer)
        keyed = answer.headers.get(ENCRYPTION, "") in KEYED
        if keyed or not self._md5 or not MD5.fullmatch(etag) or not MD5.fullmatch(md5):
            return None
        return etag != md5


def etag_of(answer: Response) -> str:
    """The ETag of what was stored. Unavailable where the answer has none: no S3 gave it."""
    etag = answer.headers.get("etag", "").strip('"')
    if not etag:
        raise Unavailable("the storage's answer to a write has no ETag")
    return etag
