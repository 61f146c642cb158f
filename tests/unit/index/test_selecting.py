"""Selecting: arrays and bits say the same, joined in any order."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.index import IndexChange, IndexParameters, InformationIndex, MemoryIndexFiles, Question
from hansa.index.selecting import Selecting, Selection, is_in

ROWS = st.sets(st.integers(0, 199), max_size=60)


def array(rows):
    return np.array(sorted(rows), dtype=np.uint32)


def bits(rows):
    marks = np.zeros(200, dtype=np.bool_)
    marks[sorted(rows)] = True
    return np.packbits(marks, bitorder="little")


@given(ROWS, ROWS)
def test_arrays_and_bits_are_one(rows, asked):
    """Count, membership and rows agree whatever the form."""
    for selection in (Selection(array(rows)), Selection(None, bits(rows))):
        assert len(rows) == selection.count
        assert sorted(rows) == selection.as_rows().tolist()
        assert [row in rows for row in sorted(asked)] == selection.has(array(asked)).tolist()
    assert [row in rows for row in sorted(asked)] == is_in(array(asked), array(rows)).tolist()


@pytest.mark.parametrize("dense", [1, 10**9])
def test_dense_and_sparse_lists_join_alike(made, monkeypatch, dense):
    """Where bits begin is a matter of speed alone."""
    monkeypatch.setattr("hansa.index.selecting._DENSE", dense)
    records = [made.make_record(number) for number in range(300)]
    index = InformationIndex.open(MemoryIndexFiles(), IndexParameters(recluster_registrations=300))
    index.apply(1, [IndexChange(record.dataset, record) for record in records])
    base = index._state.view.base
    for question in (
        Question(owner="alpha", theme="Health", format="csv"),
        Question(words=("bus",), owner="beta"),
        Question(owner="alpha"),
    ):
        expected = {dataset for _, dataset in made.scan(records, question)}
        dead = array({base.find(min(expected))})
        found = Selecting(base, question, dead, base.read).select()
        names = base.column("names").gather(found.as_rows(), base.read)["dataset"]
        assert expected - {min(expected)} == {name.tobytes() for name in names}
        assert expected == {m.dataset for m in index.ask(question).matches} or len(expected) > 20
