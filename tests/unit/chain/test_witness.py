"""Witnesses: the same answers as the whole tree, or none at all; never another."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hansa.chain.authenticated import AuthenticatedMap
from hansa.chain.witness import Recorder, Unproven, Witness, open_witness

KEYS = [bytes([kind]) + number.to_bytes(2, "big") for kind in (1, 2, 7) for number in range(12)]
PAIRS = st.dictionaries(st.sampled_from(KEYS), st.binary(max_size=3), max_size=len(KEYS))
WRITES = st.dictionaries(
    st.sampled_from(KEYS), st.none() | st.binary(max_size=3), min_size=1, max_size=8
)


def ask(pairs: AuthenticatedMap, reads: list[bytes], kind: int | None, writes: dict):
    """Return what some reads, a scan and an update of a map give."""
    found = [leaf and leaf.value for leaf in map(pairs.leaf, reads)]
    scanned = [] if kind is None else [(leaf.key, leaf.value) for leaf in pairs.leaves(kind)]
    return found, scanned, pairs.updated(writes.items()).root


@given(PAIRS, st.lists(st.sampled_from(KEYS), max_size=4), st.sampled_from([None, 1, 2]), WRITES)
@settings(max_examples=150, deadline=None)
def test_a_witness_answers_as_the_whole_tree(pairs, reads, kind, writes) -> None:
    """Reads of what is there and what is not, scans, updates that split and merge subtrees."""
    whole = AuthenticatedMap.empty().updated(pairs.items())
    recorder = Recorder(whole)
    expected = ask(whole, reads, kind, writes)
    assert expected == ask(recorder.pairs, reads, kind, writes)
    witness = recorder.witness()
    part = open_witness(witness, whole.root)
    assert expected == ask(part, reads, kind, writes)
    assert len(witness.leaves) <= len(pairs)


@given(PAIRS, st.sampled_from(KEYS), st.sampled_from(KEYS), st.none() | st.binary(max_size=3))
@settings(max_examples=150, deadline=None)
def test_what_it_does_not_hold_is_never_guessed(pairs, seen, asked, value) -> None:
    """Any other question gets the whole tree's answer or `Unproven`."""
    whole = AuthenticatedMap.empty().updated(pairs.items())
    recorder = Recorder(whole)
    recorder.pairs.leaf(seen)
    part = open_witness(recorder.witness(), whole.root)
    for question in (
        lambda tree: ask(tree, [asked], None, {seen: value}),
        lambda tree: ask(tree, [], None, {asked: value}),
        lambda tree: ask(tree, [], 2, {seen: value}),
    ):
        try:
            found = question(part)
        except Unproven:
            continue
        assert question(whole) == found


def test_what_was_not_looked_at_is_a_hash() -> None:
    """A witness of one key among a thousand is small, and silent about the others."""
    pairs = {bytes([1]) + number.to_bytes(4, "big"): b"v" for number in range(1_000)}
    whole = AuthenticatedMap.empty().updated(pairs.items())
    recorder = Recorder(whole)
    key = bytes([1]) + bytes(4)
    recorder.pairs.leaf(key)
    witness = recorder.witness()
    assert ((key, b"v"),) == witness.leaves
    assert 8 * 32 < len(witness.hashes) < 40 * 32
    part = open_witness(witness, whole.root)
    with pytest.raises(Unproven):
        part.leaf(bytes([1]) + (999).to_bytes(4, "big"))
    with pytest.raises(Unproven):
        list(part.leaves(1))
    with pytest.raises(Unproven):
        part.updated([(key, None)])


@pytest.mark.parametrize(
    "change",
    [
        {"shape": b""},
        {"shape": b"\x01\x02\x02\x00"},
        {"shape": b"\x01\x02"},
        {"shape": b"\x01" * 300},
        {"shape": b"\x09"},
        {"shape": b"\x03"},
        {"shape": b"\x01\x02\x03"},
        {"leaves": ()},
        {"leaves": ((b"", b""),)},
        {"leaves": ((b"\x01a", b"1"), (b"\x01b", b"2"), (b"\x01c", b"3"))},
        {"leaves": ((b"\x01a", b"1"), (b"\x01b", b"3"))},
        {"hashes": bytes(32)},
        {"hashes": bytes(5)},
    ],
)
def test_malformed_witnesses(change) -> None:
    """Too few parts, too many, other parts: none opens."""
    whole = AuthenticatedMap.empty().updated([(b"\x01a", b"1"), (b"\x01b", b"2")])
    recorder = Recorder(whole)
    list(recorder.pairs.leaves())
    good = recorder.witness()
    open_witness(good, whole.root)
    with pytest.raises(Unproven):
        open_witness(msgspec.structs.replace(good, **change), whole.root)


def test_the_root_decides() -> None:
    """A sound part of another state is no witness of this one; nothing is the empty state's."""
    whole = AuthenticatedMap.empty().updated([(b"\x01a", b"1")])
    witness = Recorder(whole).witness()
    assert Witness(b"\x03", (), bytes(whole.root)) == witness
    open_witness(witness, whole.root)
    with pytest.raises(Unproven):
        open_witness(witness, bytes(32))
    assert None is open_witness(Witness(b"\x00", (), b""), bytes(32)).leaf(b"\x01a")
