"""Tests of hansa.storage.pack: checkable without keys, every byte guarded."""

import hashlib

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hansa.crypto.merkle import compute_root
from hansa.data.chunk import compute_sealed_digest
from hansa.errors import CorruptError, HansaError, MissingError
from hansa.storage.memory import MemoryStore
from hansa.storage.pack import (
    FOOTER_ENTRY_BYTES_MAX,
    HEADER,
    PART_BYTES,
    Member,
    PackFooter,
    PackPlan,
    _seal_footer,
    compute_pack_root,
    is_intact,
    read_footer,
)
from hansa.types import ChunkId

KEY = b"e" * 32


def members(count, size=50):
    """Return chunks to be packed."""
    blobs = [hashlib.shake_256(b"%d" % n).digest(size + n) for n in range(count)]
    return [
        Member(ChunkId(b"%032d" % n), b"f" * 36, compute_sealed_digest(b), len(b), lambda b=b: b)
        for n, b in enumerate(blobs)
    ]


def stored(plan):
    """Return a store with the pack in it, as object "p"."""
    store = MemoryStore()
    assert store.put("p", plan.parts()) == plan.bytes
    return store


def test_round_trip():
    """The footer tells where each chunk lies, and each is read by one positioned read."""
    chunks = members(5)
    plan = PackPlan(chunks, 3, KEY)
    store = stored(plan)
    footer = read_footer(store, "p", KEY)
    assert footer == plan.footer
    assert footer.cluster == 3
    for entry, member in zip(footer.entries, chunks, strict=True):
        assert store.get("p", entry.offset, entry.length) == member.read()
    assert is_intact(store, "p", plan.root)


def test_golden_name():
    """The format is pinned: the same chunks and key give this name."""
    assert (
        PackPlan(members(3), 3, KEY).root.hex()
        == "e2c1188361f6909256f25c863bdb0ecbd7b89a8a8d043bc3c1dc16c726c0c808"
    )


def test_sealing_again_gives_the_same_pack():
    """After a crash the same journal gives the same bytes, so no second pack appears."""
    assert list(PackPlan(members(4), 1, KEY).parts()) == list(PackPlan(members(4), 1, KEY).parts())
    assert PackPlan(members(4), 2, KEY).root != PackPlan(members(4), 1, KEY).root


def test_root_is_a_tree_over_parts():
    """The name is the root over 1 MiB parts, however the bytes are handed over."""
    data = hashlib.shake_256(b"tree").digest(2 * PART_BYTES + 17)
    parts = [data[:PART_BYTES], data[PART_BYTES : 2 * PART_BYTES], data[2 * PART_BYTES :]]
    expected = compute_root([hashlib.sha256(part).digest() for part in parts])
    assert compute_pack_root([data]) == expected
    assert compute_pack_root([data[:5], b"", data[5:]]) == expected
    assert compute_pack_root(parts[:2]) == compute_root(
        [hashlib.sha256(part).digest() for part in parts[:2]]
    )


@settings(max_examples=150)
@given(st.integers(0, 10_000), st.integers(1, 255))
def test_any_changed_byte_is_found(place, flip):
    """Without keys any flip is seen by the name; a flip in the footer or trailer stops the reader."""
    plan = PackPlan(members(4), 1, KEY)
    store = stored(plan)
    data = bytearray(store.objects["p"])
    place %= len(data)
    data[place] ^= flip
    store.objects["p"] = bytes(data)
    assert not is_intact(store, "p", plan.root)
    last = plan.footer.entries[-1]
    if place >= last.offset + last.length:
        with pytest.raises(CorruptError):
            read_footer(store, "p", KEY)


def test_cut_packs_are_refused():
    """A pack cut anywhere is refused with the declared error."""
    plan = PackPlan(members(2), 1, KEY)
    store = stored(plan)
    whole = store.objects["p"]
    for length in range(len(whole)):
        store.objects["p"] = whole[:length]
        with pytest.raises(HansaError):
            read_footer(store, "p", KEY)


def test_operator_sees_nothing():
    """Ids, fingerprints and digests are not in the pack's bytes, and another key opens nothing."""
    plan = PackPlan(members(3), 1, KEY)
    store = stored(plan)
    for entry in plan.footer.entries:
        assert entry.chunk not in store.objects["p"]
        assert entry.fingerprint not in store.objects["p"]
        assert entry.sealed_digest not in store.objects["p"]
    with pytest.raises(CorruptError):
        read_footer(store, "p", b"x" * 32)
    with pytest.raises(MissingError):
        read_footer(store, "q", KEY)


def test_journal_damage_is_not_packed():
    """A chunk that changed since it was recorded is never sealed into a pack."""
    chunks = members(2)
    bad = Member(chunks[0].chunk, b"", chunks[0].sealed_digest, 3, lambda: b"bad")
    with pytest.raises(CorruptError):
        PackPlan([bad, chunks[1]], 1, KEY)


@pytest.mark.parametrize(
    "change",
    [
        {"offset": 17},
        {"offset": -1},
        {"length": 0},
        {"length": 49},
        {"chunk": b"short"},
        {"sealed_digest": b"short"},
    ],
)
def test_footers_that_lie_are_refused(change):
    """A well-sealed footer with gaps, overlap or malformed ids is refused."""
    plan = PackPlan(members(2), 1, KEY)
    entries = (msgspec.structs.replace(plan.footer.entries[0], **change), plan.footer.entries[1])
    body = stored(plan).objects["p"][: len(HEADER) + sum(e.length for e in plan.footer.entries)]
    footer = PackFooter(1, 1, entries)
    store = MemoryStore()
    store.put("p", [body, _seal_footer(footer, KEY)])
    with pytest.raises(CorruptError):
        read_footer(store, "p", KEY)


def test_footer_with_a_gap_at_its_end():
    """Chunks that no entry names are refused."""
    plan = PackPlan(members(2), 1, KEY)
    body = stored(plan).objects["p"][: len(HEADER) + sum(e.length for e in plan.footer.entries)]
    store = MemoryStore()
    store.put("p", [body, _seal_footer(PackFooter(1, 1, plan.footer.entries[:1]), KEY)])
    with pytest.raises(CorruptError):
        read_footer(store, "p", KEY)


def test_footer_entry_estimate():
    """What a chunk takes in the footer is never more than planned for."""
    few, many = PackPlan(members(10), 1, KEY), PackPlan(members(110), 1, KEY)
    bodies = [sum(entry.length for entry in plan.footer.entries) for plan in (few, many)]
    more = (many.bytes - bodies[1]) - (few.bytes - bodies[0])
    assert more <= 100 * FOOTER_ENTRY_BYTES_MAX
    assert HEADER[:8] == b"HANSAPAK"
