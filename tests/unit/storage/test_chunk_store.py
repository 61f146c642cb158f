"""Tests of hansa.storage.chunk_store: against a dictionary, with crashes at every step."""

import contextlib
import errno
import hashlib
import os
import shutil
import tempfile
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from hansa import limits
from hansa.data.chunk import compute_sealed_digest
from hansa.data.pipeline import UploadChunk
from hansa.errors import (
    ConflictError,
    CorruptError,
    DiskFullError,
    InvalidError,
    MissingError,
    UnavailableError,
)
from hansa.storage.addresses import Alive
from hansa.storage.chunk_store import ChunkStore
from hansa.storage.journal import Journal
from hansa.storage.local import LocalStore
from hansa.storage.memory import MemoryStore
from hansa.storage.names import PACKS, name_pack, parse_root
from hansa.storage.pack import is_intact
from hansa.storage.table import MemoryTable
from hansa.testing.doubles import FixedClock, SeededEntropy
from hansa.types import Address, ChunkId

KEY = b"e" * 32


def chunk(label, size=300):
    """Return a chunk that no other label has."""
    blob = hashlib.shake_256(f"{label}".encode()).digest(size + 68)
    return UploadChunk(ChunkId(blob[:32]), blob[32:68], blob[68:])


def open_store(folder, store=None, table=None):
    """Return an open chunk store; what is not given is new and in memory."""
    journal = Journal(Path(folder) / "journal")
    entropy = SeededEntropy(str(len(journal.segments)) + os.urandom(8).hex())
    return ChunkStore(
        store or MemoryStore(), journal, table or MemoryTable(), KEY, entropy, clock=FixedClock()
    )


def read(chunks, digest):
    """Return a stored chunk's bytes."""
    return chunks.read(chunks.locate(digest).address)


def test_put_then_read(tmp_path):
    """Chunks are read back from the journal, and from their pack after it was sealed."""
    chunks = open_store(tmp_path)
    digests = chunks.put([chunk(1), chunk(2)], 5)
    assert digests == [compute_sealed_digest(chunk(n).sealed) for n in (1, 2)]
    assert [read(chunks, digest) for digest in digests] == [chunk(1).sealed, chunk(2).sealed]
    assert list(chunks.store.list(PACKS)) == []
    assert chunks.flush() == 1
    assert [read(chunks, digest) for digest in digests] == [chunk(1).sealed, chunk(2).sealed]
    assert chunks.journal.segments == {}
    assert [(row.cluster, row.chunks) for _, row in chunks.packs()] == [(5, 2)]


def test_put_is_idempotent(tmp_path):
    """A repeated upload stores nothing twice, before and after sealing."""
    chunks = open_store(tmp_path)
    chunks.put([chunk(1), chunk(1)], 0)
    size = next(iter(chunks.journal.segments.values())).size
    chunks.put([chunk(1)], 0)
    assert next(iter(chunks.journal.segments.values())).size == size
    chunks.flush()
    chunks.put([chunk(1)], 0)
    assert chunks.journal.segments == {}
    assert chunks.flush() == 0


def test_what_is_alike_lies_together(tmp_path):
    """Chunks of one cluster share a pack; clusters do not mix."""
    chunks = open_store(tmp_path)
    for n in range(6):
        chunks.put([chunk(n)], n % 2)
    assert chunks.flush(cluster=1) == 1
    assert len(chunks.journal.segments) == 1
    chunks.flush()
    assert sorted((row.cluster, row.chunks) for _, row in chunks.packs()) == [(0, 3), (1, 3)]


def test_full_segment_becomes_a_pack(tmp_path, monkeypatch):
    """A pack is sealed by itself when the next upload would not fit, and never exceeds the limit."""
    monkeypatch.setattr(limits, "PACK_BYTES_MAX", 100_000)
    chunks = open_store(tmp_path)
    digests = [chunks.put([chunk(n, 9_000)], 0)[0] for n in range(40)]
    sizes = [row.bytes for _, row in chunks.packs()]
    assert len(sizes) >= 3
    assert all(50_000 < size <= 100_000 for size in sizes)
    assert [read(chunks, digest) for digest in digests] == [
        chunk(n, 9_000).sealed for n in range(40)
    ]


