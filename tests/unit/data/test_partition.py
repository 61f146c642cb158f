"""Tests of hansa.data.partition: golden cuts, an oracle in plain Python, and streaming."""

import hashlib
import io
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyfastcdc.cy.fastcdc import FastCDC
from pyfastcdc.py.constants import GEAR, MASKS

from hansa.data.partition import Partitioner
from hansa.limits import CHUNK_BYTES_MAX, CHUNK_BYTES_MEAN, CHUNK_BYTES_MIN, KIB, MIB

SEED = 0x1234_5678_9ABC_DEF


def noise(count, label=b"noise"):
    """Return reproducible incompressible bytes."""
    return hashlib.shake_256(label).digest(count)


def cut(data, seed=SEED):
    """Return the lengths of the chunks of some bytes."""
    return [len(chunk) for chunk in Partitioner(seed).partition(io.BytesIO(data))]


def reference_cut(data, seed):
    """FastCDC 2020 as published (Xia et al., algorithm 2, normalisation 1), one byte at a time."""
    lengths = []
    normal, word = 46 * KIB, (1 << 64) - 1
    while data:
        end = min(len(data), CHUNK_BYTES_MAX)
        middle = min(normal, end)
        cut_at, value = end, 0
        if len(data) > CHUNK_BYTES_MIN:
            for at in range(CHUNK_BYTES_MIN, end // 2 * 2):
                value = ((value << 1) + (GEAR[data[at]] ^ seed)) & word
                # Even places see the value one bit further on: two bytes are rolled at a time.
                mask = MASKS[17] if at < middle else MASKS[15]
                if at % 2 == 0:
                    rolled = (value << 1) & word
                    if not rolled & ((mask << 1) & word):
                        cut_at = at
                        break
                elif not value & mask:
                    cut_at = at
                    break
        lengths.append(cut_at)
        data = data[cut_at:]
    return lengths


def test_golden_cuts():
    """Cut points are a format: the same seed and bytes give these for ever."""
    assert cut(noise(600_000)) == [
        133713,
        22107,
        49956,
        65484,
        69841,
        26933,
        111905,
        38752,
        67981,
        13328,
    ]
    assert cut(noise(600_000), seed=1) == [121930, 61138, 87204, 107005, 132771, 49779, 40173]


def test_reference_agrees():
    """The plain reference finds the same cuts in noise, text and zeros."""
    text = b"".join(b"%d,%d,ok\n" % (n, n * n % 97) for n in range(30_000))
    for data in (noise(400_000), text[:300_000], bytes(300_001), noise(CHUNK_BYTES_MIN + 1)):
        assert cut(data) == reference_cut(data, SEED)


def test_equals_the_library_on_a_whole_buffer():
    """Streaming cuts where the library cuts when it sees everything at once."""
    data = noise(6_000_000)
    chunker = FastCDC(46 * KIB, min_size=CHUNK_BYTES_MIN, max_size=CHUNK_BYTES_MAX, seed=SEED)
    assert cut(data) == [chunk.length for chunk in chunker.cut_buf(data)]


class Trickle:
    """A reader that answers in odd sizes."""

    def __init__(self, data, sizes):
        self.stream = io.BytesIO(data)
        self.sizes = sizes
        self.turn = 0

    def read(self, size, /):
        """Return fewer bytes than asked, as pipes and sockets do."""
        self.turn += 1
        return self.stream.read(min(size, self.sizes[self.turn % len(self.sizes)]))


@given(
    st.integers(0, 2_000_000),
    st.lists(st.integers(1, 700_000), min_size=1, max_size=4),
)
def test_reader_does_not_matter(length, sizes):
    """However the reader splits its answers, cuts are the same and nothing is lost."""
    sizes = [max(size, 5_000) for size in sizes]
    data = noise(length)
    chunks = list(Partitioner(SEED).partition(Trickle(data, sizes)))
    assert b"".join(chunks) == data
    assert [len(chunk) for chunk in chunks] == cut(data)


def test_empty_stream_has_no_chunks():
    """Nothing in, nothing out."""
    assert cut(b"") == []


@pytest.mark.parametrize("data", [b"x", bytes(3_000_000), noise(3_000_000)])
def test_bounds(data):
    """Each chunk but the last keeps the bounds; the mean on noise is about 64 KiB."""
    lengths = cut(data)
    assert all(CHUNK_BYTES_MIN <= length <= CHUNK_BYTES_MAX for length in lengths[:-1])
    assert 0 < lengths[-1] <= CHUNK_BYTES_MAX


def test_mean():
    """On noise the mean is within an eighth of what is documented."""
    lengths = cut(noise(16_000_000))
    assert abs(sum(lengths) / len(lengths) - CHUNK_BYTES_MEAN) < CHUNK_BYTES_MEAN / 8


def test_seed_moves_the_cuts():
    """Another organisation cuts elsewhere."""
    assert cut(noise(1_000_000), 1) != cut(noise(1_000_000), 2)


def test_insertion_moves_only_neighbouring_cuts():
    """One byte more at the start leaves nearly all chunks as they were."""
    data = noise(4_000_000)
    before = set(map(bytes, Partitioner(SEED).partition(io.BytesIO(data))))
    after = list(Partitioner(SEED).partition(io.BytesIO(data[:999] + b"!" + data[999:])))
    assert sum(bytes(chunk) not in before for chunk in after) <= 2


def test_memory_stays_bounded():
    """A reader is never asked for more than a few chunks' worth ahead of what was yielded."""
    taken = 0

    class Endless:
        def read(self, size, /):
            nonlocal taken
            taken += size
            return (noise(1000) * (size // 1000 + 1))[:size]

    chunks = Partitioner(SEED).partition(Endless())
    given_out = sum(len(next(chunks)) for _ in range(100))
    assert taken - given_out <= 2 * 4 * MIB


def test_chunks_that_are_kept_stay_as_they_were():
    """However long: a stream of many readings, all of whose chunks are held to the end."""
    data = random.Random(4).randbytes(21 * MIB)
    partitioner = Partitioner(77)
    held = list(partitioner.partition(io.BytesIO(data), len(data)))
    again = list(partitioner.partition(io.BytesIO(bytes(len(data))), len(data)))
    assert data == b"".join(held)
    assert not any(map(any, (chunk[:64] for chunk in again)))
