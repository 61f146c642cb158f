"""Tests of hansa.data.chunk: sealing, tampering, and bombs."""

import hashlib
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.crypto.sealing import seal
from hansa.data.chunk import (
    compute_dictionary_id,
    compute_sealed_digest,
    open_chunk,
    open_chunk_into,
    seal_chunk,
)
from hansa.data.compression import Packer, Unpacker
from hansa.errors import CorruptError
from hansa.limits import CHUNK_BYTES_MAX, MIB, SEALED_CHUNK_BYTES_MAX
from hansa.types import ChunkId

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

ID = ChunkId(b"i" * 32)
KEY, NONCE = b"k" * 32, b"n" * 12
LONG = b"seven b" * 2_000
AAD = b"hansa.chunk\x00\x02" + ID


@given(st.binary(min_size=1, max_size=5_000))
def test_round_trip(data):
    """What was sealed opens to the same bytes."""
    assert open_chunk(ID, seal_chunk(ID, data, KEY, NONCE), KEY, len(data)) == data


@given(st.binary(min_size=1, max_size=5_000))
def test_round_trip_to_a_place(data):
    """Opened to a place of its length, a chunk is the same; bytes around it are left alone."""
    place = bytearray(b"x" * (len(data) + 2))
    sealed = seal_chunk(ID, data, KEY, NONCE)
    open_chunk_into(ID, sealed, KEY, memoryview(place)[1:-1])
    assert place == b"x" + data + b"x"


@pytest.mark.parametrize("data", [b"noise" * 3, LONG])
def test_nothing_unverified_is_left_in_a_place(data):
    """A flip, another chunk's id, another length: refused, and no plain byte is there."""
    sealed = seal_chunk(ID, data, KEY, NONCE)
    flipped = sealed[:-1] + bytes([sealed[-1] ^ 1])
    for chunk, given_sealed, length in (
        (ID, flipped, len(data)),
        (ChunkId(b"j" * 32), sealed, len(data)),
        (ID, sealed, len(data) - 1),
        (ID, sealed, len(data) + 1),
        (ID, sealed[:20], len(data)),
    ):
        place = bytearray(length)
        with pytest.raises(CorruptError):
            open_chunk_into(chunk, given_sealed, KEY, memoryview(place))
        assert not any(place)


def test_compression_only_where_it_helps():
    """Text shrinks; noise grows by 28 bytes and no more, at the longest chunk too."""
    noise = hashlib.shake_256(b"n").digest(CHUNK_BYTES_MAX)
    assert len(seal_chunk(ID, b"sensor,1\n" * 5_000, KEY, NONCE)) < 1_000
    assert len(seal_chunk(ID, noise, KEY, NONCE)) == CHUNK_BYTES_MAX + 28 <= SEALED_CHUNK_BYTES_MAX


def test_plaintext_does_not_show():
    """Nothing of the content is in the sealed bytes."""
    assert b"MARKER" not in seal_chunk(ID, b"MARKER" + bytes(100), KEY, NONCE)


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_any_changed_byte_is_found(place, flip):
    """A flip of any byte is refused."""
    sealed = bytearray(seal_chunk(ID, b"some content, long enough", KEY, NONCE))
    sealed[place % len(sealed)] ^= flip
    with pytest.raises(CorruptError):
        open_chunk(ID, bytes(sealed), KEY, 25)


def test_swapped_chunks_are_refused():
    """A sealed chunk put in another's place, or opened with another key, does not open."""
    sealed = seal_chunk(ID, b"content", KEY, NONCE)
    with pytest.raises(CorruptError):
        open_chunk(ChunkId(b"j" * 32), sealed, KEY, 7)
    with pytest.raises(CorruptError):
        open_chunk(ID, sealed, b"l" * 32, 7)


@pytest.mark.parametrize("length", [6, 8, 0, -1, CHUNK_BYTES_MAX + 1])
def test_length_is_judged(length):
    """A chunk that does not have the manifest's length is refused."""
    with pytest.raises(CorruptError):
        open_chunk(ID, seal_chunk(ID, b"content", KEY, NONCE), KEY, length)


@pytest.mark.parametrize("sealed", [b"", b"short", bytes(28), bytes(SEALED_CHUNK_BYTES_MAX + 1)])
def test_impossible_lengths_are_refused(sealed):
    """Sealed bytes that no chunk can have are refused before any work."""
    with pytest.raises(CorruptError):
        open_chunk(ID, sealed, KEY, 1)


@pytest.mark.parametrize(
    "body",
    [
        zstd.compress(bytes(64 * MIB)),
        zstd.compress(LONG) + b"more",
        zstd.compress(LONG)[:-1],
        zstd.compress(LONG[:-1]),
        zstd.compress(LONG + b"s"),
        zstd.compress(LONG) + zstd.compress(b""),
        b"no frame at all",
        LONG + b"s",
    ],
)
def test_hostile_bodies_are_refused(body):
    """Bombs, trailing bytes, cut frames and frames of another length are refused though properly sealed."""
    with pytest.raises(CorruptError):
        open_chunk(ID, seal(KEY, NONCE, body, AAD), KEY, len(LONG))


def test_another_dictionary_is_refused():
    """A chunk opens with the dictionary it was sealed with, and with no other and with none."""
    for data in (b"content " * 100, b"7 bytes"):
        mine, other = (
            (Packer(b"content of a kind", name * 32), Unpacker(b"content of a kind", name * 32))
            for name in (b"m", b"o")
        )
        sealed = seal_chunk(ID, data, KEY, NONCE, mine[0])
        assert open_chunk(ID, sealed, KEY, len(data), mine[1]) == data
        for unpacker in (other[1], Unpacker()):
            with pytest.raises(CorruptError):
                open_chunk(ID, sealed, KEY, len(data), unpacker)
        with pytest.raises(CorruptError):
            open_chunk(ID, seal_chunk(ID, data, KEY, NONCE), KEY, len(data), mine[1])


def test_a_dictionary_is_named_by_its_chunks():
    """Other chunks, or another order of them, have another name."""
    ids = [ChunkId(bytes([at]) * 32) for at in range(3)]
    names = {compute_dictionary_id(ids[:at]) for at in range(4)} | {
        compute_dictionary_id(ids[::-1])
    }
    assert len(names) == 5
    assert {len(name) for name in names} == {32}


def test_sealed_digest():
    """The sealed digest is 32 bytes and follows the bytes."""
    assert len(compute_sealed_digest(b"x")) == 32
    assert compute_sealed_digest(b"x") != compute_sealed_digest(b"y")
