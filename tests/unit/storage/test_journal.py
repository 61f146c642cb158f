"""Tests of hansa.storage.journal: durable, cut at any byte, damaged at any byte."""

import errno
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hansa.data.pipeline import UploadChunk
from hansa.errors import CorruptError, DiskFullError, MissingError, UnavailableError
from hansa.limits import PACK_BYTES_MAX
from hansa.storage.journal import Journal
from hansa.types import ChunkId

ID = b"s" * 32


def chunk(label, size=40):
    """Return a chunk whose bytes say who it is."""
    return UploadChunk(ChunkId(b"%032d" % label), b"f" * 36, (b"%06d" % label) * (size // 6 + 1))


def fill(folder, batches):
    """Write batches of chunks; return the file and where each batch ends."""
    journal = Journal(folder)
    segment = journal.begin(7, ID)
    ends = [segment.size]
    for batch in batches:
        journal.append(segment, batch)
        ends.append(segment.size)
    return segment.path, ends


def found(journal):
    """Return label and bytes of all records, read back."""
    return [
        (int(record.chunk), journal.read(segment, record.offset, record.length))
        for segment in journal.segments.values()
        for record in segment.records
    ]


BATCHES = [[chunk(1), chunk(2)], [chunk(3, 100)], [chunk(4), chunk(5), chunk(6)]]
CONTENTS = [[(int(c.chunk), c.sealed) for c in batch] for batch in BATCHES]


def test_round_trip(tmp_path):
    """What was acknowledged is read back, now and after reopening."""
    journal = Journal(tmp_path)
    segment = journal.begin(-3, ID)
    records = journal.append(segment, BATCHES[0])
    assert journal.read(segment, records[1].offset, records[1].length) == chunk(2).sealed
    again = Journal(tmp_path)
    assert found(again) == CONTENTS[0]
    reopened = again.segments[ID]
    assert (reopened.cluster, reopened.damage, reopened.size) == (-3, "", segment.size)
    assert [r.sealed_digest for r in reopened.records] == [r.sealed_digest for r in records]
    again.append(reopened, BATCHES[1])
    assert found(Journal(tmp_path)) == CONTENTS[0] + CONTENTS[1]


def test_cut_at_every_byte(tmp_path):
    """Wherever a crash cuts the file, whole batches stay, torn ones go, and appending goes on."""
    path, ends = fill(tmp_path / "whole", BATCHES)
    data = path.read_bytes()
    folder = tmp_path / "cut"
    folder.mkdir()
    for length in range(len(data) + 1):
        (folder / path.name).write_bytes(data[:length])
        journal = Journal(folder)
        whole = [batch for batch, end in zip(CONTENTS, ends[1:], strict=True) if end <= length]
        assert found(journal) == [record for batch in whole for record in batch]
        assert not any(segment.damage for segment in journal.segments.values())
        if length % 50 == 0 and journal.segments:
            journal.append(journal.segments[ID], [chunk(9)])
            assert found(Journal(folder))[-1] == (9, chunk(9).sealed)


@settings(max_examples=150)
@given(st.integers(0, 10_000), st.integers(1, 255))
def test_damage_at_any_byte(tmp_path_factory, place, flip):
    """A changed byte never yields a changed chunk; damage before a sound batch is reported."""
    folder = tmp_path_factory.mktemp("j")
    path, ends = fill(folder, BATCHES)
    data = bytearray(path.read_bytes())
    place %= len(data)
    data[place] ^= flip
    path.write_bytes(data)
    journal = Journal(folder)
    sound = [record for batch in CONTENTS for record in batch]
    assert all(record in sound for record in found(journal))
    if place < ends[0]:
        assert journal.unreadable == [path.name]
    elif place < ends[2]:
        assert journal.segments[ID].damage
        assert journal.segments[ID].is_closed
        assert found(journal)[-3:] == CONTENTS[2]
        assert path.stat().st_size == len(data)
    else:
        assert found(journal) == CONTENTS[0] + CONTENTS[1]


def test_batch_of_another_segment_is_none(tmp_path):
    """A sound batch that lies in a reused disk block of another segment is not taken for ours."""
    other, _ = fill(tmp_path / "other", [])
    stray = Journal(tmp_path / "stray")
    segment = stray.begin(7, b"z" * 32)
    stray.append(segment, [chunk(8)])
    foreign = segment.path.read_bytes()[66:]
    other.write_bytes(other.read_bytes() + foreign)
    assert found(Journal(tmp_path / "other")) == []


def test_full_disk_takes_nothing(tmp_path, monkeypatch):
    """A full disk in the middle of a batch is told, nothing of it stays, and later batches work."""
    journal = Journal(tmp_path)
    segment = journal.begin(0, ID)
    journal.append(segment, BATCHES[0])
    real = os.pwrite

    def half(descriptor, data, offset):
        if offset > segment.size:
            raise OSError(errno.ENOSPC, "injected")
        return real(descriptor, data[: len(data) // 2], offset)

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", half)
        with pytest.raises(DiskFullError):
            journal.append(segment, BATCHES[1])
    assert segment.path.stat().st_size == segment.size
    journal.append(segment, BATCHES[2])
    assert found(Journal(tmp_path)) == CONTENTS[0] + CONTENTS[2]


def test_failed_sync_closes_the_segment(tmp_path, monkeypatch):
    """After a failed sync nothing more is believed to reach this file."""
    journal = Journal(tmp_path)
    segment = journal.begin(0, ID)

    def failing(_descriptor):
        raise OSError(errno.EIO, "injected")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", failing)
        with pytest.raises(UnavailableError):
            journal.append(segment, BATCHES[0])
    with pytest.raises(UnavailableError):
        journal.append(segment, BATCHES[0])
    assert segment.records == []
    assert journal.find(0, 100) is None


def test_sync_comes_before_the_answer(tmp_path, monkeypatch):
    """An append syncs after its last write and before it returns."""
    journal = Journal(tmp_path)
    segment = journal.begin(0, ID)
    calls = []
    write, sync = os.pwrite, os.fsync
    monkeypatch.setattr(os, "pwrite", lambda *a: calls.append("write") or write(*a))
    monkeypatch.setattr(os, "fsync", lambda *a: calls.append("sync") or sync(*a))
    journal.append(segment, BATCHES[0])
    assert calls[-1] == "sync"
    assert "write" in calls


def test_crash_while_a_segment_is_made(tmp_path):
    """A file without a whole header held nothing, and goes."""
    (tmp_path / f"{ID.hex()}.segment").write_bytes(b"HANSA")
    assert Journal(tmp_path).segments == {}
    assert list(tmp_path.iterdir()) == []


def test_find_by_cluster_and_room(tmp_path):
    """A segment is offered to its own cluster, as long as there is room."""
    journal = Journal(tmp_path)
    segment = journal.begin(1, ID)
    assert journal.find(1, 1000) is segment
    assert journal.find(2, 1000) is None
    assert journal.find(1, PACK_BYTES_MAX) is None


def test_remove(tmp_path):
    """A removed segment is gone; a reader that comes late is told; a damaged one is put aside."""
    journal = Journal(tmp_path)
    segment = journal.begin(1, ID)
    records = journal.append(segment, BATCHES[0])
    journal.remove(segment)
    assert Journal(tmp_path).segments == {}
    with pytest.raises(MissingError):
        journal.read(segment, records[0].offset, records[0].length)
    damaged = journal.begin(1, ID)
    damaged.damage = "found"
    journal.remove(damaged)
    assert [path.suffix for path in tmp_path.iterdir()] == [".damaged"]


def test_short_file_is_told(tmp_path):
    """A file that became shorter than what was acknowledged is damage."""
    journal = Journal(tmp_path)
    segment = journal.begin(1, ID)
    record = journal.append(segment, BATCHES[0])[0]
    os.truncate(segment.path, record.offset + 3)
    with pytest.raises(CorruptError):
        journal.read(segment, record.offset, record.length)
