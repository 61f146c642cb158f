"""The first that match, by lists and by bits, are those of plain sets; what ended is never among them."""

import random

import numpy as np
import pytest

from hansa.index import finding, members
from hansa.index.columns import Room
from hansa.index.finding import Finding
from hansa.index.members import Members
from hansa.index.time_order import TimeOrder
from hansa.types import Interval

ROWS = 2_000


def array(ranks):
    return np.array(sorted(ranks), dtype=np.uint32)


@pytest.fixture(scope="module")
def world():
    draw = random.Random(11)
    sets = [set(draw.sample(range(ROWS), size)) for size in (30, 300, 900, 1_700)]
    spans = {}
    for rank in draw.sample(range(ROWS), 1_500):
        start = draw.randrange(1_000)
        spans[rank] = (start, start + draw.choice((0, 3, 100, 900)))
    dead = set(draw.sample(range(ROWS), 150))
    ranks = array(spans)
    table = np.array([spans[rank] for rank in ranks.tolist()], dtype=np.int64)
    return sets, spans, dead, TimeOrder(ranks, table, ROWS, Room(1 << 20))


@pytest.mark.parametrize("dense", [1, 10, 10**6])
@pytest.mark.parametrize("probe", [1, 4])
def test_count_and_first_are_those_of_sets(world, monkeypatch, dense, probe):
    """Every choice of keys, time and ends gives what intersecting sets gives."""
    monkeypatch.setattr(members, "_DENSE", dense)
    monkeypatch.setattr(finding, "_PROBE_WORDS", probe)
    sets, spans, dead, times = world
    draw = random.Random(dense + probe)
    made = [Members(array(ranks), ROWS) for ranks in sets]
    for _ in range(150):
        chosen = sorted(draw.sample(range(4), draw.randrange(4)), key=lambda n: len(sets[n]))
        expected = set(range(ROWS)).intersection(*(sets[n] for n in chosen))
        ended = dead if draw.random() < 0.5 else set()
        found = Finding([made[n] for n in chosen], ROWS, array(ended))
        if not chosen or draw.random() < 0.6:
            start = draw.randrange(-50, 1_100)
            asked = Interval(start, start + draw.choice((0, 5, 400)))
            expected &= {r for r, (s, e) in spans.items() if s <= asked.end_ms and e >= asked.start_ms}  # fmt: skip
            if not found.take_time(times, asked):
                assert not expected
                continue
        expected -= ended
        best = draw.choice((1, 20, 5_000))
        keys = found.asked
        if keys and keys[0].ranks is not None:
            heap = draw.sample(keys[0].ranks.tolist(), keys[0].count)
            mixed = found.of_heap(np.array(heap, dtype=np.uint32), keys[1:], best)
            assert (len(expected), sorted(expected)[:best]) == (mixed.total, mixed.ranks.tolist())
            first = found.of_list(keys[0].ranks, keys[1:], best)
            if keys[0].listed is not None:
                assert sorted(expected) == found.few(keys[0].listed)
        else:
            first = found.of_bits(best)
        assert (len(expected), sorted(expected)[:best]) == (first.total, first.ranks.tolist())


def test_bits_are_not_looked_at_one_by_one(world):
    """Of many that match only a stretch is asked for its time."""
    sets, _, _, times = world
    found = Finding([Members(array(sets[3]), ROWS)], ROWS, array(()))
    assert found.take_time(times, Interval(0, 2_000))
    first = found.of_bits(20)
    assert 20 == len(first.ranks)
    assert first.examined < ROWS // 4
