"""Cell lists: the rows on runs of cells, whether they are listed or kept as bits."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.index.bits import rows_of
from hansa.index.cell_lists import CellLists
from hansa.index.columns import Column, Room, check_stretches
from hansa.index.files import MemoryIndexFile

COUNT = 120
CELLS = st.dictionaries(
    st.integers(0, 60), st.sets(st.integers(0, COUNT - 1), min_size=1), max_size=20
)


def lists_of(cells, room):
    rows = np.array([row for code in sorted(cells) for row in sorted(cells[code])], dtype="<u4")
    data = rows.tobytes()
    read = MemoryIndexFile(data).read
    column = Column(check_stretches("cell_rows", 0, data, 4), np.dtype("<u4"), Room(room))
    sizes = [len(cells[code]) for code in sorted(cells)]
    starts = np.cumsum([0, *sizes])[:-1].astype(np.uint64)
    fields = {"code": np.array(sorted(cells), dtype=np.uint64), "start": starts}
    return CellLists(fields, column, COUNT, Room(room)), read


@pytest.mark.parametrize("room", [0, 1 << 20])
@given(
    cells=CELLS,
    runs=st.lists(st.tuples(st.integers(0, 60), st.integers(0, 9)), min_size=1, max_size=5),
)
def test_candidates_are_all_rows_on_the_runs(room, cells, runs):
    """Nothing on a run is left out, nothing else comes in; asked again the answer is the same."""
    lists, read = lists_of(cells, room)
    asked = [(first, first + more) for first, more in runs]
    ranges = lists.ranges(asked)
    expected = {
        row for low, high in asked for code in cells if low <= code <= high for row in cells[code]
    }
    size = sum(len(cells[code]) for low, high in asked for code in cells if low <= code <= high)
    assert size == ranges.size
    for _ in range(2):
        rows, bits = lists.candidates(ranges, read)
        found = set(rows.tolist())
        if bits is not None:
            found |= set(rows_of(bits).tolist())
        assert expected == found