def test_number_of_segments_is_bounded(tmp_path, monkeypatch):
    """Many clusters do not leave many files open-ended: the largest is sealed."""
    monkeypatch.setattr(limits, "JOURNAL_SEGMENTS_MAX", 3)
    chunks = open_store(tmp_path)
    for cluster in range(8):
        chunks.put([chunk(cluster)], cluster)
    assert len(chunks.journal.segments) == 3
    assert sum(1 for _ in chunks.packs()) == 5


@pytest.mark.parametrize(
    "bad",
    [
        UploadChunk(ChunkId(b"short"), b"", b"x"),
        UploadChunk(ChunkId(b"i" * 32), b"f" * 35, b"x"),
        UploadChunk(ChunkId(b"i" * 32), b"", b""),
        UploadChunk(ChunkId(b"i" * 32), b"", bytes(limits.SEALED_CHUNK_BYTES_MAX + 1)),
    ],
)
def test_malformed_uploads_are_refused(tmp_path, bad):
    """What a client sends is checked before anything is written."""
    chunks = open_store(tmp_path)
    with pytest.raises(InvalidError):
        chunks.put([chunk(1), bad], 0)
    with pytest.raises(InvalidError):
        chunks.put([chunk(1)], 1 << 31)
    with pytest.raises(InvalidError):
        chunks.put([chunk(n, 250_000) for n in range(40)], 0)
    assert chunks.journal.segments == {}


def test_bytes_under_another_id_are_refused(tmp_path):
    """The same sealed bytes cannot be claimed for a second chunk id."""
    chunks = open_store(tmp_path)
    chunks.put([chunk(1)], 0)
    with pytest.raises(ConflictError):
        chunks.put([UploadChunk(ChunkId(b"x" * 32), b"", chunk(1).sealed)], 0)


def test_missing_and_short(tmp_path):
    """What is not there is missing; a pack cut short is damage."""
    chunks = open_store(tmp_path)
    with pytest.raises(MissingError):
        chunks.locate(b"x" * 32)
    digest = chunks.put([chunk(1)], 0)[0]
    chunks.flush()
    address = chunks.locate(digest).address
    name = name_pack(address.pack)
    with pytest.raises(CorruptError):
        chunks.read(Address(address.pack, address.offset, 10_000))
    chunks.store.objects[name] = chunks.store.objects[name][:20]
    assert not chunks.is_alive(chunks.locate(digest), Alive())
    del chunks.store.objects[name]
    assert not chunks.is_alive(chunks.locate(digest), Alive())
    with pytest.raises(MissingError):
        chunks.read(address)
    chunks.put([chunk(1)], 0)
    assert read(chunks, digest) == chunk(1).sealed


def test_lost_table_loses_nothing(tmp_path):
    """From packs and journal alone the addresses come back."""
    chunks = open_store(tmp_path)
    packed = chunks.put([chunk(1), chunk(2)], 0)
    chunks.flush()
    journalled = chunks.put([chunk(3)], 0)
    again = open_store(tmp_path, chunks.store)
    for n, digest in enumerate(packed + journalled, 1):
        assert read(again, digest) == chunk(n).sealed
    assert again.damages == []
    table = MemoryTable()
    table.write([(b"m", b"0"), (b"p" + b"x" * 32, b"rows of another format")])
    other = open_store(tmp_path, chunks.store, table)
    assert read(other, packed[0]) == chunk(1).sealed


def test_found_at_open(tmp_path):
    """Missing and foreign packs, strange files and lost acknowledged bytes are reported."""
    chunks = open_store(tmp_path)
    chunks.put([chunk(1)], 0)
    chunks.flush()
    chunks.put([chunk(2)], 0)
    chunks.put([chunk(3)], 1)
    pack = next(chunks.store.list(PACKS))
    chunks.store.objects["packs/xx/strange"] = b"strange"
    chunks.store.objects[name_pack(b"y" * 32)] = b"not a pack at all" * 20
    del chunks.store.objects[pack]
    first, second = chunks.journal.segments.values()
    os.truncate(first.path, first.size - 1)
    second.path.unlink()
    (tmp_path / "journal" / "0.log").write_bytes(bytes(200))
    again = open_store(tmp_path, chunks.store, chunks.table)
    found = sorted((damage.kind, damage.name) for damage in again.damages)
    assert found == sorted(
        [
            ("journal", "0.log"),
            ("journal", first.path.name),
            ("journal", second.path.name),
            ("pack", "packs/xx/strange"),
            ("pack", name_pack(b"y" * 32)),
            ("pack", pack),
        ]
    )
    lost = compute_sealed_digest(chunk(2).sealed)
    assert not again.is_alive(again.locate(lost), Alive())
    again.put([chunk(2)], 0)
    assert read(again, lost) == chunk(2).sealed
    assert len(again.journal.segments[first.segment_id].records) == 1, "a short segment took more"


