"""Ranks of a key say the same as a set does, listed, as an array or as bits."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.index import members
from hansa.index.bits import rows_of
from hansa.index.columns import Room
from hansa.index.members import Members
from hansa.index.time_order import TimeOrder

ROWS = 300
RANKS = st.sets(st.integers(0, ROWS - 1), max_size=ROWS)


@pytest.mark.parametrize(("dense", "few"), [(1, 0), (1, 96), (ROWS, 0), (ROWS, 96), (ROWS, ROWS)])
@given(ranks=RANKS, asked=RANKS)
def test_every_form_says_what_a_set_says(dense, few, ranks, asked):
    """Which of some ranks have the key, asked as an array and one by one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(members, "_DENSE", dense)
        patch.setattr(members, "FEW", few)
        made = Members(np.array(sorted(ranks, key=hash), dtype=np.uint32), ROWS)
    assert len(ranks) == made.count
    array = np.array(sorted(asked), dtype=np.uint32)
    expected = sorted(asked & ranks)
    assert expected == made.among(array).tolist() == made.among_few(sorted(asked))
    assert made.listed is None or sorted(ranks) == made.listed
    assert (made.ranks is None) != (made.bits is None)
    assert made.size >= sum(part.nbytes for part in (made.ranks, made.bits) if part is not None)


def test_bits_in_the_order_of_starts_leave_out_what_has_no_time():
    """Of a key's many rows those with an interval stand at the places of their starts."""
    timed = np.arange(0, ROWS, 2, dtype=np.uint32)
    starts = 1_000 - timed.astype(np.int64)
    times = TimeOrder(timed, np.stack((starts, starts), axis=1), ROWS, Room(1 << 20))
    made = Members(np.arange(0, ROWS, 3, dtype=np.uint32), ROWS)
    found = times.rows_at(rows_of(made.by_start(times)))
    assert list(range(0, ROWS, 6)) == sorted(found.tolist())
    assert made.by_start(times) is made.by_start(times)
