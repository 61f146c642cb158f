"""Tests of hansa.storage.segment: synced in order, shared syncs, whole or not at all, a pack in the end."""

import errno
import os
import threading

import pytest

from hansa import limits
from hansa.data.chunk import compute_sealed_digest
from hansa.data.pipeline import UploadChunk
from hansa.errors import CorruptError, DiskFullError, UnavailableError
from hansa.storage.journal import Journal
from hansa.storage.memory import MemoryStore
from hansa.storage.pack import is_intact, read_footer
from hansa.types import ChunkId

ID = b"s" * 32
KEY = b"k" * 32


def chunk(label, size=40):
    """Return a chunk whose bytes say who it is."""
    return UploadChunk(ChunkId(b"%032d" % label), b"f" * 36, (b"%06d" % label) * (size // 6 + 1))


def ignore(_segment, _records):
    """Note nothing."""


def write(segment, *labels):
    """Write chunks without making them durable."""
    chunks = [chunk(label) for label in labels]
    return segment.write(chunks, [compute_sealed_digest(item.sealed) for item in chunks])


def append(segment, *labels):
    """Write chunks durably; return their records."""
    batch = write(segment, *labels)
    segment.commit(batch, ignore)
    return batch.records


def labels(segment):
    """Return the labels of all records, after comparing their bytes."""
    for record in segment.records:
        assert segment.read(record.offset, record.length) == chunk(int(record.chunk)).sealed
    return [int(record.chunk) for record in segment.records]


@pytest.fixture
def segment(tmp_path):
    """Return a new segment."""
    journal = Journal(tmp_path)
    yield journal.begin(7, ID)
    journal.close()


def test_order_of_writes_and_syncs(segment, monkeypatch):
    """The body is synced before the log names it; the log before it is noted; then the answer."""
    calls = []
    real = {name: getattr(os, name) for name in ("pwritev", "pwrite", "fdatasync")}
    append(segment, 1)
    names = {segment._body: "body", segment._log: "log"}

    def watch(name):
        def call(fd, *rest):
            calls.append((name, names[fd]))
            return real[name](fd, *rest)

        return call

    for name in real:
        monkeypatch.setattr(os, name, watch(name))
    batch = write(segment, 2)
    segment.commit(batch, lambda _segment, records: calls.append(("note", len(records))))
    assert calls == [
        ("pwritev", "body"),
        ("fdatasync", "body"),
        ("pwrite", "log"),
        ("fdatasync", "log"),
        ("note", 1),
    ]


def test_uploads_share_syncs(segment, monkeypatch):
    """What was written when a sync begins is made durable by it, for all that wait."""
    batches = [write(segment, label) for label in (1, 2, 3)]
    syncs = []
    real = os.fdatasync
    monkeypatch.setattr(os, "fdatasync", lambda fd: syncs.append(fd) or real(fd))
    for batch in batches:
        segment.commit(batch, ignore)
    assert len(syncs) == 2
    assert labels(segment) == [1, 2, 3]


def test_many_threads(segment):
    """Uploads from many threads at once all arrive whole, and once."""

    def upload(first):
        for label in range(first, first + 10):
            append(segment, label)

    threads = [threading.Thread(target=upload, args=(n * 10,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(labels(segment)) == list(range(60))
    segment.finish(KEY)
    store = MemoryStore()
    store.put_file("p", segment.path)
    assert is_intact(store, "p", segment.root)


@pytest.mark.parametrize("call", ["pwritev", "pwrite"])
def test_full_disk_takes_nothing(segment, tmp_path, monkeypatch, call):
    """A full disk in body or log is told to all that wait; nothing of them stays; later ones work."""
    append(segment, 1)
    real = getattr(os, call)

    def half(descriptor, data, offset):
        data = data if call == "pwrite" else b"".join(data)
        os_write = os.pwrite if call == "pwritev" else real
        os_write(descriptor, data[: len(data) // 2], offset)
        raise OSError(errno.ENOSPC, "injected")

    with monkeypatch.context() as patch:
        patch.setattr(os, call, half)
        with pytest.raises(DiskFullError):
            append(segment, 2)
    assert segment.path.stat().st_size == segment.size
    assert segment.log_path.stat().st_size == segment.log_bytes
    append(segment, 3)
    assert labels(segment) == [1, 3]
    assert labels(Journal(tmp_path).segments[ID]) == [1, 3]


def test_failure_of_a_group(segment, monkeypatch):
    """If the log cannot be written, all uploads of the group and those behind it fail; none is half there."""
    append(segment, 1)
    first, second = write(segment, 2), write(segment, 3)

    def full(*_arguments):
        raise OSError(errno.ENOSPC, "injected")

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", full)
        with pytest.raises(DiskFullError):
            segment.commit(first, ignore)
        with pytest.raises(DiskFullError):
            segment.commit(second, ignore)
    append(segment, 4)
    assert labels(segment) == [1, 4]
    segment.finish(KEY)
    store = MemoryStore()
    store.put_file("p", segment.path)
    assert is_intact(store, "p", segment.root)


@pytest.mark.parametrize("turn", [1, 2])
def test_failed_sync_closes_the_segment(segment, tmp_path, monkeypatch, turn):
    """After a failed sync, of body or log, nothing more is believed to reach these files."""
    append(segment, 1)
    count = 0
    real = os.fdatasync

    def failing(descriptor):
        nonlocal count
        count += 1
        if count == turn:
            raise OSError(errno.EIO, "injected")
        return real(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", failing)
        with pytest.raises(UnavailableError):
            append(segment, 2)
    assert segment.is_closed
    assert write(segment, 3) is None
    assert labels(segment) == [1]
    assert labels(Journal(tmp_path).segments[ID])[0] == 1


def test_an_upload_behind_a_failed_sync(segment, monkeypatch):
    """What was written before a sync failed, and waits behind it, is refused as well."""
    append(segment, 1)
    first, second = write(segment, 2), write(segment, 3)

    def failing(_descriptor):
        raise OSError(errno.EIO, "injected")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", failing)
        with pytest.raises(UnavailableError):
            segment.commit(first, ignore)
    with pytest.raises(UnavailableError):
        segment.commit(second, ignore)
    assert labels(segment) == [1]


def test_failing_note_is_told(segment):
    """If the table does not take it, the upload is refused, though its bytes stay."""

    def failing(_segment, _records):
        raise UnavailableError("The table cannot be written.")

    batch = write(segment, 1)
    with pytest.raises(UnavailableError, match="table"):
        segment.commit(batch, failing)
    append(segment, 2)
    assert labels(segment) == [1, 2]


def test_it_becomes_a_pack_in_place(segment):
    """Finished, the body is a sound pack under its name; chunks lie where they lay before."""
    records = append(segment, 1, 2) + append(segment, 3)
    footer = segment.finish(KEY)
    store = MemoryStore()
    store.put_file("p", segment.path)
    assert is_intact(store, "p", segment.root)
    assert read_footer(store, "p", KEY) == footer
    assert [(e.chunk, e.offset, e.length) for e in footer.entries] == [
        (r.chunk, r.offset, r.length) for r in records
    ]
    assert footer.cluster == 7


def test_same_pack_after_a_restart(segment, tmp_path):
    """Sealed again after a crash it has the same name: from memory or from disk, footer or none."""
    append(segment, 1, 2)
    again = Journal(tmp_path).segments[ID]
    segment.finish(KEY)
    again.finish(KEY)
    assert again.root == segment.root
    third = Journal(tmp_path).segments[ID]
    assert third.path.stat().st_size == third.size, "the footer was never acknowledged"
    append(third, 3)
    third.finish(KEY)
    assert third.root != segment.root


def test_longer_leftovers_are_cut_at_sealing(segment):
    """What a failed write left behind the end is no part of the pack."""
    append(segment, 1)
    with segment.path.open("ab") as file:
        file.write(bytes(10_000))
    segment.finish(KEY)
    store = MemoryStore()
    store.put_file("p", segment.path)
    assert is_intact(store, "p", segment.root)
    assert len(read_footer(store, "p", KEY).entries) == 1


def test_damage_before_sealing(segment, tmp_path):
    """What the disk changed: after a restart found at once, else the pack's name tells."""
    record = append(segment, 1, 2)[0]
    data = bytearray(segment.path.read_bytes())
    data[record.offset] ^= 1
    segment.path.write_bytes(data)
    with pytest.raises(CorruptError):
        Journal(tmp_path).segments[ID].finish(KEY)
    segment.finish(KEY)
    store = MemoryStore()
    store.put_file("p", segment.path)
    assert not is_intact(store, "p", segment.root)
    assert [segment.is_sound(r) for r in segment.records] == [False, True]


def test_frozen_takes_no_more(segment):
    """A segment that is being sealed settles what is on its way, and takes nothing new."""
    batch = write(segment, 1)
    segment.freeze(ignore)
    assert batch.is_done
    assert labels(segment) == [1]
    assert write(segment, 2) is None


def test_room(segment, monkeypatch):
    """Body, footer and trailer together never pass a pack's greatest length."""
    monkeypatch.setattr(limits, "PACK_BYTES_MAX", 20_000)
    label = 0
    while write(segment, label) is not None:
        label += 1
    assert not segment.has_room(1, 42)
    segment.freeze(ignore)
    segment.finish(KEY)
    assert 10_000 < segment.path.stat().st_size <= 20_000


def test_short_file_is_told(segment):
    """A file that became shorter than what was acknowledged is damage."""
    record = append(segment, 1)[0]
    os.truncate(segment.path, record.offset + 3)
    with pytest.raises(CorruptError):
        segment.read(record.offset, record.length)
    assert not segment.is_sound(record)
