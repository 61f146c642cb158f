"""Questions through the three layers: every answer equals a naive scan's, and what is absent is free."""

import random

import pytest

from hansa.errors import CorruptError, InvalidError, MissingError
from hansa.index import IndexChange, IndexParameters, InformationIndex, MemoryIndexFiles, Question
from hansa.index.lookup import ask
from hansa.types import Box, Interval


def build(records, files=None, *, per_block=40, interval=64):
    index = InformationIndex.open(
        files or MemoryIndexFiles(), IndexParameters(recluster_registrations=interval)
    )
    for height, start in enumerate(range(0, len(records), per_block), 1):
        block = records[start : start + per_block]
        index.apply(height, [IndexChange(record.dataset, record) for record in block])
    return index


@pytest.fixture(scope="module")
def records(made):
    return [made.make_record(number) for number in range(500)]


@pytest.fixture(scope="module")
def index(records):
    return build(records)


def test_index_has_rows_on_disk_and_in_memory(index):
    """The fixture exercises both: folded pages of several clusters and additions."""
    stats = index.stats()
    assert stats.datasets == 500
    assert stats.delta_rows > 0
    assert stats.file_bytes > 0
    assert len(stats.clusters) > 3


@pytest.mark.parametrize("seed", range(8))
def test_every_answer_equals_a_naive_scan(made, records, index, seed):
    """No match is ever missed, none is added, order and paging are those of the scan."""
    draw = random.Random(seed)
    for _ in range(60):
        question = made.draw_question(draw, records)
        expected = made.scan(records, question)
        answer = index.ask(question)
        assert len(expected) == answer.total, question
        shown = expected[question.offset : question.offset + question.limit]
        assert shown == [(match.score, match.dataset) for match in answer.matches], question
        found = index.find(question)
        assert (len(expected), tuple(shown)) == (found.total, found.matches)


def test_answers_hold_after_replacing_and_retiring(made, records):
    """Rows on disk that were replaced or retired are never answered, their successors are."""
    index = build(records[:300])
    living = {record.dataset: record for record in records[:300]}
    changes = []
    for number in range(0, 300, 7):
        dataset = made.dataset_id(number)
        record = None if number % 2 else made.make_record(number, seed=9, version=2)
        changes.append(IndexChange(dataset, record))
        living.pop(dataset)
        if record is not None:
            living[dataset] = record
    index.apply(index.height + 1, changes)
    draw = random.Random(3)
    now = list(living.values())
    assert len(now) == index.stats().datasets
    for _ in range(120):
        question = made.draw_question(draw, now)
        expected = made.scan(now, question)
        answer = index.ask(question)
        assert len(expected) == answer.total, question
        shown = expected[question.offset : question.offset + question.limit]
        assert shown == [(match.score, match.dataset) for match in answer.matches], question


@pytest.mark.parametrize(
    "question",
    [
        Question(words=("nowhere",)),
        Question(prefixes=("qxz",)),
        Question(theme="Astronomy"),
        Question(format="dwg"),
        Question(owner="omega"),
        Question(title="No such title"),
        Question(dataset=bytes(16)),
        Question(box=Box(170_000_000, -80_000_000, 171_000_000, -79_000_000)),
        Question(interval=Interval(-9_000_000_000_000, -8_000_000_000_000)),
    ],
)
def test_what_is_absent_is_answered_without_a_read(index, question):
    """A question no label fits reads nothing, and says which layer refused."""
    answer = index.ask(question)
    assert answer.total == 0
    assert answer.explanation.bytes_read == 0
    assert answer.explanation.read_anything is False
    assert answer.explanation.refused_by == "discriminant table"
    assert answer.explanation.clusters_refused == answer.explanation.clusters > 0


