"""Tests of hansa.data.columns against plain lists."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.data import columns
from hansa.data.columns import (
    FEW_NUMBERS,
    Rows,
    are_distinct,
    few_u32,
    few_u64,
    pack_u32,
    pack_u64,
    read_digest,
    read_u32,
    read_u64,
    running_sums,
    running_sums_u32,
    running_sums_u64,
    sum_u32,
    sum_u64,
    unpack_u32,
    unpack_u64,
)
from hansa.errors import InvalidError

U32 = st.lists(st.integers(0, 2**32 - 1), max_size=50)
U63 = st.lists(st.integers(0, 2**63 - 1), max_size=50)


@given(U32, U63)
def test_numbers_come_back(small, large):
    """Packed and unpacked, at once and one by one."""
    assert small == unpack_u32(pack_u32(small)).tolist()
    assert large == unpack_u64(pack_u64(large)).tolist()
    assert small == [read_u32(pack_u32(small), at) for at in range(len(small))]
    assert large == [read_u64(pack_u64(large), at) for at in range(len(large))]


def test_numbers_that_cannot_be():
    """A cut column, or a number that no length can be."""
    for unpack in (unpack_u32, unpack_u64):
        with pytest.raises(InvalidError):
            unpack(b"12345")
    with pytest.raises(InvalidError):
        unpack_u64(b"\xff" * 8)


@given(st.lists(st.integers(0, 2**40), max_size=30))
def test_sums(values):
    """Offsets begin at 0 and end at the whole."""
    sums = running_sums(unpack_u64(pack_u64(values)))
    assert [sum(values[:count]) for count in range(len(values) + 1)] == list(sums)


@given(st.lists(st.binary(min_size=1, max_size=1), max_size=12), st.booleans())
def test_distinct(tags, is_tail):
    """Equal digests are found, and ones that differ only after the first bytes are not equal."""
    digests = [bytes(31) + tag if is_tail else tag + bytes(31) for tag in tags]
    assert (len(set(digests)) == len(digests)) == are_distinct(b"".join(digests))
    assert digests == [read_digest(b"".join(digests), at) for at in range(len(digests))]


def test_rows_are_a_sequence():
    """Length, place, slice, order, end."""
    rows = Rows(4, lambda index: index * index)
    assert [0, 1, 4, 9] == list(rows)
    assert (4, 9, 4, [1, 4]) == (len(rows), rows[-1], rows[2], rows[1:3])
    assert [9, 4, 1, 0] == rows[::-1]
    assert 4 in rows
    for wrong in (4, -5):
        with pytest.raises(IndexError):
            rows[wrong]


@given(
    st.integers(0, 9),
    st.slices(12),
)
def test_rows_made_at_once_are_those_made_one_by_one(count, part):
    """Any part of them, empty and backward ones included."""
    alone = Rows(count, str)
    together = Rows(count, str, lambda start, stop: [str(at) for at in range(start, stop)])
    assert alone[part] == together[part] == [str(at) for at in range(count)][part]


@pytest.mark.parametrize("few", [FEW_NUMBERS, -1])
@given(values=st.lists(st.integers(0, 2**32 - 1), max_size=2 * FEW_NUMBERS))
def test_few_numbers_sum_as_many_do(few, values):
    """One by one and by numpy, of either width: the same sums."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(columns, "FEW_NUMBERS", few)
        sums = [sum(values[:count]) for count in range(len(values) + 1)]
        assert sums == list(running_sums_u32(pack_u32(values)))
        assert sums == list(running_sums_u64(pack_u64(values)))
        assert sums[-1] == sum_u32(pack_u32(values)) == sum_u64(pack_u64(values))
        is_few = len(values) <= few
        assert (tuple(values) if is_few else None) == few_u32(pack_u32(values))
        assert (tuple(values) if is_few else None) == few_u64(pack_u64(values))


def test_few_numbers_that_cannot_be():
    """A cut column is left to the long way, which refuses it; so is a length of 2^63."""
    assert few_u32(b"12345") is None
    assert few_u64(b"12345") is None
    for summed in (sum_u32, sum_u64, running_sums_u32, running_sums_u64):
        with pytest.raises(InvalidError):
            summed(b"12345")
    with pytest.raises(InvalidError):
        few_u64(b"\xff" * 8)
    assert 2 * (2**63 - 1) == sum_u64(pack_u64([2**63 - 1] * 2))
