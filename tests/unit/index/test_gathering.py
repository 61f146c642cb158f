"""Gathering: flat arrays of numbers hold what plain sets would, whatever comes in whatever order."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hansa.index import gathering
from hansa.index.cells import GROUPS, bare, facets_of, key_of, pair_keys, strong_words
from hansa.index.gathering import Gathered, Numbers, Pairs, Postings, places_of

ROWS = st.lists(st.lists(st.integers(0, 9), max_size=6), max_size=12)
NUMBERS = st.lists(st.integers(0, (1 << 32) - 1), max_size=5)


@settings(deadline=None, max_examples=60)
@given(ROWS, st.permutations(range(10)))
def test_lists_are_those_of_a_plain_dictionary(rows, places):
    """Each number's rows, rising, each once, at the place that stands for it."""
    postings = Postings()
    for row in rows:
        postings.add(row)
    starts, found = postings.lists(10, np.array(places, dtype=np.uint64))
    for number, place in enumerate(places):
        expected = [row for row, numbers in enumerate(rows) if number in numbers]
        assert expected == found[starts[place] : starts[place + 1]].tolist()
    assert places != list(range(10)) or (starts == postings.lists(10)[0]).all()


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(NUMBERS, NUMBERS), max_size=8), st.sampled_from([1, 3, 1 << 20]))
def test_pairs_are_a_set(batches, at_once):
    """Whenever they are settled: every pair once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gathering, "_PAIRS_AT_ONCE", at_once)
        pairs, expected = Pairs(), set()
        for ones, twos in batches:
            pairs.add(ones, twos)
            expected |= set(product(ones, twos))
        assert sorted(expected) == list(pairs)
        assert len(expected) == len(pairs)


def test_words_that_differ_in_accents_have_one_number():
    """The first seen has the first number."""
    numbers = Numbers()
    assert [0, 1, 0] == [numbers[word] for word in ("Zürich", "bern", "Zurich")]
    assert {"Zurich": 0, "bern": 1} == numbers.plain
    assert [1, 0] == places_of(["bern", "Zurich"], numbers.plain).tolist()


def test_what_rows_have_is_all_there(made):
    """Words, strong words, facets, keys and pairs of 200 records, beside what each record says."""
    records = [made.make_record(number) for number in range(200)]
    gathered = Gathered()
    for record in records:
        gathered.take(record)
    words, keys = list(gathered.plain_words), list(gathered.keys)
    for postings, names, kind in (
        (gathered.words, words, lambda r: {bare(word) for word in r.words}),
        (gathered.strong, words, lambda r: {bare(word) for word in strong_words(r)}),
        (gathered.keyed, keys, keys_of),
    ):
        starts, rows = postings.lists(len(names))
        found = [set() for _ in records]
        for number, name in enumerate(names):
            for row in rows[starts[number] : starts[number + 1]].tolist():
                found[row].add(name)
        assert [kind(record) for record in records] == found
    expected = {pair for record in records for pair in pair_keys(record)}
    told = [(group, key) for group in GROUPS for key in gathered.pair_keys(group)]
    assert expected == set(told)
    assert len(expected) == len(told) == sum(map(gathered.count_pairs, GROUPS))


def keys_of(record):
    """Return the keys that are no words."""
    facets = facets_of(record).items()
    found = {key_of(kind, value) for kind, values in facets for value in values}
    return found | {key_of("n", record.title.lower()), b"i" + record.dataset}
