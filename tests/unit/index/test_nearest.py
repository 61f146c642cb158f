"""Nearest: exactly the k nearest, ties by id, few pages looked at."""

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa import limits
from hansa.index import IndexChange, IndexParameters, InformationIndex, MemoryIndexFiles
from hansa.index.nearest import find_nearest, measure

_NO_ROWS = np.zeros(0, dtype=np.uint32)


def open_base(records):
    """Return the open file of an index that holds all records on disk."""
    parameters = IndexParameters(recluster_registrations=len(records))
    index = InformationIndex.open(MemoryIndexFiles(), parameters)
    index.apply(1, [IndexChange(record.dataset, record) for record in records])
    return index._state.view.base


@pytest.fixture(scope="module")
def base(made):
    return open_base([made.make_record(number) for number in range(900)])


def spread_features(number):
    """Return features of a made dataset: many at the ends of the range, many alike."""
    draw = random.Random(f"spread {number % 250}")
    return tuple(draw.choice((-127, 127, -126, 0, draw.randint(-127, 127))) for _ in range(20))


class SpreadOut:
    """An open file and the id and features of each of its rows."""

    def __init__(self, base, ids, features):
        self.base, self.ids, self.features = base, ids, features


@pytest.fixture(scope="module", params=["kept", "read each time"])
def spread_out(made, request):
    """Return rows up to the ends of the range, ids and features; with and without room to keep any."""
    records = [made.make_record(n, features=spread_features(n)) for n in range(700)]
    room = pytest.MonkeyPatch()
    if request.param == "read each time":
        room.setattr(limits, "INDEX_ROOM_BYTES_MAX", 0)
    base = open_base(records)
    room.undo()
    find_nearest(base, records[0].features, 600, _NO_ROWS, base.read)
    assert base.column("features").is_kept() == (request.param == "kept")
    names = base.column("names").slice(0, base.rows, base.read)["dataset"]
    features = {record.dataset: record.features for record in records}
    ids = [name.tobytes() for name in names]
    return SpreadOut(base, ids, [features[dataset] for dataset in ids])


@given(
    st.one_of(
        st.lists(st.integers(-127, 127), min_size=20, max_size=20),
        st.integers(0, 300).map(spread_features),
    ),
    st.sampled_from([1, 2, 10, 33, 600, 800]),
    st.sets(st.integers(0, 699), max_size=40),
)
def test_equal_to_plain_arithmetic(spread_out, point, best, out):
    """Whole numbers, row by row, up to the ends of the range; with many ties, which go by id."""
    base, ids = spread_out.base, spread_out.ids
    model = sorted(
        (sum((a - b) ** 2 for a, b in zip(point, own, strict=True)), ids[row], row)
        for row, own in enumerate(spread_out.features)
        if row not in out
    )
    rows = np.array(sorted(out), dtype=np.uint32)
    found = find_nearest(base, tuple(point), best, rows, base.read)
    assert [row for _, _, row in model[:best]] == found.rows.tolist()
    assert [square for square, _, _ in model[:best]] == found.distances.tolist()


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
    found = find_nearest(base, tuple(map(int, features)), 1, _NO_ROWS, base.read)
    assert 0 == found.distances[0]
    assert len(found.pages) < base.pages