def test_journal_damage_does_not_stop_uploads(tmp_path):
    """A chunk that went bad in the journal is reported; others stay readable, new ones go on."""
    chunks = open_store(tmp_path)
    digests = chunks.put([chunk(1), chunk(2)], 0)
    segment = next(iter(chunks.journal.segments.values()))
    data = bytearray(segment.path.read_bytes())
    data[segment.records[0].offset] ^= 1
    segment.path.write_bytes(data)
    chunks = open_store(tmp_path, chunks.store, chunks.table)
    chunks.flush()
    assert [damage.kind for damage in chunks.damages] == ["journal"]
    assert read(chunks, digests[1]) == chunk(2).sealed
    assert not chunks.index.locate(digests[0]) or not chunks.is_alive(
        chunks.locate(digests[0]), Alive()
    )
    assert read(chunks, chunks.put([chunk(3)], 0)[0]) == chunk(3).sealed
    chunks.put([chunk(1)], 0)
    chunks.flush()
    assert read(chunks, digests[0]) == chunk(1).sealed
    assert [path.suffix for path in (tmp_path / "journal").iterdir()] == [".damaged"] * 2


def test_full_disk_takes_nothing(tmp_path, monkeypatch):
    """With a full disk an upload is refused whole, and works once there is room."""
    chunks = open_store(tmp_path)
    chunks.put([chunk(1)], 0)

    def full(*_arguments):
        raise OSError(errno.ENOSPC, "injected")

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwritev", full)
        with pytest.raises(DiskFullError):
            chunks.put([chunk(2)], 0)
    with pytest.raises(MissingError):
        chunks.locate(compute_sealed_digest(chunk(2).sealed))
    chunks.put([chunk(2)], 0)


def test_damage_marks_survive_sealing(tmp_path):
    """A journalled chunk found damaged stays marked in its pack, until it comes again."""
    chunks = open_store(tmp_path)
    digests = chunks.put([chunk(1), chunk(2)], 0)
    chunks.mark_damaged(digests[:1])
    chunks.flush()
    for opened in (chunks, open_store(tmp_path, chunks.store, chunks.table)):
        places = [opened.locate(digest) for digest in digests]
        assert len({place.address.pack for place in places}) == 1
        assert [opened.is_alive(place, Alive()) for place in places] == [False, True]
    chunks.put([chunk(1)], 0)
    chunks.flush()
    assert chunks.is_alive(chunks.locate(digests[0]), Alive())


def test_uploads_go_on_while_a_pack_is_sealed(tmp_path, monkeypatch):
    """A full segment is handed over; the next one takes uploads while the store is slow."""
    monkeypatch.setattr(limits, "PACK_BYTES_MAX", 50_000)
    taking, taken = threading.Event(), threading.Event()

    class Slow(MemoryStore):
        def put_file(self, name, path):
            taking.set()
            assert taken.wait(10)
            return super().put_file(name, path)

    told = []
    chunks = open_store(tmp_path, Slow())
    chunks.when_full = lambda: told.append(1)
    digests = [chunks.put([chunk(n, 9_000)], 0)[0] for n in range(8)]
    assert told
    sealer = threading.Thread(target=chunks.seal_full)
    sealer.start()
    assert taking.wait(10)
    digests += [chunks.put([chunk(n, 9_000)], 0)[0] for n in range(8, 12)]
    for n, digest in enumerate(digests):
        assert read(chunks, digest) == chunk(n, 9_000).sealed
    taken.set()
    sealer.join()
    assert sum(1 for _ in chunks.packs()) >= 1
    chunks.flush()
    assert [read(chunks, digest) for digest in digests] == [
        chunk(n, 9_000).sealed for n in range(12)
    ]


