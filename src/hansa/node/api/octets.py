"""Bodies in the canonical encoding: read within bounds, answered with a length and a tag."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from litestar import Request, Response
from litestar.datastructures import State
from litestar.openapi.spec import OpenAPIMediaType, OpenAPIResponse, Operation, RequestBody, Schema
from litestar.openapi.spec.enums import OpenAPIFormat, OpenAPIType
from litestar.response import Stream
from typing_extensions import override

from hansa import limits
from hansa.codec import decode, encode
from hansa.errors import InvalidError

T = TypeVar("T")
OCTETS = "application/octet-stream"
_FIRST_LAST = re.compile(r"bytes=([0-9]{1,18})-([0-9]{1,18})")
_SCHEMA = Schema(type=OpenAPIType.STRING, format=OpenAPIFormat.BINARY)

AnyRequest = Request[object, object, State]


@dataclass
class OctetsOperation(Operation):
    """Describes a call whose body is octets."""

    def __post_init__(self) -> None:
        self.request_body = RequestBody(
            content={OCTETS: OpenAPIMediaType(schema=_SCHEMA)}, required=True
        )


@dataclass
class OctetsAnswerOperation(Operation):
    """Describes a call whose answer is octets."""

    def __post_init__(self) -> None:
        self.responses = dict(self.responses or {}) | {
            "200": OpenAPIResponse(
                description="octets", content={OCTETS: OpenAPIMediaType(schema=_SCHEMA)}
            )
        }


@dataclass
class OctetsBothOperation(OctetsOperation, OctetsAnswerOperation):
    """Describes a call with octets both ways."""

    @override
    def __post_init__(self) -> None:
        OctetsOperation.__post_init__(self)
        OctetsAnswerOperation.__post_init__(self)


async def read_octets(
    request: AnyRequest,
    kind: type[T],
    *,
    bytes_max: int = limits.REQUEST_BODY_BYTES_MAX,
    before: Callable[[int], Awaitable[None]] | None = None,
) -> T:
    """Return the value that a request's body is the canonical encoding of.

    Args:
        request: under way.
        kind: of the value.
        bytes_max: refuse a longer body.
        before: waited for between the arrival of the body, whose length it is given, and a look at it.

    Raises:
        InvalidError: of another content type, too long, truncated or malformed.
    """
    content_type = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if content_type != OCTETS:
        raise InvalidError(
            f"This call takes {OCTETS}, not {content_type or 'a body without a type'}.",
            remedy=f"Send the canonical encoding with Content-Type: {OCTETS}.",
        )
    body = await request.body()
    if before is not None:
        await before(len(body))
    return decode(kind, body, bytes_max=bytes_max)


def answer_octets(value: object) -> Response[bytes]:
    """Answer with a value's canonical encoding."""
    data = value if isinstance(value, bytes) else encode(value)
    return Response(data, media_type=OCTETS)


@dataclass(frozen=True, slots=True)
class ByteRange:
    """One range of an object, first and last byte included."""

    first: int
    last: int

    @property
    def length(self) -> int:
        """Return how many bytes it spans."""
        return self.last - self.first + 1


class UnsatisfiableRangeError(InvalidError):
    """The range lies outside of the object."""

    http_status = 416

    def __init__(self, total: int) -> None:
        super().__init__(
            f"The range lies outside of the {total} bytes there are.",
            remedy="Ask for bytes=FIRST-LAST inside of it.",
        )


def parse_range(header: str | None, total: int) -> ByteRange | None:
    """Return the one range of a Range header (RFC 9110 section 14); None for the whole object.

    A header of another unit, malformed or with several ranges is ignored, as the RFC allows.

    Raises:
        UnsatisfiableRangeError: it lies outside of the object.
    """
    if header is None or not header.startswith("bytes="):
        return None
    first_text, dash, last_text = header.removeprefix("bytes=").strip().partition("-")
    if not dash or not all(
        t.isascii() and t.isdigit() and len(t) < 19 for t in (first_text, last_text) if t
    ):
        return None
    if first_text:
        first = int(first_text)
        last = min(int(last_text), total - 1) if last_text else total - 1
        if last_text and int(last_text) < first:
            return None
    elif last_text:
        first, last = max(0, total - int(last_text)), total - 1
    else:
        return None
    if first >= total or first > last:
        raise UnsatisfiableRangeError(total)
    return ByteRange(first, last)


def parse_short_range(header: str | None, length_max: int) -> ByteRange | None:
    """Return a range that names its first and last byte and is no longer than `length_max`, or None."""
    found = _FIRST_LAST.fullmatch(header or "")
    if found is None:
        return None
    wanted = ByteRange(int(found.group(1)), int(found.group(2)))
    return wanted if 0 < wanted.length <= length_max else None


def choose_range(request: AnyRequest, etag: str, total: int) -> ByteRange | None:
    """Return the range to serve; None for the whole, also where If-Range names another object."""
    if_range = request.headers.get("if-range")
    if if_range is not None and if_range.strip() != etag:
        return None
    return parse_range(request.headers.get("range"), total)


def is_unchanged(request: AnyRequest, etag: str) -> bool:
    """Tell whether the caller has this object already (If-None-Match)."""
    held = request.headers.get("if-none-match", "")
    return held.strip() == "*" or etag in [tag.strip() for tag in held.split(",")]


def answer_part(data: bytes, *, etag: str, total: int, wanted: ByteRange) -> Response[bytes]:
    """Answer with the bytes of one range (206)."""
    headers = {
        "ETag": etag,
        "Accept-Ranges": "bytes",
        "Content-Range": f"bytes {wanted.first}-{wanted.last}/{total}",
    }
    return Response(data, status_code=206, media_type=OCTETS, headers=headers)


def answer_stream(
    pieces: AsyncIterator[bytes], *, etag: str, total: int, wanted: ByteRange | None
) -> Stream:
    """Answer with pieces of known total length as they come, whole (200) or a range (206)."""
    length = total if wanted is None else wanted.length
    headers = {"ETag": etag, "Accept-Ranges": "bytes", "Content-Length": str(length)}
    if wanted is not None:
        headers["Content-Range"] = f"bytes {wanted.first}-{wanted.last}/{total}"
    return Stream(
        pieces, status_code=200 if wanted is None else 206, media_type=OCTETS, headers=headers
    )
