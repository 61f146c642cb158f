"""Tests of hansa.storage.pack: checkable without keys, every byte guarded."""

import hashlib

import msgspec
import pytest
from blake3 import blake3
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
    PackEntry,
    PackFooter,
    PackHasher,
    compute_pack_root,
    encode_tail,
    is_intact,
    read_footer,
)
from hansa.types import ChunkId

KEY = b"e" * 32


SEGMENT = b"s" * 32


def make(count, cluster=1, size=50, segment=SEGMENT):
    """Return a pack: its footer, its bytes, its name."""
    body, entries = HEADER, []
    for n in range(count):
        blob = hashlib.shake_256(b"%d" % n).digest(size + n)
        entries.append(
            PackEntry(
                ChunkId(b"%032d" % n), b"f" * 36, compute_sealed_digest(blob), len(body), len(blob)
            )
        )
        body += blob
    footer = PackFooter(2, cluster, segment, tuple(entries))
    data = body + encode_tail(footer, KEY)
    return footer, data, compute_pack_root([data])


def stored(data):
    """Return a store with the pack in it, as object "p"."""
    store = MemoryStore()
    store.put("p", [data])
    return store


def test_round_trip():
    """The footer tells where each chunk lies, and each is read by one positioned read."""
    footer, data, root = make(5, 3)
    store = stored(data)
    assert read_footer(store, "p", KEY) == footer
    assert footer.cluster == 3
    for entry in footer.entries:
        assert compute_sealed_digest(store.get("p", entry.offset, entry.length)) == (
            entry.sealed_digest
        )
    assert is_intact(store, "p", root)


def test_golden_name():
    """The format is pinned: the same chunks and key give this name."""
    assert make(3, 3)[2].hex() == "ce326c321a3da94284c118c260b1fcb2fc7ae85b5fae387add3e454fb7219f3c"


def test_sealing_again_gives_the_same_pack():
    """After a crash the same segment gives the same bytes, so no second pack appears."""
    assert make(4) == make(4)
    assert make(4, 2)[2] != make(4, 1)[2]
    assert make(4)[2] != make(4, segment=b"t" * 32)[2], "written anew it has another name"


def test_packs_of_other_formats_are_refused():
    """A pack of another release is refused by its format; a strange object by its first bytes."""
    data = make(2)[1]
    with pytest.raises(CorruptError, match="format 1"):
        read_footer(stored(data[:8] + b"\x00\x01" + data[10:]), "p", KEY)
    with pytest.raises(CorruptError, match="begin"):
        read_footer(stored(b"x" + data[1:]), "p", KEY)


def test_root_is_a_tree_over_parts():
    """The name is the root over 1 MiB parts, however the bytes are handed over."""
    data = hashlib.shake_256(b"tree").digest(2 * PART_BYTES + 17)
    parts = [data[:PART_BYTES], data[PART_BYTES : 2 * PART_BYTES], data[2 * PART_BYTES :]]
    expected = compute_root([blake3(part).digest() for part in parts])
    assert compute_pack_root([data]) == expected
    assert compute_pack_root([data[:5], b"", data[5:]]) == expected
    assert compute_pack_root(parts[:2]) == compute_root(
        [blake3(part).digest() for part in parts[:2]]
    )


@settings(max_examples=60)
@given(st.lists(st.integers(0, 700_000), max_size=6), st.integers(0, 2_000_000))
def test_hasher_does_not_care_how_bytes_come(cuts, tail):
    """Kept up piece by piece, with the last bytes given at the end, the name is the same."""
    data = bytes(sum(cuts)) + b"tail" * (tail // 4)
    hasher, at = PackHasher(), 0
    for cut in cuts:
        hasher.update(data[at : at + cut])
        at += cut
    assert hasher.root(data[at:]) == compute_pack_root([data])
    assert hasher.bytes == at
    assert hasher.root() == compute_pack_root([data[:at]])


@settings(max_examples=150)
@given(st.integers(0, 10_000), st.integers(1, 255))
def test_any_changed_byte_is_found(place, flip):
    """Without keys any flip is seen by the name; a flip in the footer or trailer stops the reader."""
    footer, whole, root = make(4)
    store, data = stored(whole), bytearray(whole)
    place %= len(data)
    data[place] ^= flip
    store.objects["p"] = bytes(data)
    assert not is_intact(store, "p", root)
    last = footer.entries[-1]
    if place >= last.offset + last.length:
        with pytest.raises(CorruptError):
            read_footer(store, "p", KEY)


def test_cut_packs_are_refused():
    """A pack cut anywhere is refused with the declared error."""
    whole = make(2)[1]
    store = stored(whole)
    for length in range(len(whole)):
        store.objects["p"] = whole[:length]
        with pytest.raises(HansaError):
            read_footer(store, "p", KEY)


def test_operator_sees_nothing():
    """Ids, fingerprints and digests are not in the pack's bytes, and another key opens nothing."""
    footer, data, _ = make(3)
    store = stored(data)
    for entry in footer.entries:
        assert entry.chunk not in store.objects["p"]
        assert entry.fingerprint not in store.objects["p"]
        assert entry.sealed_digest not in store.objects["p"]
    with pytest.raises(CorruptError):
        read_footer(store, "p", b"x" * 32)
    with pytest.raises(MissingError):
        read_footer(store, "q", KEY)


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
    footer, data, _ = make(2)
    entries = (msgspec.structs.replace(footer.entries[0], **change), footer.entries[1])
    body = data[: len(HEADER) + sum(e.length for e in footer.entries)]
    store = stored(body + encode_tail(PackFooter(2, 1, SEGMENT, entries), KEY))
    with pytest.raises(CorruptError):
        read_footer(store, "p", KEY)


def test_footer_with_a_gap_at_its_end():
    """Chunks that no entry names are refused."""
    footer, data, _ = make(2)
    body = data[: len(HEADER) + sum(e.length for e in footer.entries)]
    store = stored(body + encode_tail(PackFooter(2, 1, SEGMENT, footer.entries[:1]), KEY))
    with pytest.raises(CorruptError):
        read_footer(store, "p", KEY)


def test_footer_entry_estimate():
    """What a chunk takes in the footer is never more than planned for."""
    sizes = []
    for count in (10, 110):
        footer, data, _ = make(count)
        sizes.append(len(data) - sum(entry.length for entry in footer.entries))
    more = sizes[1] - sizes[0]
    assert more <= 100 * FOOTER_ENTRY_BYTES_MAX
    assert HEADER[:8] == b"HANSAPAK"
