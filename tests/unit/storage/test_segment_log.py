"""Tests of hansa.storage.segment_log: cut at any byte, damaged at any byte, never believed wrongly."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hansa.errors import ConflictError
from hansa.storage.segment_log import (
    HEADER_BYTES,
    LOG_FORMAT,
    Record,
    _check,
    decode_log,
    encode_batch,
    encode_header,
)
from hansa.types import ChunkId

ID = b"s" * 32
START = 16


def batches():
    """Return three batches of records that follow each other in a body."""
    made, offset, label = [], START, 0
    for count in (2, 1, 3):
        batch = []
        for _ in range(count):
            label += 1
            name = b"" if label == 3 else b"f" * 36
            batch.append(Record(ChunkId(b"%032d" % label), name, offset, 40 + label, b"d" * 32))
            offset += 40 + label
        made.append(batch)
    return made


def encoded():
    """Return a whole log and where each batch ends, the header first."""
    data, ends = encode_header(ID, -7), [HEADER_BYTES]
    for number, batch in enumerate(batches()):
        data += encode_batch(ID, number, batch)
        ends.append(len(data))
    return data, ends


def test_round_trip():
    """All records come back, in order, with the body's acknowledged length."""
    found = decode_log(encoded()[0], START)
    assert found.records == [record for batch in batches() for record in batch]
    assert (found.segment_id, found.cluster, found.batches, found.damage) == (ID, -7, 3, "")
    assert found.body_bytes == found.records[-1].offset + found.records[-1].length
    assert found.log_bytes == len(encoded()[0])
    empty = decode_log(encode_header(ID, 0), START)
    assert (empty.records, empty.body_bytes) == ([], START)


def test_cut_at_every_byte():
    """Wherever a crash cuts the log, whole batches stay and torn ones go."""
    data, ends = encoded()
    for length in range(HEADER_BYTES, len(data) + 1):
        found = decode_log(data[:length], START)
        whole = [batch for batch, end in zip(batches(), ends[1:], strict=True) if end <= length]
        assert found.records == [record for batch in whole for record in batch]
        assert (found.damage, found.log_bytes) == ("", ends[len(whole)])


@settings(max_examples=200)
@given(st.integers(0, 10_000), st.integers(1, 255))
def test_damage_at_any_byte(place, flip):
    """A changed byte never yields a changed record; damage before a sound batch is told."""
    data, ends = encoded()
    place %= len(data)
    changed = bytearray(data)
    changed[place] ^= flip
    found = decode_log(bytes(changed), START)
    if place < ends[0]:
        assert found is None
        return
    sound = [record for batch in batches() for record in batch]
    assert all(record in sound for record in found.records)
    hurt = sum(end <= place for end in ends) - 1
    assert len(found.records) == len(sound) - len(batches()[hurt])
    assert bool(found.damage) == (hurt < 2)


def test_batch_of_another_segment_is_none():
    """A sound batch that lies in a reused disk block of another segment is not taken for ours."""
    data = encode_header(ID, 0) + encode_batch(b"z" * 32, 0, batches()[0])
    assert decode_log(data, START).records == []


def test_repeated_batch_is_none():
    """A batch found a second time is not taken twice."""
    data = encode_header(ID, 0) + 2 * encode_batch(ID, 0, batches()[0])
    assert len(decode_log(data, START).records) == 2


def test_other_formats_are_refused():
    """A log of another release is refused with what to do; a strange file is no log."""
    head = b"HANSAJRN" + (LOG_FORMAT + 1).to_bytes(2, "big") + ID + bytes(4)
    with pytest.raises(ConflictError, match="format 3"):
        decode_log(head + _check(head), START)
    assert decode_log(bytes(100), START) is None
