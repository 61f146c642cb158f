"""Tests of hansa.storage.rewriting: each step whole, repeatable, and safe at a crash in between."""

import hashlib
from pathlib import Path

import pytest

from hansa import limits
from hansa.data.chunk import compute_sealed_digest
from hansa.data.pipeline import UploadChunk
from hansa.errors import MissingError, UnavailableError
from hansa.storage.addresses import Alive
from hansa.storage.chunk_store import ChunkStore
from hansa.storage.journal import Journal
from hansa.storage.memory import MemoryStore
from hansa.storage.names import PACKS, name_pack
from hansa.storage.pack import read_footer
from hansa.storage.table import MemoryTable
from hansa.testing.doubles import FixedClock, SeededEntropy
from hansa.types import ChunkId

KEY = b"e" * 32
OPENINGS = iter(range(1_000_000))


def upload(label, size=200):
    """Return a chunk that no other label has."""
    blob = hashlib.shake_256(f"{label}".encode()).digest(size + 68)
    return UploadChunk(ChunkId(blob[:32]), blob[32:68], blob[68:])


def digest(label):
    """Return the sealed digest of a chunk."""
    return compute_sealed_digest(upload(label).sealed)


def open_store(folder, store=None, table=None, clock=None):
    """Return an open chunk store."""
    entropy = SeededEntropy(str(next(OPENINGS)))
    return ChunkStore(
        store or MemoryStore(),
        Journal(Path(folder)),
        table or MemoryTable(),
        KEY,
        entropy,
        clock=clock or FixedClock(),
    )


def reopen(chunks, folder):
    """Open again what another left behind."""
    return open_store(folder, chunks.store, chunks.table, chunks.addresses._clock)


def packed(folder, *groups):
    """Return a store with a pack of each group of labels, and their roots."""
    chunks = open_store(folder)
    roots = []
    for group in groups:
        chunks.put([upload(label) for label in group], 0)
        chunks.flush()
        roots.append(chunks.locate(digest(group[0])).address.pack)
    return chunks, roots


def read(chunks, label):
    """Return a chunk's bytes."""
    return chunks.read(chunks.locate(digest(label)).address)


def test_living_chunks_move_and_packs_go(tmp_path):
    """Two packs become one; the addresses follow; the old packs are deleted once nothing points there."""
    chunks, roots = packed(tmp_path, "abc", "def")
    wanted = {digest(label) for label in "acd"}
    assert not chunks.drop_pack(roots[0]), "a pack that is needed was deleted"
    assert chunks.rewrite(roots, lambda sealed: sealed in wanted, 7) == 3 * 200
    assert chunks.flush(7) == 1
    chunks.addresses._clock.time_ms += limits.UPLOAD_LEASE_MS + 1
    assert sorted(chunks.forget([digest(label) for label in "bef"])) == sorted(
        digest(label) for label in "bef"
    )
    old = chunks.locate(digest("a")).address
    assert [chunks.drop_pack(root) for root in roots] == [True, True]
    for opened in (chunks, reopen(chunks, tmp_path)):
        assert [read(opened, label) for label in "acd"] == [upload(c).sealed for c in "acd"]
        assert [(root, row.cluster, row.chunks) for root, row in opened.packs()] == [
            (old.pack, 7, 3)
        ]
        assert list(opened.store.list(PACKS)) == [name_pack(old.pack)]
        assert opened.damages == []
        with pytest.raises(MissingError):
            opened.locate(digest("b"))
    assert chunks.packed_bytes() == chunks.store.size(name_pack(old.pack))


def test_a_reader_with_an_old_address(tmp_path):
    """Who located before gets MissingError after the pack went, and finds the new place."""
    chunks, roots = packed(tmp_path, "ab")
    before = chunks.locate(digest("a")).address
    chunks.rewrite(roots, lambda _sealed: True, 0)
    assert chunks.read(before) == upload("a").sealed
    chunks.drop_pack(roots[0])
    with pytest.raises(MissingError):
        chunks.read(before)
    assert read(chunks, "a") == upload("a").sealed


def test_forget_spares_what_is_fresh(tmp_path):
    """Chunks that were put, or found stored by a repeated upload, within the hour are not forgotten."""
    chunks, roots = packed(tmp_path, "ab")
    assert chunks.forget([digest("a")]) == []
    chunks.addresses._clock.time_ms += limits.UPLOAD_LEASE_MS + 1
    chunks.put([upload("a")], 0)
    assert chunks.forget([digest("a"), digest("b")]) == []
    chunks.addresses._clock.time_ms += limits.UPLOAD_LEASE_MS + 1
    assert chunks.forget([digest("a"), b"x" * 32]) == [digest("a")]
    assert chunks.fresh_until(roots[0]) < chunks.addresses.now_ms()
    assert read(chunks, "b") == upload("b").sealed


def test_damaged_chunks_are_not_copied(tmp_path):
    """A chunk that is not what was stored is marked and stays; the pack is not dropped under it."""
    chunks, roots = packed(tmp_path, "abc")
    name = name_pack(roots[0])
    data = bytearray(chunks.store.objects[name])
    data[chunks.locate(digest("b")).address.offset] ^= 1
    chunks.store.objects[name] = bytes(data)
    assert chunks.rewrite(roots, lambda _sealed: True, 0) == 400
    assert not chunks.is_alive(chunks.locate(digest("b")), Alive())
    assert not chunks.drop_pack(roots[0])
    assert [read(chunks, label) for label in "ac"] == [upload(label).sealed for label in "ac"]
    chunks.put([upload("b")], 0)
    assert chunks.drop_pack(roots[0])
    assert read(chunks, "b") == upload("b").sealed


