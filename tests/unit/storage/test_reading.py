"""Tests of hansa.storage.reading: few reads, the right bytes, in the order asked for."""

import hashlib
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa import limits
from hansa.errors import MissingError
from hansa.storage.reading import plan_runs, read_many
from hansa.types import Address

PACKS = {name * 32: hashlib.shake_256(name).digest(5_000) for name in (b"a", b"b", b"c")}


class Source:
    """Three packs in memory that count their reads."""

    def __init__(self):
        self.reads = []

    def read(self, address):
        """Return bytes."""
        self.reads.append(address)
        if address.pack not in PACKS:
            raise MissingError("gone")
        return PACKS[address.pack][address.offset : address.offset + address.length]


ADDRESSES = st.builds(
    Address, st.sampled_from(sorted(PACKS)), st.integers(0, 4_900), st.integers(1, 100)
)


@given(st.lists(ADDRESSES, max_size=30), st.integers(0, 300), st.integers(100, 2_000))
def test_any_addresses(addresses, gap, run):
    """Whatever is asked for, overlapping, repeated, unordered: each gets its bytes; no read is too long."""
    source = Source()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(limits, "READ_GAP_BYTES_MAX", gap)
        patch.setattr(limits, "READ_RUN_BYTES_MAX", run)
        found = read_many(source, addresses)
    assert [bytes(piece) for piece in found] == [
        PACKS[a.pack][a.offset : a.offset + a.length] for a in addresses
    ]
    assert all(read.length <= run for read in source.reads)
    asked = sum(a.length for a in addresses)
    assert sum(read.length for read in source.reads) <= asked + gap * len(addresses)


def test_neighbours_are_one_read(monkeypatch):
    """A run, also one with small gaps, is one positioned read; far ones and other packs are not."""
    monkeypatch.setattr(limits, "READ_GAP_BYTES_MAX", 50)
    pack = b"a" * 32
    near = [Address(pack, 0, 100), Address(pack, 100, 100), Address(pack, 250, 100)]
    assert [(run.start, run.end) for run in plan_runs(near)] == [(0, 350)]
    far = [*near, Address(pack, 401, 10), Address(b"b" * 32, 350, 10)]
    assert [(run.start, run.end) for run in plan_runs(far)] == [(0, 350), (401, 411), (350, 360)]
    assert plan_runs([]) == []


def test_several_packs_at_the_same_time():
    """With threads the reads of one question run beside each other, and failures are told."""
    addresses = [Address(pack, 10 * n, 10) for n, pack in enumerate(sorted(PACKS))]
    with ThreadPoolExecutor(3) as executor:
        found = read_many(Source(), addresses, executor)
        assert [bytes(piece) for piece in found] == [
            PACKS[a.pack][a.offset : a.offset + 10] for a in addresses
        ]
        with pytest.raises(MissingError):
            read_many(Source(), [*addresses, Address(b"x" * 32, 0, 1)], executor)
