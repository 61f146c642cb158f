"""Selecting: arrays and bits say the same, joined in any order."""

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.index import IndexChange, IndexParameters, InformationIndex, MemoryIndexFiles, Question
from hansa.index.bits import is_in, words_of
from hansa.index.cells import digests_asked
from hansa.index.dead import Dead
from hansa.index.selecting import Selecting, Selection

ROWS = st.sets(st.integers(0, 199), max_size=60)


def array(rows):
    return np.array(sorted(rows), dtype=np.uint32)


def bits(rows):
    return words_of(array(rows), 200)


@given(ROWS, ROWS)
def test_arrays_and_bits_are_one(rows, asked):
    """Count, membership and rows agree whatever the form."""
    for selection in (Selection(array(rows)), Selection(None, bits(rows))):
        assert len(rows) == selection.count
        assert sorted(rows) == selection.as_rows().tolist()
        assert [row in rows for row in sorted(asked)] == selection.has(array(asked)).tolist()
    assert [row in rows for row in sorted(asked)] == is_in(array(asked), array(rows)).tolist()


@pytest.mark.parametrize("dense", [1, 64, 10**9])
def test_dense_and_sparse_lists_join_alike(made, monkeypatch, dense):
    """Where bits begin is a matter of speed alone."""
    monkeypatch.setattr("hansa.index.selecting._DENSE", dense)
    monkeypatch.setattr("hansa.index.selecting._ASKED_AS_BITS", dense)
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
        dead = Dead()
        dead.add(base.find(min(expected)))
        digests = digests_asked(question)
        found = Selecting(base, question, digests, (dead, 1), base.read).select()
        names = base.column("names").gather(found.as_rows(), base.read)["dataset"]
        assert expected - {min(expected)} == {name.tobytes() for name in names}
        assert expected == {m.dataset for m in index.ask(question).matches} or len(expected) > 20


@pytest.mark.parametrize(("few", "dense"), [(0, 1), (0, 10**9), (0, 20), (4_096, 64)])
def test_place_and_time_by_cells_and_by_columns_alike(made, monkeypatch, few, dense):
    """Few rows are looked at one by one, many by cells, and dense cells as bits: the answers are one."""
    monkeypatch.setattr("hansa.index.selecting._FEW", few)
    monkeypatch.setattr("hansa.index.selecting._DENSE", dense)
    monkeypatch.setattr("hansa.index.cell_lists._DENSE", dense)
    records = [made.make_record(number) for number in range(300)]
    index = InformationIndex.open(MemoryIndexFiles(), IndexParameters(recluster_registrations=300))
    index.apply(1, [IndexChange(record.dataset, record) for record in records])
    draw = random.Random(few + dense)
    asked = 0
    while asked < 60:
        question = made.draw_question(draw, records)
        if question.box is None and question.near is None and question.interval is None:
            continue
        asked += 1
        expected = made.scan(records, question)
        found = index.find(question)
        shown = expected[question.offset : question.offset + question.limit]
        assert (len(expected), tuple(shown)) == (found.total, found.matches), question
