"""Bits: sets of rows as words say what a plain set says."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hansa.index.bits import among_bits, count_rows, distinct, has_rows, is_in, rows_of, words_of

ROWS = st.sets(st.integers(0, 299), max_size=80)


def array(rows):
    return np.array(sorted(rows), dtype=np.uint32)


@given(ROWS, ROWS, st.integers(300, 400))
def test_bits_are_a_set(one, two, count):
    """Members, number, union, common part and what is asked, of sets of any size."""
    first, second = words_of(array(one), count), words_of(array(two), count)
    assert len(one) == count_rows(first)
    assert sorted(one) == rows_of(first).tolist()
    assert sorted(one & two) == rows_of(first & second).tolist()
    assert sorted(one | two) == rows_of(first | second).tolist()
    assert sorted(one - two) == rows_of(first & ~second).tolist()
    asked = np.array([*two, *one], dtype=np.uint32)
    expected = [row in one for row in asked.tolist()]
    assert expected == has_rows(first, asked).tolist()
    assert [row for row in asked.tolist() if row in one] == among_bits(
        first.view(np.uint8), asked
    ).tolist()
    assert expected == is_in(asked, array(one)).tolist()


@given(st.lists(st.integers(0, 50), max_size=60))
def test_distinct_sorts_and_drops_repetitions(rows):
    """Each row once, rising."""
    assert sorted(set(rows)) == distinct(np.array(rows, dtype=np.uint32)).tolist()
