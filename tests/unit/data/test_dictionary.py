"""Tests of hansa.data.dictionary: what is kept occurs in every cover, and it helps."""

import hashlib
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hansa.data.compression import Packer
from hansa.data.dictionary import (
    CELL_BYTES,
    EDGE_BYTES,
    TRAINED_BYTES_MIN,
    train_dictionary,
)
from hansa.limits import DICTIONARY_BYTES_MAX, MIB
from tests.unit.data.tables import occurs, table

EDGES = b"sixteen at first sixteen at last"


def test_the_oracle():
    """It finds what is there and not what is not."""
    cell = b"ab0d".ljust(CELL_BYTES, b"0")
    assert occurs(EDGES[:16] + cell + EDGES[16:], b"..abcd..")
    assert not occurs(EDGES[:16] + cell + EDGES[16:], b"..abccd..")
    assert not occurs(EDGES[:16] + cell + b"x" * CELL_BYTES + EDGES[16:], b"..abcd..")


@pytest.mark.parametrize("sensors", [500, 2_500, 5_000])
def test_a_table(sensors):
    """As long as its rows take to come round, never too long; it saves a good part."""
    content = table(sensors, 4 * MIB)
    trained = train_dictionary(content, EDGES)
    assert EDGES == trained.plain[:16] + trained.plain[-16:]
    period = len(content) // content.count(b"\n") * sensors
    length = len(trained.plain)
    assert length <= DICTIONARY_BYTES_MAX
    chunks = [content[at : at + 65_536] for at in range(3 * MIB, 4 * MIB, 65_536)]
    plain, packer = Packer(), Packer(trained.plain)
    if sensors > 500:  # More than a chunk holds.
        assert period <= length < 1.2 * max(period, 128 * 1024)
        packed, without = (sum(len(p.pack(chunk)) for chunk in chunks) for p in (packer, plain))
        assert packed < 0.7 * without
    for start, stop in trained.covers:
        assert occurs(trained.plain, content[start:stop])


def mix(draw, size):
    """Return content of phrases, numbers and noise, in an order that comes round roughly."""
    phrases = [draw.randbytes(draw.randrange(3, 200)) for _ in range(draw.randrange(2, 3_000))]
    parts, length = [], 0
    while length < size:
        for phrase in phrases:
            kind = draw.random()
            part = phrase if kind < 0.8 else draw.randbytes(9) if kind < 0.9 else b"%d" % length
            parts.append(part)
            length += len(part)
    return b"".join(parts)[:size]


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 2**32))
def test_every_cover_holds_what_is_kept(seed):
    """Whatever the content: each cover, alone, has every cell."""
    draw = random.Random(seed)
    content = mix(draw, TRAINED_BYTES_MIN + draw.randrange(MIB))
    trained = train_dictionary(content, EDGES)
    if trained is not None:
        assert len(trained.plain) <= DICTIONARY_BYTES_MAX
        assert len(trained.plain) % CELL_BYTES == 2 * EDGE_BYTES
        assert len(trained.covers) > 1
        for start, stop in trained.covers:
            assert 0 <= start < stop <= len(content)
            assert occurs(trained.plain, content[start:stop])


def test_what_occurs_once_is_not_kept():
    """Of a name that stands in one row only, nothing is left."""
    content = bytearray(table(2_500, 4 * MIB))
    content[40_000:40_016] = b"Ada Lovelace, QX"
    trained = train_dictionary(bytes(content), EDGES)
    assert b"Love" not in trained.plain
    assert b"QX" not in trained.plain


@pytest.mark.parametrize(
    "content",
    [
        hashlib.shake_256(b"noise").digest(TRAINED_BYTES_MIN),
        bytes(TRAINED_BYTES_MIN),
        b"only one line\n" * (TRAINED_BYTES_MIN // 14 + 1),
        b"".join(b"%d " % at for at in range(400_000)),
    ],
)
def test_content_that_is_not_worth_it(content):
    """Noise, and what repeats so near that a chunk finds it in itself, give no dictionary."""
    assert train_dictionary(content, EDGES) is None
