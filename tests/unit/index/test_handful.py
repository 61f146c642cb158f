"""A handful of rows: what is found one by one is what is found all at once."""

import random

import numpy as np
import pytest

from hansa.index import IndexChange, IndexParameters, InformationIndex, MemoryIndexFiles, Question
from hansa.index.cells import digests_asked
from hansa.index.dead import Dead
from hansa.index.handful import find_handful
from hansa.index.question import Circle
from hansa.types import Box, Interval

_NOUGHT = Box(-1_000, -1_000, 1_000, 1_000)
"""Where a row without a box would lie, were it not for its flags."""


@pytest.fixture(scope="module")
def everything(made):
    records = [made.make_record(number) for number in range(300)]
    index = InformationIndex.open(MemoryIndexFiles(), IndexParameters(recluster_registrations=300))
    index.apply(1, [IndexChange(record.dataset, record) for record in records])
    return records, index


@pytest.mark.parametrize("dense", [1, 10**9])
@pytest.mark.parametrize("handful", [0, 24, 10**9])
def test_a_handful_is_joined_and_ranked_alike(made, everything, monkeypatch, handful, dense):
    """Whether rows go one by one or all at once is a matter of speed: rows, scores, order are one."""
    records, index = everything
    monkeypatch.setattr("hansa.index.terms.HANDFUL", handful)
    monkeypatch.setattr("hansa.index.selecting._DENSE", dense)
    monkeypatch.setattr("hansa.index.selecting._ASKED_AS_BITS", dense)
    draw = random.Random(f"handful {handful} {dense}")
    for _ in range(60):
        example = draw.choice(records)
        question = Question(
            words=tuple(draw.sample(example.words, draw.choice((0, 1, 2, 3)))),
            owner=draw.choice(("", example.owner)),
            theme=draw.choice(("", example.themes[0])),
            title=draw.choice(("", "", example.title)),
            box=draw.choice((None, None, example.box, _NOUGHT)),
            near=draw.choice((None, None, Circle(0, 50_000_000, draw.choice((10**5, 10**6))))),
            interval=draw.choice((None, None, example.interval, Interval(0, 0))),
            limit=draw.choice((1, 5, 1_000)),
            offset=draw.choice((0, 0, 2)),
        )
        expected = made.scan(records, question)
        shown = tuple(expected[question.offset : question.offset + question.limit])
        for _ in range(2):  # The second time what it asks for is at hand.
            found = index.find(question)
            assert (len(expected), shown) == (found.total, found.matches), question


def test_it_passes_until_all_is_in_memory(made, everything):
    """Nothing is read for it; once the way by arrays has read what it needs, it answers."""
    records, index = everything
    base = index._state.view.base
    question = Question(title=records[0].title, theme=records[0].themes[0])
    digests = digests_asked(question)
    none_dead = (Dead(), 0)
    index.find(question)
    base.column("names").gather_fields(np.arange(base.rows), base.read, ("dataset",))
    before = base._file.bytes_read
    found = find_handful(base, question, digests, none_dead)
    assert made.scan(records, question) == found
    assert before == base._file.bytes_read
    assert find_handful(base, Question(theme="Nobody has it"), [bytes(16)], none_dead) is None
    assert find_handful(base, Question(prefixes=("bu",)), digests, none_dead) is None
    assert find_handful(base, Question(like=records[0].dataset), digests, none_dead) is None


def test_rows_that_ended_are_left_out(made, everything):
    """Those that had ended at the question's height, and no others."""
    records, index = everything
    base = index._state.view.base
    question = Question(dataset=records[0].dataset)
    digests = digests_asked(question)
    index.find(question)
    base.column("names").gather_fields(np.arange(base.rows), base.read, ("dataset",))
    dead = Dead()
    dead.add(base.find(records[0].dataset))
    assert [] == find_handful(base, question, digests, (dead, 1))
    assert [(0, records[0].dataset)] == find_handful(base, question, digests, (dead, 0))