def test_ids_are_found_and_missed_with_and_without_additions(made, records):
    """Each that is there, wherever it lies; none that is nowhere; what else is asked for counts too."""
    draw = random.Random(5)
    nowhere = [draw.randbytes(16) for _ in range(300)]
    for count, has_additions in ((64, False), (96, True)):
        index = build(records[:count], per_block=32)
        assert has_additions == bool(index.stats().delta_rows)
        for record in records[:count]:
            found = index.find(Question(dataset=record.dataset))
            assert (1, ((0, record.dataset),)) == (found.total, found.matches)
            other = Question(dataset=record.dataset, title="never such a title")
            assert 0 == index.find(other).total
        for dataset in nowhere:
            found = index.find(Question(dataset=dataset, words=("a",)))
            assert (count // 32, 0, ()) == (found.height, found.total, found.matches)
            with pytest.raises(MissingError):
                index.find(Question(dataset=dataset, like=dataset))


def test_absent_inside_the_bounds_reads_nothing(made):
    """A place between two datasets of one page is refused by its cell, not only by bounds."""
    low = made.make_record(1, box=Box(0, 0, 1_000, 1_000), interval=None)
    high = made.make_record(2, box=Box(80_000_000, 80_000_000, 80_001_000, 80_001_000))
    index = build([low, high, *(made.make_record(n, box=None) for n in range(3, 12))], interval=8)
    inside = index.ask(Question(box=Box(40_000_000, 40_000_000, 40_100_000, 40_100_000)))
    assert (0, 0) == (inside.total, inside.explanation.bytes_read)
    present = index.ask(Question(box=Box(500, 500, 600, 600)))
    assert [low.dataset] == [match.dataset for match in present.matches]
    assert present.explanation.bytes_read > 0


def test_facets_count_all_matches(records, index):
    """Facets count every match, whatever the limit."""
    answer = index.ask(Question(owner="alpha", limit=1))
    mine = [record for record in records if record.owner == "alpha"]
    assert {"alpha": len(mine)} == answer.facets["owner"]
    assert sum("csv" in record.formats for record in mine) == answer.facets["format"]["csv"]
    expected = sum(record.themes == ("Health",) for record in mine)
    assert expected == answer.facets["theme"]["health"]


def test_like_reads_only_part_of_the_pages(records, index):
    """Nearness stops at the bound; the example itself is left out."""
    answer = index.ask(Question(like=records[0].dataset, limit=3))
    assert 3 == len(answer.matches)
    assert 499 == answer.total
    assert records[0].dataset not in {match.dataset for match in answer.matches}
    assert answer.explanation.pages_read < index._state.view.base.rows


def test_the_retired_are_never_near(made, records):
    """Nearness passes over rows on disk that are retired, and finds a successor by its own features."""
    index = build(records[:128])
    gone, moved = records[5], records[6]
    successor = made.make_record(6, seed=77, features=(90,) * 20)
    index.apply(
        index.height + 1,
        [IndexChange(gone.dataset, None), IndexChange(moved.dataset, successor)],
    )
    view = index._state.view
    assert view.dead.has(view.base.find(gone.dataset), view.dead_count)
    for record in (gone, moved):
        near = index.ask(Question(like_features=record.features, limit=1)).matches[0]
        assert near.score > 0 or near.dataset not in {gone.dataset, moved.dataset}
        assert near.dataset != gone.dataset
    nearest = index.ask(Question(like_features=(90,) * 20, limit=1)).matches[0]
    assert (0, successor) == (nearest.score, nearest.record)
    with pytest.raises(MissingError):
        index.ask(Question(like=gone.dataset))


def test_like_something_unknown_is_missing(index):
    """An example that is not there is an error, not an empty answer."""
    with pytest.raises(MissingError):
        index.ask(Question(like=bytes(16)))


@pytest.mark.parametrize(
    "question",
    [
        Question(limit=0),
        Question(limit=1_000_000),
        Question(offset=-1),
        Question(words=("a",) * 65),
        Question(title="x" * 5_000),
        Question(dataset=b"short"),
        Question(like_features=(1,)),
        Question(like_features=(200,) * 20),
        Question(box=Box(10, 0, 0, 10)),
        Question(interval=Interval(5, 1)),
    ],
)
def test_absurd_questions_are_invalid(index, question):
    """Size and form are checked before any work."""
    with pytest.raises(InvalidError):
        index.ask(question)


def test_corrupt_rows_are_an_error_never_an_answer(records):
    """Zeros where the rows were raise when they are read."""
    index = build(records[:128])
    file = index._state.view.base._file
    file._contents = bytes(len(file._contents))
    view = index._state.view
    with pytest.raises(CorruptError):
        ask(view, Question(limit=1_000), lambda: 0)
    with pytest.raises(CorruptError):
        ask(view, Question(like_features=(0,) * 20, limit=1_000), lambda: 0)


def test_empty_index_answers(made):
    """Nothing there is an answer too."""
    index = InformationIndex.open(MemoryIndexFiles(), IndexParameters())
    answer = index.ask(Question(words=("bus",)))
    assert (0, (), 0) == (answer.total, answer.matches, answer.explanation.clusters)
    assert "" == index.nearest_cluster((0,) * 20)


def test_accents_do_not_matter(made):
    """zurich finds Zürich and zürich finds Zurich, as word, beginning and phrase."""
    titles = ("Bäume in Zürich", "Trees of Zurich", "Trees of Geneva")
    changes = [
        made.make_record(n, title=title, words=tuple(sorted(set(made.split_words(title)))))
        for n, title in enumerate(titles)
    ]
    for index in (build(changes, interval=100), build(changes * 1, per_block=1, interval=2)):
        for question in (
            Question(words=("zurich",)),
            Question(words=("zürich",)),
            Question(prefixes=("zür",)),
            Question(prefixes=("zuri",)),
        ):
            found = {match.record.title for match in index.ask(question).matches}
            assert set(titles[:2]) == found, question
        assert 1 == index.ask(Question(phrases=(("in", "zurich"),))).total


@pytest.mark.parametrize("seed", range(3))
def test_facets_equal_a_naive_count(made, records, index, seed):
    """Counts of themes, formats and owners are those of a scan, rows on disk and in memory."""
    draw = random.Random(seed)
    for _ in range(15):
        question = made.draw_question(draw, records)
        expected = made.scan_facets(records, question)
        answer = index.ask(question)
        assert expected == {name: dict(counts) for name, counts in answer.facets.items()}