def test_a_store_that_is_down(tmp_path, monkeypatch):
    """Uploads go on into the journal up to a bound, then are refused; nothing is lost, all is sealed later."""
    monkeypatch.setattr(limits, "PACK_BYTES_MAX", 50_000)
    monkeypatch.setattr(limits, "JOURNAL_WAITING_BYTES_MAX", 150_000)
    down = [True]

    class Failing(MemoryStore):
        def put_file(self, name, path):
            if down[0]:
                raise UnavailableError("The store cannot be reached.")
            return super().put_file(name, path)

    chunks = open_store(tmp_path, Failing())
    digests = []

    def put_many():
        for n in range(100):
            digests.extend(chunks.put([chunk(n, 9_000)], 0))

    with pytest.raises(UnavailableError):
        put_many()
    assert 15 < len(digests) < 30
    assert "reached" in chunks.trouble
    with pytest.raises(UnavailableError):
        chunks.flush()
    for opened in (chunks, open_store(tmp_path, chunks.store, chunks.table)):
        assert [read(opened, digest) for digest in digests] == [
            chunk(n, 9_000).sealed for n in range(len(digests))
        ]
        assert opened.damages == []
    down[0] = False
    chunks.flush()
    assert chunks.trouble == ""
    assert chunks.journal.segments == {}
    assert read(chunks, digests[0]) == chunk(0, 9_000).sealed


def test_fresh_chunks_are_kept(tmp_path):
    """What was put, or found stored by a repeated upload, is fresh for a while; sealing keeps that."""
    chunks = open_store(tmp_path)
    clock = chunks.addresses._clock
    digest = chunks.put([chunk(1)], 0)[0]
    until = clock.time_ms + limits.UPLOAD_LEASE_MS
    assert chunks.fresh_until(chunks.locate(digest).address.pack) == until
    chunks.flush()
    pack = chunks.locate(digest).address.pack
    assert chunks.fresh_until(pack) == until
    clock.time_ms += limits.UPLOAD_LEASE_MS
    chunks.put([chunk(1)], 0)
    assert chunks.fresh_until(pack) == until + limits.UPLOAD_LEASE_MS
    assert chunks.fresh_until(b"x" * 32) == 0


