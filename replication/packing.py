"""JSON between sites: compressed with zstd where it is long."""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple, TypeVar

from msgspec import MsgspecError, json

from backends.errors import Refused
from replication.compression import ZSTD, lengthened, shortened
from replication.messages import DECODED_LENGTH_HEADER, ENCODING_HEADER

SHORT: Final = 512
LONGEST: Final = 64 * 1024 * 1024
T = TypeVar("T")


class Packed(NamedTuple):
    """A document as it travels, and the headers that say how."""

    body: bytes
    headers: dict[str, str]


async def packed(value: Any) -> Packed:
    """The value in JSON."""
    text = json.encode(value)
    body = await shortened(text) if len(text) >= SHORT else None
    if body is None:
        return Packed(text, {})
    return Packed(body, {ENCODING_HEADER: ZSTD, DECODED_LENGTH_HEADER: str(len(text))})


def text_of(body: bytes, headers: Mapping[str, str], *, longest: int = LONGEST) -> bytes:
    """The JSON that travelled so. Refused where it is not as its headers say, or too long."""
    encoding = headers.get(ENCODING_HEADER, "")
    if not encoding:
        return body
    if encoding != ZSTD:
        raise Refused(f"{ENCODING_HEADER} is not {ZSTD}, but {encoding}")
    announced = headers.get(DECODED_LENGTH_HEADER, "")
    if not (announced.isascii() and announced.isdigit()) or len(announced) > len(str(longest)):
        raise Refused(f"{DECODED_LENGTH_HEADER} is no number of bytes: {announced}")
    if int(announced) > longest:
        raise Refused(f"a document of {announced} bytes is longer than {longest}")
    return lengthened(body, int(announced))


def value_of(text: bytes, kind: type[T]) -> T:
    """The value that the JSON says. Refused."""
    try:
        return json.decode(text, type=kind)
    except MsgspecError as error:
        raise Refused(f"the body is no {kind.__name__} of a site: {error}") from error
