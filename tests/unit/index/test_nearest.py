"""Nearest: exactly the k nearest, ties by id, few pages looked at."""

import numpy as np
import pytest

from hansa.index import IndexChange, IndexParameters, InformationIndex, MemoryIndexFiles
from hansa.index.nearest import find_nearest, measure


@pytest.fixture(scope="module")
def base(made):
    index = InformationIndex.open(MemoryIndexFiles(), IndexParameters(recluster_registrations=900))
    records = [made.make_record(number) for number in range(900)]
    index.apply(1, [IndexChange(record.dataset, record) for record in records])
    return index._state.view.base


@pytest.mark.parametrize("best", [1, 7, 400, 2_000])
def test_equal_to_measuring_every_row(made, base, best):
    """Distance, then id; rows that do not count are passed over."""
    rows = np.arange(base.rows, dtype=np.uint32)
    ranks = base.column("rank").slice(0, base.rows, base.read)
    out = rows[5::50]
    for number in range(1_000, 1_020):
        point = made.make_record(number).features
        squares = measure(base, rows, point, base.read)
        order = sorted(set(rows.tolist()) - set(out.tolist()), key=lambda r: (squares[r], ranks[r]))
        found = find_nearest(base, point, best, out, base.read)
        assert order[:best] == found.rows.tolist()
        assert squares[order[:best]].tolist() == found.distances.tolist()
        assert found.examined <= base.rows


def test_the_nearest_few_need_few_pages(base):
    """A point of the data itself is answered from a part of the pages."""
    features = base.column("features").slice(0, 1, base.read)[0]
    none = np.zeros(0, dtype=np.uint32)
    found = find_nearest(base, tuple(map(int, features)), 1, none, base.read)
    assert 0 == found.distances[0]
    assert len(found.pages) < base.pages