def test_threads_put_at_once(tmp_path, monkeypatch):
    """Uploads of several threads, with packs filling up and being sealed under them, all arrive."""
    monkeypatch.setattr(limits, "PACK_BYTES_MAX", 60_000)
    chunks = open_store(tmp_path, LocalStore(tmp_path / "store", "o"))
    stored = {}

    def upload(first):
        for n in range(first, first + 20, 2):
            batch = [chunk(n, 3_000), chunk(n + 1, 3_000)]
            for digest, item in zip(chunks.put(batch, n % 2), batch, strict=True):
                stored[digest] = item.sealed

    threads = [threading.Thread(target=upload, args=(n * 20,)) for n in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(stored) == 100
    chunks.flush()
    for digest, sealed in stored.items():
        assert read(chunks, digest) == sealed
    for name in chunks.store.list(PACKS):
        assert is_intact(chunks.store, name, parse_root(name))


class _CrashError(BaseException):
    """The machine stops here."""


def half_writers(is_last):
    """Return `pwrite` and `pwritev` that write half before the call that is the last."""
    write, write_pieces = os.pwrite, os.pwritev

    def half_write(descriptor, data, offset):
        with is_last(lambda: write(descriptor, bytes(data[: len(data) // 2]), offset)):
            return write(descriptor, data, offset)

    def half_write_pieces(descriptor, pieces, offset):
        data = b"".join(pieces)
        with is_last(lambda: write(descriptor, data[: len(data) // 2], offset)):
            return write_pieces(descriptor, pieces, offset)

    return half_write, half_write_pieces


@contextlib.contextmanager
def crash_at(step, table):
    """Let the process "die" at the n-th call that changes the disk; yield how many there were."""
    count = [0]
    names = ("fsync", "fdatasync", "ftruncate", "rename", "unlink")
    originals = {name: getattr(os, name) for name in names}
    write = table.write

    def stop():
        count[0] += 1
        if count[0] == step:
            raise _CrashError

    def wrap(name):
        def call(*arguments, **named):
            stop()
            return originals[name](*arguments, **named)

        return call

    @contextlib.contextmanager
    def is_last(half):
        if count[0] + 1 == step:
            half()
        stop()
        yield

    def table_write(changes):
        rows = list(changes)
        stop()
        write(rows)

    half_write, half_write_pieces = half_writers(is_last)
    with pytest.MonkeyPatch.context() as patch:
        for name in names:
            patch.setattr(os, name, wrap(name))
        patch.setattr(os, "pwrite", half_write)
        patch.setattr(os, "pwritev", half_write_pieces)
        patch.setattr(table, "write", table_write)
        yield count


@pytest.mark.parametrize("keeps_table", [True, False])
def test_crash_at_every_step(tmp_path, keeps_table):
    """Wherever the process dies in put and flush, what was acknowledged is there after reopening."""
    step, finished = 0, False
    while not finished:
        step += 1
        folder = tmp_path / str(step)
        store, table = LocalStore(folder / "store", "o"), MemoryTable()
        chunks = open_store(folder, store, table)
        acknowledged = {chunks.put([chunk("before")], 0)[0]: chunk("before").sealed}
        with crash_at(step, table) as count:
            try:
                acknowledged[chunks.put([chunk("one")], 0)[0]] = chunk("one").sealed
                chunks.flush()
                acknowledged[chunks.put([chunk("two")], 0)[0]] = chunk("two").sealed
                finished = True
            except _CrashError:
                pass
        store.close()
        store = LocalStore(folder / "store", "o")
        again = open_store(folder, store, table if keeps_table else MemoryTable())
        assert again.damages == []
        for digest, sealed in acknowledged.items():
            assert read(again, digest) == sealed
        again.put([chunk("one"), chunk("two")], 0)
        again.flush()
        for label in ("before", "one", "two"):
            assert read(again, compute_sealed_digest(chunk(label).sealed)) == chunk(label).sealed
        packs = [row.chunks for _, row in again.packs()]
        assert sum(packs) == 3, "a chunk was packed twice"
        store.close()
    assert step > 15
    assert count[0] < step


class ChunkStoreMachine(RuleBasedStateMachine):
    """Random runs against a dictionary of what was acknowledged."""

    def __init__(self):
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.store, self.table = MemoryStore(), MemoryTable()
        self.chunks = open_store(self.folder, self.store, self.table)
        self.model = {}
        self.damaged = False

    def teardown(self):
        shutil.rmtree(self.folder)

    @rule(labels=st.sets(st.integers(0, 30), min_size=1, max_size=5), cluster=st.integers(0, 2))
    def put(self, labels, cluster):
        uploads = [chunk(label) for label in sorted(labels)]
        for digest, upload in zip(self.chunks.put(uploads, cluster), uploads, strict=True):
            self.model[digest] = upload.sealed

    @rule(cluster=st.one_of(st.none(), st.integers(0, 2)))
    def flush(self, cluster):
        self.chunks.flush(cluster)

    @rule(
        labels=st.sets(st.integers(0, 30), min_size=1, max_size=5),
        step=st.integers(1, 8),
        flushes=st.booleans(),
    )
    def crash(self, labels, step, flushes):
        with crash_at(step, self.table), contextlib.suppress(_CrashError):
            if flushes:
                self.flush(None)
            self.put(labels, 0)
        self.reopen()

    @rule()
    def reopen(self):
        self.chunks = open_store(self.folder, self.store, self.table)

    @rule()
    def lose_the_table(self):
        self.table = MemoryTable()
        self.reopen()

    @precondition(lambda self: self.chunks.journal.segments)
    @rule(tail=st.binary(min_size=1, max_size=60))
    def tear_the_tail(self, tail):
        """What a batch that was never acknowledged leaves behind."""
        segment = next(iter(self.chunks.journal.segments.values()))
        with segment.path.open("ab") as file:
            file.write(tail)
        with segment.log_path.open("ab") as file:
            file.write(b"HJB2" + tail)
        self.reopen()

    @invariant()
    def everything_acknowledged_is_there(self):
        assert self.chunks.damages == []
        for digest, sealed in self.model.items():
            stored = self.chunks.locate(digest)
            assert self.chunks.is_alive(stored, Alive())
            assert self.chunks.read(stored.address) == sealed


ChunkStoreMachine.TestCase.settings = settings(
    max_examples=25,
    stateful_step_count=20,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
TestChunkStoreMachine = pytest.mark.slow(ChunkStoreMachine.TestCase)


def test_digests_are_computed_unless_this_process_did(tmp_path):
    """What an upload says of itself counts for nothing; what the caller computed is not done twice."""
    chunks = open_store(tmp_path)
    claimed = replace(chunk(1), sealed_digest=b"x" * 32)
    assert [compute_sealed_digest(claimed.sealed)] == chunks.put([claimed], 0)
    computed = compute_sealed_digest(chunk(2).sealed)
    assert [computed] == chunks.put([chunk(2)], 0, [computed])
    assert chunk(2).sealed == read(chunks, computed)
