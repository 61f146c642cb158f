"""Tests of hansa.data.membership."""

import hashlib

from hansa.data.membership import MembershipFilter


def keys(count, label):
    """Return uniform keys."""
    blob = hashlib.shake_256(label).digest(32 * count)
    return [blob[at : at + 32] for at in range(0, len(blob), 32)]


def test_no_key_is_forgotten():
    """Every key added is found."""
    known = keys(20_000, b"known")
    found = MembershipFilter(20_000)
    found.add(known)
    assert all(found.may_contain(known))
    assert found.count == 20_000


def test_few_strangers_are_let_through():
    """At full load fewer than 1 % of absent keys are "perhaps", with two bytes a key."""
    found = MembershipFilter(65_536)
    found.add(keys(65_536, b"known"))
    assert found.is_full
    assert sum(found.may_contain(keys(50_000, b"strange"))) < 500
    assert found.memory_bytes == 2 * 65_536


def test_empty():
    """An empty filter knows nobody, and empty questions are fine."""
    found = MembershipFilter(0)
    found.add([])
    assert found.may_contain([]) == []
    assert found.may_contain(keys(3, b"x")) == [False] * 3
    assert not found.is_full
