"""Additions in memory answer as a naive scan, at each height they have seen."""

import random

from hansa.index.additions import Additions, has_phrase, keys_asked, meets, texts_of
from hansa.index.pages import Row
from hansa.index.question import Question


def row_of(record):
    return Row(record, 0, record.digest())


def test_every_answer_equals_a_naive_scan(made):
    """Any question, at the height it is asked for, whatever was added and ended later."""
    additions, heights, living = Additions(), [], {}
    draw = random.Random(8)
    for height in range(1, 40):
        for _ in range(3):
            number = draw.randrange(60)
            dataset = made.dataset_id(number)
            assert (dataset in living) == additions.end(dataset, height) == (living.pop(dataset, None) is not None)  # fmt: skip
            if draw.random() < 0.8:
                record = made.make_record(number, seed=height)
                additions.add(row_of(record))
                living[dataset] = record
        heights.append((height, len(additions.rows), list(living.values())))
    for height, count, records in heights:
        assert sorted(r.dataset for r in records) == sorted(
            additions.rows[n].record.dataset for n in additions.living(count, height)
        )
        for _ in range(6):
            question = made.draw_question(draw, records) if records else Question()
            if question.like is not None:
                continue
            found = additions.select(question, count, height)
            expected = {hit[1]: hit[0] for hit in made.scan(records, question)}
            assert set(expected) == {additions.rows[n].record.dataset for n in found}
            for number in found:
                record = additions.rows[number].record
                assert expected[record.dataset] == additions.score(question, number)
                assert number == additions.row_of(record.dataset, count, height)


def test_distances_and_features_grow(made):
    """Past its first room the table of features grows."""
    additions = Additions()
    records = [made.make_record(number) for number in range(200)]
    for record in records:
        additions.add(row_of(record))
    point = records[3].features
    expected = [sum((a - b) ** 2 for a, b in zip(r.features, point, strict=True)) for r in records]
    assert expected == additions.distances(point, range(200))
    assert 3 == additions.current(records[3].dataset)
    assert additions.holds(records[3].dataset)
    assert additions.current(bytes(16)) is None


def test_phrases_and_places(made):
    """Words side by side in one text, with or without accents; a place that is not told meets none."""
    record = made.make_record(1, title="Zürich bus stops", keywords=("night line",), box=None)
    assert has_phrase(record, ("zurich", "bus"))
    assert has_phrase(record, ("night", "line"))
    assert not has_phrase(record, ("stops", "night"))
    assert "night line" in texts_of(record)
    assert not meets(record.box, record.interval, Question(box=made.Box(-1, -1, 1, 1)))
    assert meets(record.box, record.interval, Question())
    assert [b"wzurich"] == keys_asked(Question(words=("zürich",)))
