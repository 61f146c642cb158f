"""Counting: the most frequent themes, formats and owners of what matches, exactly, in order."""

import random

import pytest

from hansa import limits
from hansa.index import IndexChange, IndexParameters, InformationIndex, MemoryIndexFiles, Question
from hansa.index.counting import count_records


@pytest.fixture(scope="module")
def records(made):
    """Return records of forty owners, most of them with as many as others."""
    draw = random.Random("counting")
    return [made.make_record(n, owner=f"owner {draw.randrange(40)}") for n in range(400)]


@pytest.fixture(scope="module", params=[0, 60])
def index(records, request):
    """Return an index with so many of the records in memory, the others on disk."""
    on_disk = len(records) - request.param
    index = InformationIndex.open(
        MemoryIndexFiles(), IndexParameters(recluster_registrations=on_disk)
    )
    changes = [IndexChange(record.dataset, record) for record in records]
    index.apply(1, changes[:on_disk])
    index.apply(2, changes[on_disk:])
    assert request.param == index.stats().delta_rows
    return index


def cut(counts, most):
    """Return the first of the counts of a plain scan, by number, then name."""
    return {
        name: sorted(of.items(), key=lambda item: (-item[1], item[0]))[:most]
        for name, of in counts.items()
    }


@pytest.mark.parametrize("most", [1, 3, 20, 1_000])
def test_the_most_frequent_are_those_of_a_scan(made, monkeypatch, records, index, most):
    """However few are shown, ties go by name, and additions count with the rest."""
    draw = random.Random(most)
    for _ in range(12):
        question = made.draw_question(draw, records)
        expected = made.scan_facets(records, question)
        with monkeypatch.context() as fewer:
            fewer.setattr(limits, "INDEX_FACETS_MAX", most)
            found = index.ask(question).facets
        assert cut(expected, most) == {name: list(counts.items()) for name, counts in found.items()}


def test_everything_is_counted(made, monkeypatch, records, index):
    """A question that matches all, cut off among equals."""
    expected = made.scan_facets(records, Question())
    assert len(set(expected["owner"].values())) < len(expected["owner"])
    for most in range(1, 42):
        with monkeypatch.context() as fewer:
            fewer.setattr(limits, "INDEX_FACETS_MAX", most)
            found = index.ask(Question(limit=1)).facets
        assert cut(expected, most) == {name: list(counts.items()) for name, counts in found.items()}
    assert cut(expected, 1_000) == {n: list(c.items()) for n, c in count_records(records).items()}
