"""Tests of hansa.net.frames."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa import limits
from hansa.errors import ProtocolError
from hansa.net.frames import EMPTY_KINDS, HEADER, Frame, FrameParser, Kind, encode_frame_header

FULL_KINDS = sorted(set(Kind) - EMPTY_KINDS)


def encode(frame):
    """Return a frame's bytes."""
    return encode_frame_header(frame.kind, len(frame.payload)) + frame.payload


@given(
    st.lists(st.builds(Frame, st.sampled_from(FULL_KINDS), st.binary(max_size=60)), max_size=8),
    st.lists(st.integers(0, 600), max_size=12),
)
def test_frames_survive_any_cutting_of_the_stream(frames, cuts):
    """However the bytes arrive, the same frames come out, and nothing is left."""
    data = b"".join(encode(frame) for frame in frames)
    places = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    parser = FrameParser()
    seen = []
    for start, end in pairwise(places):
        seen += parser.feed(data[start:end])
    assert seen == frames
    assert parser.buffered_bytes == 0


@given(st.binary(max_size=200))
def test_any_bytes_are_frames_or_a_protocol_error(data):
    """Nothing else comes out, and no more than what arrived is held."""
    parser = FrameParser()
    try:
        list(parser.feed(data))
    except ProtocolError:
        return
    assert parser.buffered_bytes <= len(data)


def test_an_announced_length_is_not_allocated():
    """A frame at the bound, announced: only what arrived is held."""
    parser = FrameParser()
    assert list(parser.feed(HEADER.pack(limits.FRAME_BYTES_MAX, Kind.CALL) + b"abc")) == []
    assert parser.buffered_bytes == HEADER.size + 3


def test_one_unfinished_frame_is_all_that_is_held():
    """Byte by byte, the buffer empties with each frame."""
    parser = FrameParser()
    data = encode(Frame(Kind.MESSAGE, b"x" * 50)) * 3
    for byte in data:
        list(parser.feed(bytes([byte])))
        assert parser.buffered_bytes < HEADER.size + 50
    assert parser.buffered_bytes == 0


@pytest.mark.parametrize(
    "data",
    [
        HEADER.pack(limits.FRAME_BYTES_MAX + 1, Kind.CALL),
        HEADER.pack(0xFFFFFFFF, Kind.MESSAGE),
        HEADER.pack(0, 0),
        HEADER.pack(0, max(Kind) + 1),
        HEADER.pack(1, Kind.PING),
    ],
)
def test_bad_headers_are_refused_at_once(data):
    """Too long, of no kind, a payload where none may be: before any payload arrives."""
    with pytest.raises(ProtocolError):
        list(FrameParser().feed(data))


def test_the_bound_can_be_raised_between_two_frames():
    """A link lets long frames in only after the greeting."""
    parser = FrameParser(10)
    data = encode(Frame(Kind.HELLO, b"hello")) + encode(Frame(Kind.MESSAGE, b"m" * 11))
    seen = []
    for frame in parser.feed(data):
        seen.append(frame.kind)
        parser.payload_bytes_max = 11
    assert seen == [Kind.HELLO, Kind.MESSAGE]
    with pytest.raises(ProtocolError, match="too long"):
        list(FrameParser(10).feed(encode(Frame(Kind.MESSAGE, b"m" * 11))))


def test_a_frame_beyond_the_bound_cannot_be_made():
    """The sender notices first."""
    with pytest.raises(ProtocolError):
        encode_frame_header(Kind.MESSAGE, limits.FRAME_BYTES_MAX + 1)
    assert encode_frame_header(Kind.PING, 0) == b"\0\0\0\0\x07"
