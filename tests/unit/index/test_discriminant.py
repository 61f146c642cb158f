"""Discriminant table: pages that hold a match are never ruled out, the others mostly are."""

import random

import pytest

from hansa.index.cells import filter_keys, needs_of
from hansa.index.discriminant import Discriminant, find_absent
from hansa.index.filters import KeyFilter, PageFilter, hash_key
from hansa.index.pages import Row, encode_page
from hansa.index.question import Question
from hansa.types import Box, Interval


@pytest.fixture(scope="module")
def groups(made):
    return [[made.make_record(page * 20 + n) for n in range(20)] for page in range(12)]


@pytest.fixture(scope="module")
def table(groups):
    entries = [encode_page([Row(r, 0, r.digest()) for r in group], 0)[0] for group in groups]
    keys = [{hash_key(k) for r in group for k in filter_keys(r)} for group in groups]
    whole = KeyFilter.sized_for(20_000)
    whole.add(set().union(*keys))
    return Discriminant(entries, whole, PageFilter.build(keys))


@pytest.mark.parametrize("seed", range(4))
def test_no_page_with_a_match_is_ruled_out(made, groups, table, seed):
    """Pruning is exact in the one direction that counts."""
    draw = random.Random(seed)
    everyone = [record for group in groups for record in group]
    for _ in range(100):
        question = made.draw_question(draw, everyone)
        if question.like is not None:
            continue
        needs = needs_of(question)
        left = table.join(table.rule(question, needs))
        holds = [bool(made.scan(group, question)) for group in groups]
        assert all(left[page] for page, has in enumerate(holds) if has)
        if any(holds):
            assert "" == find_absent(table.whole, needs)


def test_absent_needs_are_named(table):
    """The first thing that is nowhere is told."""
    question = Question(owner="alpha", words=("nowhere",))
    assert "word 'nowhere'" == find_absent(table.whole, needs_of(question))


def test_bounds_rule_out_with_a_reason(table):
    """Place and time beyond all bounds leave no page, and say why."""
    far = Question(box=Box(170_000_000, -80_000_000, 170_000_001, -79_000_000))
    old = Question(interval=Interval(-(10**13), -(10**12)))
    for question, reason in ((far, "its places lie elsewhere"), (old, "its times lie elsewhere")):
        rulings = table.rule(question, [])
        assert [reason] == [ruling.reason for ruling in rulings]
        assert not table.join(rulings).any()


def test_id_leads_to_its_page(groups, table):
    """The page of an id is among those named."""
    for page, group in enumerate(groups):
        assert table.pages_with_key(hash_key(b"i" + group[0].dataset))[page]
    assert table.memory_bytes > 0
