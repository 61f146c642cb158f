"""Tests of hansa.data.membership."""

import hashlib

import numpy as np
import pytest

from hansa.data import membership
from hansa.data.membership import SHARDS, MembershipFilter, heads_of


def heads(count, label):
    """Return heads of uniform keys."""
    blob = hashlib.shake_256(label).digest(8 * count)
    return heads_of([blob[at : at + 8] for at in range(0, len(blob), 8)])


def test_heads_are_big_endian_numbers():
    """Heads sort as keys do."""
    assert heads_of([b"\1" + bytes(31), b"\0" * 7 + b"\2rest"]).tolist() == [1 << 56, 2]


@pytest.mark.parametrize("batch", [7, 500, 20_000])
def test_no_key_is_forgotten(batch):
    """Every key added is found, in large questions and in small ones, while it is added."""
    held, known = MembershipFilter(), heads(20_000, b"known")
    for first in range(0, len(known), batch):
        held.add(known[first : first + batch])
        assert held.may_contain(known[max(0, first - 50) : first + batch]).all()
    assert held.may_contain(known).all()
    assert all(held.may_contain(known[at : at + 1])[0] for at in range(0, 20_000, 97))
    assert held.count == 20_000


def test_few_strangers_are_let_through():
    """At n keys n / 2^36 of absent keys are "perhaps": here some 12 of 200,000 at 4 million keys."""
    held = MembershipFilter()
    held.add(heads(500_000, b"known"))
    strange = heads(400_000, b"strange")
    assert held.may_contain(strange).sum() < 20
    assert not held.may_contain(strange[:5]).any()


def test_memory():
    """Two bytes and an eighth for each key, and 4 MiB for the buckets once all shards are used."""
    held = MembershipFilter()
    assert held.memory_bytes < 5_000_000
    held.add(heads(300_000, b"known"))
    assert held.memory_bytes <= 64 * 4 * ((1 << 14) + 1) + 2.13 * 300_000


def test_small_questions_equal_large_ones(monkeypatch):
    """One by one or together, the answers are the same, also with crowded buckets."""
    crowded = np.arange(5_000, dtype=np.uint64) << np.uint64(28)
    held = MembershipFilter()
    held.add(crowded[::2])
    held.add(heads(3_000, b"more"))
    asked = np.concatenate([crowded, heads(1_000, b"strange"), np.full(1, 2**64 - 1, np.uint64)])
    together = held.may_contain(asked)
    monkeypatch.setattr(membership, "_FEW", 10_000)
    assert together.tolist() == held.may_contain(asked).tolist()
    assert together[:5_000].tolist() == [True, False] * 2_500


def test_saved_and_loaded():
    """What was saved is loaded; parts that are missing, cut or changed are not."""
    held, known = MembershipFilter(), heads(10_000, b"known")
    held.add(known)
    parts = list(held.parts())
    loaded = MembershipFilter.load(parts)
    assert loaded.may_contain(known).all()
    assert loaded.count == held.count
    loaded.add(heads(5_000, b"more"))
    assert loaded.may_contain(known).all()
    assert len(parts) == SHARDS
    assert MembershipFilter.load(parts[:-1]) is None
    assert MembershipFilter.load([parts[0][:-1], *parts[1:]]) is None
    assert MembershipFilter.load([b"", *parts[1:]]) is None
    changed = bytearray(parts[3])
    changed[-9] ^= 1
    assert MembershipFilter.load([*parts[:3], bytes(changed), *parts[4:]]) is None


def test_empty():
    """An empty filter knows nobody, and empty questions are fine."""
    held = MembershipFilter()
    held.add(np.empty(0, np.uint64))
    assert held.may_contain(np.empty(0, np.uint64)).tolist() == []
    assert held.may_contain(heads(30, b"x")).tolist() == [False] * 30
    assert held.count == 0
