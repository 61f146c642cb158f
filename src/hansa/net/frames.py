"""Frames: how messages are told apart on a link. Sans-I/O; format: docs/spec/frames.md.

Frame: length of the payload (4, big-endian) ‖ kind (1) ‖ payload.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

from hansa import limits
from hansa.errors import ProtocolError

HEADER = struct.Struct(">IB")


class Kind(IntEnum):
    """What a frame carries."""

    HELLO = 1
    """Who speaks, once, first."""
    REFUSAL = 2
    """Why the link ends."""
    MESSAGE = 3
    """A message of the agreement."""
    CALL = 4
    ANSWER = 5
    FAILURE = 6
    PING = 7
    """Nothing to say, but still here: each side sends one when it was quiet for a while."""


EMPTY_KINDS = frozenset({Kind.PING})
"""Frames without a payload."""

_kinds = {int(kind): kind for kind in Kind}


@dataclass(frozen=True, slots=True)
class Frame:
    """One whole frame."""

    kind: Kind
    payload: bytes


def encode_frame_header(kind: Kind, payload_bytes: int) -> bytes:
    """Return the five bytes before a payload.

    Raises:
        ProtocolError: the payload is longer than a frame may be.
    """
    if payload_bytes > limits.FRAME_BYTES_MAX:
        raise ProtocolError(
            f"A message of {payload_bytes} bytes is longer than {limits.FRAME_BYTES_MAX} allowed."
        )
    return HEADER.pack(payload_bytes, kind)


class FrameParser:
    """Cuts a stream into frames as it arrives; never holds more than one unfinished frame."""

    def __init__(self, payload_bytes_max: int = limits.FRAME_BYTES_MAX) -> None:
        """Begin with an empty stream.

        Args:
            payload_bytes_max: refuse longer frames; may be changed between frames.
        """
        self.payload_bytes_max = payload_bytes_max
        self._buffer = bytearray()

    @property
    def buffered_bytes(self) -> int:
        """Bytes of an unfinished frame."""
        return len(self._buffer)

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Yield the frames that `data` finishes; the iterator must be run to its end.

        A length is believed only as far as bytes arrive: nothing is allocated for an announcement.

        Raises:
            ProtocolError: unknown kind, too long, or a payload where none may be. The link must
                be closed; nothing more can be told apart on it.
        """
        buffer = self._buffer
        buffer += data
        offset = 0
        while len(buffer) - offset >= HEADER.size:
            length, number = HEADER.unpack_from(buffer, offset)
            kind = _kinds.get(number)
            if kind is None:
                raise ProtocolError(f"A frame of unknown kind {number} arrived.")
            if length > self.payload_bytes_max or (length and kind in EMPTY_KINDS):
                raise ProtocolError(
                    f"A frame of kind {kind.name} and {length} bytes is too long here;"
                    f" {self.payload_bytes_max} are allowed."
                )
            end = offset + HEADER.size + length
            if end > len(buffer):
                break
            with memoryview(buffer) as view:
                payload = bytes(view[offset + HEADER.size : end])
            offset = end
            yield Frame(kind, payload)
        del buffer[:offset]
