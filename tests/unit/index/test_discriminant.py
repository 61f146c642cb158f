"""Discriminant table: what holds a match is never ruled out, the rest mostly is, with a reason."""

import random

import numpy as np
import pytest

from hansa.index import IndexChange, IndexParameters, InformationIndex, MemoryIndexFiles
from hansa.index.question import Question
from hansa.types import Box, Interval


@pytest.fixture(scope="module")
def records(made):
    return [made.make_record(number) for number in range(500)]


@pytest.fixture(scope="module")
def base(records):
    index = InformationIndex.open(MemoryIndexFiles(), IndexParameters(recluster_registrations=500))
    index.apply(1, [IndexChange(record.dataset, record) for record in records])
    return index._state.view.base


@pytest.mark.parametrize("seed", range(4))
def test_nothing_with_a_match_is_ruled_out(made, records, base, seed):
    """Pruning is exact in the one direction that counts, as a whole and page by page."""
    draw = random.Random(seed)
    for _ in range(60):
        question = made.draw_question(draw, records)
        if question.like is not None:
            continue
        matching = [dataset for _, dataset in made.scan(records, question)]
        if not matching:
            continue
        assert "" == base.discriminant.absent(question)
        rows = np.array([base.find(dataset) for dataset in matching], dtype=np.uint32)
        pages = base.cluster_index.page_of(rows)
        for ruling in base.discriminant.rule(question):
            assert ruling.pages[pages].all(), ruling.reason


@pytest.mark.parametrize(
    ("question", "reason"),
    [
        (Question(owner="alpha", words=("nowhere",)), "no word 'nowhere'"),
        (Question(phrases=(("air", "nowhere"),)), "no word 'nowhere'"),
        (Question(prefixes=("qxz",)), "no word 'qxz'…"),
        (Question(theme="Sport"), "no theme 'sport'"),
        (Question(title="Nothing"), "no title 'Nothing'"),
        (Question(dataset=bytes(16)), "no dataset of this id"),
        (Question(interval=Interval(-(10**13), -(10**12))), "no data of this time"),
        (Question(box=Box(170_000_000, -80_000_000, 170_000_001, -79_000_000)),
         "no data in this place"),
    ],
)  # fmt: skip
def test_the_first_thing_missing_is_named(base, question, reason):
    """A person can read why nothing was looked at."""
    assert reason == base.discriminant.absent(question)


@pytest.mark.parametrize("seed", range(60))
def test_what_is_refused_does_not_depend_on_its_naming(made, records, base, seed):
    """Without an explanation a facet may be refused by a pair; it is refused all the same."""
    draw = random.Random(f"naming {seed}")
    question = made.draw_question(draw, records)
    named = base.discriminant.absent(question)
    assert bool(named) == bool(base.discriminant.absent(question, explain=False))


def test_facets_never_together_are_refused(made):
    """Both are there, on no row together."""
    one = [made.make_record(n, owner="alpha", formats=("csv",)) for n in range(20)]
    two = [made.make_record(n, owner="beta", formats=("pdf",)) for n in range(20, 40)]
    index = InformationIndex.open(MemoryIndexFiles(), IndexParameters(recluster_registrations=40))
    index.apply(1, [IndexChange(record.dataset, record) for record in one + two])
    answer = index.ask(Question(owner="alpha", format="pdf"))
    assert (0, 0) == (answer.total, answer.explanation.bytes_read)
    assert "both owner and format" in answer.explanation.refusals[0].reason
    assert 20 == index.ask(Question(owner="alpha", format="csv")).total


def test_memory_is_told(base):
    """What the layer takes, filters and bounds."""
    assert base.discriminant.memory_bytes > 24 * base.pages


def test_three_facets_that_meet_only_in_pairs_are_refused(made):
    """Owner, theme and format: each two are together somewhere, even on one page; all three are nowhere."""
    kinds = (
        ("alpha", "Health", "pdf"),
        ("alpha", "Sport", "csv"),
        ("beta", "Health", "csv"),
    )
    records = [
        made.make_record(n, owner=owner, themes=(theme,), formats=(name,), features=(5,) * 20)
        for n, (owner, theme, name) in enumerate(kinds * 15)
    ]
    index = InformationIndex.open(MemoryIndexFiles(), IndexParameters(recluster_registrations=45))
    index.apply(1, [IndexChange(record.dataset, record) for record in records])
    assert 1 == index._state.view.base.pages
    answer = index.ask(Question(owner="alpha", theme="Health", format="csv"))
    assert (0, 0) == (answer.total, answer.explanation.bytes_read)
    assert "owner, theme and format" in answer.explanation.refusals[0].reason
    for owner, theme, name in kinds:
        assert 15 == index.ask(Question(owner=owner, theme=theme, format=name)).total