@pytest.mark.parametrize("cut", [30, 250, 500])
def test_packs_without_a_footer(tmp_path, cut):
    """A pack cut short is rewritten from what the table knows of it."""
    chunks, roots = packed(tmp_path, "abc")
    name = name_pack(roots[0])
    chunks.store.objects[name] = chunks.store.objects[name][:cut]
    whole = [label for at, label in enumerate("abc") if 16 + 200 * (at + 1) <= cut]
    assert len(chunks.entries(roots[0])) == 3
    assert chunks.rewrite(roots, lambda _sealed: True, 0) == 200 * len(whole)
    assert [read(chunks, label) for label in whole] == [upload(label).sealed for label in whole]


def test_long_packs_are_copied_in_groups(tmp_path, monkeypatch):
    """However large a pack, only so much of it is in memory at once."""
    monkeypatch.setattr(limits, "UPLOAD_BATCH_BYTES_MAX", 700)
    chunks = open_store(tmp_path)
    for label in range(10):
        chunks.put([upload(label)], 0)
    chunks.flush()
    root = chunks.locate(digest(0)).address.pack
    sizes = []
    real = chunks.store.get
    chunks.store.get = lambda name, at=0, length=None: (
        sizes.append(length or 0) or real(name, at, length)
    )
    assert chunks.rewrite([root], lambda _sealed: True, 0) == 2_000
    assert max(sizes[3:]) <= 700


class _DownError(Exception):
    """Stands for a crash."""


def test_crash_while_a_pack_is_deleted(tmp_path):
    """What was noted to go goes at the next open, and is neither reported nor taken up again."""
    chunks, roots = packed(tmp_path, "ab", "c")
    chunks.addresses._clock.time_ms += limits.UPLOAD_LEASE_MS + 1
    chunks.forget([digest("a"), digest("b")])
    real = chunks.store.delete

    def failing(_name):
        raise UnavailableError("The store cannot be reached.")

    chunks.store.delete = failing
    with pytest.raises(UnavailableError):
        chunks.drop_pack(roots[0])
    chunks.store.delete = real
    assert chunks.store.exists(name_pack(roots[0]))
    again = reopen(chunks, tmp_path)
    assert not again.store.exists(name_pack(roots[0]))
    assert again.damages == []
    assert again.index.locate(digest("a")) is None
    assert read(again, "c") == upload("c").sealed


def test_a_deletion_is_repeated(tmp_path):
    """A pack whose deletion failed is deleted by the next call; a missing one is no error."""
    chunks, roots = packed(tmp_path, "a")
    chunks.addresses._clock.time_ms += limits.UPLOAD_LEASE_MS + 1
    chunks.forget([digest("a")])
    real = chunks.store.delete
    chunks.store.delete = lambda _name: (_ for _ in ()).throw(UnavailableError("away"))
    with pytest.raises(UnavailableError):
        chunks.drop_pack(roots[0])
    chunks.store.delete = real
    assert chunks.drop_pack(roots[0])
    assert chunks.drop_pack(roots[0])
    assert list(chunks.store.list(PACKS)) == []


def test_the_same_pack_comes_again(tmp_path):
    """A pack of the same bytes and segment, come anew while the old one goes, stays: the worst case."""
    chunks, roots = packed(tmp_path, "ab")
    segment = read_footer(chunks.store, name_pack(roots[0]), KEY).segment
    chunks._entropy.random_bytes = lambda _count: segment
    chunks.addresses._clock.time_ms += limits.UPLOAD_LEASE_MS + 1
    chunks.forget([digest("a"), digest("b")])
    real = chunks.store.delete
    seen = []

    def slow(name):
        chunks.put([upload("a"), upload("b")], 0)
        with pytest.raises(UnavailableError, match="deleted"):
            chunks.flush()
        seen.append(name)
        real(name)

    chunks.store.delete = slow
    assert chunks.drop_pack(roots[0])
    assert seen == [name_pack(roots[0])]
    assert chunks.flush() == 1
    assert chunks.locate(digest("a")).address.pack == roots[0]
    with chunks.addresses.placing(roots[0]):
        chunks.addresses._clock.time_ms += limits.UPLOAD_LEASE_MS + 1
        chunks.forget([digest("a"), digest("b")])
        assert not chunks.drop_pack(roots[0])
    assert chunks.store.exists(name_pack(roots[0]))


def test_the_same_chunks_make_a_pack_of_another_name(tmp_path):
    """Written anew they do not meet the name of the pack they come from, which may be damaged."""
    chunks, roots = packed(tmp_path, "abc")
    name = name_pack(roots[0])
    chunks.store.objects[name] = chunks.store.objects[name][:-1] + b"!"
    assert chunks.rewrite(roots, lambda _sealed: True, 0) > 0
    assert chunks.flush() == 1
    assert chunks.locate(digest("a")).address.pack != roots[0]


def test_lost_table_after_rewriting(tmp_path):
    """With old and new packs both there and the table lost, every chunk is found, once."""
    chunks, roots = packed(tmp_path, "abc")
    chunks.rewrite(roots, lambda _sealed: True, 3)
    chunks.flush()
    again = open_store(tmp_path, chunks.store)
    assert [read(again, label) for label in "abc"] == [upload(label).sealed for label in "abc"]
    assert again.damages == []
