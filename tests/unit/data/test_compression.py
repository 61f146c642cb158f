"""Tests of hansa.data.compression: frames that anybody can read, noise left alone, bombs kept small."""

import hashlib
import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.data.compression import PLAIN_UNPACKER, Packer, Unpacker, zstd
from hansa.errors import CorruptError
from hansa.limits import KIB, MIB

unpack = PLAIN_UNPACKER.unpack
TEXT = b"".join(b"%d,sensor,%d\n" % (n, n * n % 97) for n in range(4_000))


def noise(count, label=b"n"):
    """Return reproducible incompressible bytes."""
    return hashlib.shake_256(label).digest(count)


@given(st.lists(st.binary(min_size=1, max_size=60), min_size=1, max_size=40))
def test_frames_are_plain_zstd(parts):
    """One packer after the other chunk: each frame stands alone, for any reader of zstd."""
    packer = Packer()
    for chunk in (b"".join(parts), b"".join(parts) * 50, TEXT):
        packed = packer.pack(memoryview(chunk))
        if packed is not None:
            assert chunk == zstd.decompress(packed) == unpack(packed, len(chunk))
            assert len(packed) < len(chunk)


def test_noise_is_not_packed():
    """Short or long, what does not shrink has no frame."""
    for count in (1, 100, 15 * KIB, 64 * KIB, 256 * KIB):
        assert Packer().pack(noise(count)) is None


def test_a_chunk_that_is_noise_in_part_is_packed():
    """One look at the start or the middle that shrinks is enough to try the whole."""
    packer = Packer()
    for chunk in (TEXT + noise(20_000), noise(30_000) + TEXT, noise(9_000) + TEXT[:4_096] * 9):
        packed = packer.pack(chunk)
        assert packed is not None
        assert chunk == unpack(packed, len(chunk))
    few = bytes(byte & 15 for byte in noise(64 * KIB))
    assert len(packer.pack(few)) < 0.6 * len(few)


def test_threads_may_share_a_packer():
    """Every thread gets the frame that one thread alone gets."""
    packer = Packer()
    chunks = [TEXT[at:] for at in range(300)]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(packer.pack, chunks)) == [Packer().pack(chunk) for chunk in chunks]


@pytest.mark.parametrize(
    "packed",
    [
        zstd.compress(bytes(64 * MIB)),
        zstd.compress(TEXT) + b"more",
        zstd.compress(TEXT)[:-1],
        zstd.compress(TEXT[:-1]),
        zstd.compress(TEXT + b"x"),
        b"no frame",
        b"",
    ],
)
def test_what_is_no_frame_of_that_length_is_refused(packed):
    """Bombs, rests, cut frames and frames of another length."""
    with pytest.raises(CorruptError):
        unpack(packed, len(TEXT))


def test_no_room_is_made_for_a_bomb():
    """A frame that says it holds 64 MiB is refused before there is memory for them."""
    bomb = zstd.compress(bytes(64 * MIB))
    tracemalloc.start()
    try:
        with pytest.raises(CorruptError):
            unpack(bomb, len(TEXT))
        assert tracemalloc.get_traced_memory()[1] < MIB
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("dictionary", [b"", noise(20 * KIB)])
def test_what_was_refused_leaves_nothing_behind(dictionary):
    """After a frame that does not expand the same unpacker expands the next one, whole."""
    unpacker, packed = Unpacker(dictionary), Packer(dictionary).pack(TEXT)
    for _ in range(3):
        for bad in (packed[:-1], packed + b"more", b"no frame"):
            with pytest.raises(CorruptError):
                unpacker.unpack(bad, len(TEXT))
        with pytest.raises(CorruptError):
            unpacker.unpack(packed, len(TEXT) - 1)
        assert unpacker.unpack(packed, len(TEXT)) == TEXT


def test_a_frame_need_not_tell_its_length():
    """Nothing here makes such frames, but they are frames: expanded to the length wanted, not beyond."""
    writer = zstd.ZstdCompressor(level=1)
    untold = writer.compress(TEXT) + writer.flush()
    assert zstd.get_frame_info(untold).decompressed_size is None
    assert unpack(untold, len(TEXT)) == TEXT
    for length in (len(TEXT) - 1, len(TEXT) + 1):
        with pytest.raises(CorruptError):
            unpack(untold, length)


def test_threads_may_share_an_unpacker():
    """Every thread gets the chunk that was packed."""
    seen = noise(20 * KIB)
    packer, unpacker = Packer(seen), Unpacker(seen)
    chunks = [TEXT[at:] + seen[at:] for at in range(300)]
    with ThreadPoolExecutor(4) as pool:
        found = pool.map(lambda chunk: unpacker.unpack(packer.pack(chunk), len(chunk)), chunks)
        assert list(found) == chunks


@given(st.binary(min_size=1, max_size=5_000), st.binary(min_size=8, max_size=3_000))
def test_with_a_dictionary(data, dictionary):
    """What was packed with a dictionary expands with it, one chunk after the other."""
    packer, unpacker = Packer(dictionary, b"d" * 32), Unpacker(dictionary, b"d" * 32)
    for chunk in (data, dictionary + data, dictionary * 9):
        packed = packer.pack(chunk)
        if packed is not None:
            assert chunk == unpacker.unpack(packed, len(chunk))


def test_a_dictionary_helps():
    """Noise that the dictionary has seen shrinks to next to nothing, beyond the first 64 KiB too."""
    seen = noise(200 * KIB)
    packer, unpacker = Packer(seen), Unpacker(seen)
    chunk = TEXT[:20_000] + seen[150_000:170_000] + seen[:20_000]
    packed = packer.pack(chunk)
    assert len(packed) < len(Packer().pack(chunk)) // 4
    assert chunk == unpacker.unpack(packed, len(chunk))
    with pytest.raises(CorruptError):
        unpack(packed, len(chunk))
