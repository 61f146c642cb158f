"""Data index file: sorted by cluster, read back, every kind of damage found."""

import random

import numpy as np
import pytest

from hansa.errors import CorruptError, HansaError
from hansa.index import IndexChange, IndexParameters, InformationIndex, MemoryIndexFiles, Question
from hansa.index.data_index import DataIndex
from hansa.index.files import MemoryIndexFile

COUNT = 400


@pytest.fixture(scope="module")
def records(made):
    return [made.make_record(number) for number in range(COUNT)]


@pytest.fixture(scope="module")
def built(records):
    files = MemoryIndexFiles()
    index = InformationIndex.open(files, IndexParameters(recluster_registrations=COUNT))
    index.apply(1, [IndexChange(record.dataset, record) for record in records])
    return index, files


@pytest.fixture(scope="module")
def contents(built):
    ((_, contents),) = built[1].files.values()
    return contents


def test_rows_lie_sorted_by_cluster(contents):
    """Pages of one cluster lie together, in the order of the cluster index."""
    index = DataIndex(MemoryIndexFile(contents))
    entries = index.cluster_index.entries
    assert (np.diff(entries["number"].astype(int)) > 0).all()
    assert entries["first"].tolist() == [0, *np.cumsum(entries["rows"])[:-1].tolist()]
    assert COUNT == index.rows == entries["rows"].sum()
    assert index.pages == entries["pages"].sum()
    assert 1 == index.height
    assert COUNT == index.registered


def test_find_by_id(records, contents):
    """Each dataset is found with its record, others are not."""
    index = DataIndex(MemoryIndexFile(contents))
    rows = [index.find(record.dataset) for record in records]
    assert records == index.records(rows)
    assert records[:3] == index.records(rows[:3])
    assert index.find(bytes(16)) is None
    assert [] == index.records([])


def test_facets_have_names(contents):
    """Kind and value of each facet are read by its number."""
    index = DataIndex(MemoryIndexFile(contents))
    count = index.column("facet_values").slice(0, COUNT, index.read).max() + 1
    names = {index.facet_name(number, index.read) for number in range(int(count))}
    assert "oalpha" in names
    assert {"t", "f", "o"} == {name[0] for name in names}


@pytest.mark.parametrize("kept", [0, 10, 44, 60, 5_000])
def test_a_cut_file_is_corrupt(contents, kept):
    """Wherever a file is cut it does not open."""
    with pytest.raises(CorruptError):
        DataIndex(MemoryIndexFile(contents[:kept]))


def test_no_damage_anywhere_changes_an_answer(made, records, built, contents):
    """A byte flipped wherever: the file does not open, a question fails, or the answer is right."""
    index, _ = built
    draw = random.Random(6)
    questions = [made.draw_question(draw, records) for _ in range(12)]
    right = [index.ask(question) for question in questions]
    failed = 0
    for position in sorted(draw.sample(range(len(contents)), 150)):
        damaged = bytearray(contents)
        damaged[position] ^= 1 << draw.randrange(8)
        files = MemoryIndexFiles()
        files.write("base-000000000001", (bytes(damaged),))
        again = InformationIndex.open(files, IndexParameters(recluster_registrations=COUNT))
        if not again.height:
            failed += 1
            continue
        for question, expected in zip(questions, right, strict=True):
            try:
                answer = again.ask(question)
            except HansaError:
                failed += 1
                break
            assert (expected.total, expected.matches) == (answer.total, answer.matches)
            assert expected.facets == answer.facets
    assert failed > 30


def test_what_is_kept_is_bounded(records, contents, monkeypatch):
    """Without room every question is answered from the file; the answers are the same."""
    monkeypatch.setattr("hansa.index.data_index.limits.INDEX_ROOM_BYTES_MAX", 0)
    files = MemoryIndexFiles()
    files.write("base-000000000001", (contents,))
    index = InformationIndex.open(files, IndexParameters(recluster_registrations=COUNT))
    mine = {record.dataset for record in records if record.owner == "alpha"}
    answer = index.ask(Question(owner="alpha", limit=1_000))
    assert mine == {match.dataset for match in answer.matches}
    assert 0 == index.stats().kept_bytes
