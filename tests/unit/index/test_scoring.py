"""The first of some words by score and rank are those of plain sets and a plain sort."""

import random

import numpy as np
import pytest

from hansa.index import (
    IndexChange,
    IndexParameters,
    InformationIndex,
    MemoryIndexFiles,
    Question,
    members,
)
from hansa.index.members import Members
from hansa.index.scoring import Word, first_of_words

ROWS = 1_500


def array(ranks):
    return np.array(sorted(ranks), dtype=np.uint32)


@pytest.mark.parametrize("dense", [1, 10, 10**6])
@pytest.mark.parametrize("few", [0, 200])
def test_count_order_and_scores_are_those_of_a_sort(monkeypatch, dense, few):
    """However lists are kept, whoever ended, whatever is strong."""
    monkeypatch.setattr(members, "_DENSE", dense)
    monkeypatch.setattr(members, "FEW", few)
    draw = random.Random(dense + few)
    known = []
    for size in (3, 100, 400, 900, 1_400):
        everywhere = set(draw.sample(range(ROWS), size))
        known += [
            (everywhere, set(draw.sample(sorted(everywhere), part)))
            for part in (0, size // 10, size // 2, size)
        ]
    for _ in range(200):
        chosen = draw.sample(known, draw.choice((1, 1, 2, 3)))
        words = [
            Word(Members(array(e), ROWS), Members(array(s), ROWS) if s else None) for e, s in chosen
        ]
        dead = set(draw.sample(range(ROWS), 100)) if draw.random() < 0.5 else set()
        matching = set.intersection(*(e for e, _ in chosen)) - dead
        scored = sorted((-sum(1 + 2 * (r in s) for _, s in chosen), r) for r in matching)
        best = draw.choice((1, 20, 2_000))
        count, ranks, scores = first_of_words(words, ROWS, array(dead), best)
        assert len(matching) == count
        assert [r for _, r in scored[:best]] == ranks
        assert [-score for score, _ in scored[:best]] == scores


@pytest.mark.parametrize("room", [0, 20_000, 1 << 28])
def test_words_asked_again_are_answered_from_memory(made, room):
    """The second time nothing is read where there is room; the answer is a scan's, ended rows out."""
    records = [made.make_record(number, seed=6) for number in range(500)]
    index = InformationIndex.open(MemoryIndexFiles(), IndexParameters(recluster_registrations=500))
    index.apply(1, [IndexChange(record.dataset, record) for record in records])
    index.apply(2, [IndexChange(record.dataset, None) for record in records[::9]])
    living = [record for number, record in enumerate(records) if number % 9]
    base = index._state.view.base
    room_bytes = base._room._bytes_max = base.kept_bytes + room
    reads = []
    read = base._file.read
    base._file.read = lambda offset, length: reads.append(length) or read(offset, length)
    draw = random.Random(2)
    for _ in range(40):
        words = tuple(draw.sample(draw.choice(records).words, draw.choice((1, 2))))
        question = Question(words=words, limit=draw.choice((3, 20)), offset=draw.choice((0, 2)))
        expected = made.scan(living, question)
        shown = tuple(expected[question.offset : question.offset + question.limit])
        for again in (False, True):
            reads.clear()
            found = index.find(question)
            assert (len(expected), shown) == (found.total, found.matches), question
            assert not (again and room > 1 << 20 and reads)
        assert base.kept_bytes <= room_bytes
