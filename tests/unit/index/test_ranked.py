"""Questions of facets, place and time by rank: a naive scan's answers, with room or without, ended rows out."""

import random

import msgspec
import pytest

from hansa import limits
from hansa.index import IndexChange, IndexParameters, InformationIndex, MemoryIndexFiles, Question
from hansa.index.columns import Room
from hansa.types import Box, Interval


@pytest.fixture(scope="module")
def records(made):
    return [made.make_record(number, seed=4) for number in range(700)]


def build(records):
    index = InformationIndex.open(MemoryIndexFiles(), IndexParameters(recluster_registrations=700))
    index.apply(1, [IndexChange(record.dataset, record) for record in records])
    assert index.stats().delta_rows == 0
    return index


def draw_facets(made, draw, records):
    while True:
        question = msgspec.structs.replace(made.draw_question(draw, records), counts=False)
        if question.is_facets_alone:
            return question


def check(made, index, records, question):
    expected = made.scan(records, question)
    found = index.find(question)
    shown = expected[question.offset : question.offset + question.limit]
    assert (len(expected), tuple(shown)) == (found.total, found.matches), question


@pytest.mark.parametrize(("dense", "few"), [(256, 96), (1, 0), (10**6, 0), (4, 8)])
def test_every_form_of_lists_gives_a_scans_answers(made, records, monkeypatch, dense, few):
    """Listed, as arrays or as bits: the answers are one, the second time too."""
    monkeypatch.setattr("hansa.index.members._DENSE", dense)
    monkeypatch.setattr("hansa.index.members.FEW", few)
    index = build(records)
    draw = random.Random(dense + few)
    for _ in range(80):
        question = draw_facets(made, draw, records)
        check(made, index, records, question)
        check(made, index, records, question)


@pytest.mark.parametrize("few", [0, 96])
def test_what_ended_is_never_told(made, records, monkeypatch, few):
    """Retired and replaced rows are out of counts and of what is shown, at each height."""
    monkeypatch.setattr("hansa.index.members.FEW", few)
    index = build(records)
    draw = random.Random(8)
    living = {record.dataset: record for record in records}
    for height in (2, 3):
        gone = draw.sample(sorted(living), 25)
        index.apply(height, [IndexChange(dataset, None) for dataset in gone])
        for dataset in gone:
            del living[dataset]
        for _ in range(60):
            check(made, index, list(living.values()), draw_facets(made, draw, records))


@pytest.mark.parametrize("room", [0, 8_000, 20_000, 40_000, limits.INDEX_ROOM_BYTES_MAX])
def test_room_changes_no_answer_and_is_not_exceeded(made, records, room):
    """Whatever of ranks, lists, places and times there is room for, answers are a scan's."""
    index = build(records)
    base = index._state.view.base
    base._room._bytes_max = room
    draw = random.Random(room)
    for _ in range(60):
        check(made, index, records, draw_facets(made, draw, records))
        assert base.kept_bytes <= room
    assert (base._ranked is not None) == (room >= 24 * len(records))
    assert isinstance(base._room, Room)


def test_a_question_met_before_reads_nothing_more(made, records):
    """All that ranks need is kept; the first question reads it, and is told so by `at_hand`."""
    index = build(records)
    base = index._state.view.base
    record = next(r for r in records if r.box is not None and r.interval is not None)
    start = record.interval.start_ms
    question = Question(
        theme=record.themes[0], box=Box(*msgspec.structs.astuple(record.box)),
        interval=Interval(start, start + 1), counts=False,
    )  # fmt: skip
    reads = []
    read = base._file.read
    base._file.read = lambda offset, length: reads.append(length) or read(offset, length)
    first = index.find(question)
    assert reads
    reads.clear()
    assert first == index.find(question)
    assert [] == reads


def test_one_that_is_nowhere_ends_the_search(made, records):
    """A key without a row matches nothing, whatever else is asked."""
    index = build(records)
    ranked = index._state.view.base.ranked(index._state.view.base.read)
    view = index._state.view
    first = ranked.first(
        Question(theme="Health"), [b"0123456789abcdef"], (view.dead, 0), 20, view.base.read
    )
    assert (0, []) == (first.total, first.ranks.tolist())
    assert ranked.first(Question(), [], (view.dead, 0), 20, view.base.read) is None
