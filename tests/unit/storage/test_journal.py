"""Tests of hansa.storage.journal: what is found at open, and what is cut, kept and reported."""

import os

import pytest

from hansa.data.chunk import compute_sealed_digest
from hansa.data.pipeline import UploadChunk
from hansa.errors import ConflictError, MissingError
from hansa.storage.journal import Journal
from hansa.storage.pack import HEADER
from hansa.storage.segment_log import HEADER_BYTES, encode_header
from hansa.types import ChunkId

ID = b"s" * 32


def chunk(label, size=40):
    """Return a chunk whose bytes say who it is."""
    return UploadChunk(ChunkId(b"%032d" % label), b"f" * 36, (b"%06d" % label) * (size // 6 + 1))


def append(segment, chunks):
    """Write chunks durably; return their records."""
    batch = segment.write(chunks, [compute_sealed_digest(item.sealed) for item in chunks])
    segment.commit(batch, lambda _segment, _records: None)
    return batch.records


def found(journal):
    """Return label and bytes of all records, read back."""
    return [
        (int(record.chunk), segment.read(record.offset, record.length))
        for segment in journal.list()
        for record in segment.records
    ]


def contents(*labels):
    """Return what `found` should."""
    return [(label, chunk(label).sealed) for label in labels]


def test_round_trip(tmp_path):
    """What was acknowledged is read back after reopening, and appending goes on."""
    journal = Journal(tmp_path)
    segment = journal.begin(-3, ID)
    append(segment, [chunk(1), chunk(2)])
    journal.close()
    again = Journal(tmp_path)
    assert found(again) == contents(1, 2)
    reopened = again.segments[ID]
    assert (reopened.cluster, reopened.damage, reopened.size) == (-3, "", segment.size)
    append(reopened, [chunk(3)])
    assert found(Journal(tmp_path)) == contents(1, 2, 3)


def test_bodies_are_not_read_at_open(tmp_path, monkeypatch):
    """However much lies in the journal, opening it reads logs only."""
    append(Journal(tmp_path).begin(0, ID), [chunk(1, 200_000)])
    read = []
    real = os.read
    monkeypatch.setattr(os, "read", lambda fd, n: read.append(n) or real(fd, n))
    monkeypatch.setattr(os, "pread", lambda *_: pytest.fail("a body was read"))
    assert len(Journal(tmp_path).segments[ID].records) == 1


def test_torn_tails_are_cut(tmp_path):
    """What was written behind the last acknowledged batch is cut from both files."""
    segment = Journal(tmp_path).begin(0, ID)
    append(segment, [chunk(1)])
    log_bytes = segment.log_path.stat().st_size
    with segment.path.open("ab") as body, segment.log_path.open("ab") as log:
        body.write(b"never acknowledged")
        log.write(b"HJB2 torn")
    journal = Journal(tmp_path)
    assert segment.path.stat().st_size == segment.size
    assert segment.log_path.stat().st_size == log_bytes
    assert found(journal) == contents(1)


def test_damaged_middle_is_reported(tmp_path):
    """A damaged batch before a sound one: reported, the sound ones kept, no more taken."""
    segment = Journal(tmp_path).begin(0, ID)
    append(segment, [chunk(1)])
    end = segment.log_bytes
    append(segment, [chunk(2)])
    data = bytearray(segment.log_path.read_bytes())
    data[end - 1] ^= 1
    segment.log_path.write_bytes(data)
    journal = Journal(tmp_path)
    damaged = journal.segments[ID]
    assert damaged.damage == "batch 0 is damaged"
    assert damaged.is_closed
    assert found(journal) == contents(2)
    assert segment.log_path.stat().st_size == len(data)


@pytest.mark.parametrize("lost", [1, 42])
def test_short_body_is_damage(tmp_path, lost):
    """A body shorter than its log says lost acknowledged bytes: told, and never cut further."""
    segment = Journal(tmp_path).begin(0, ID)
    append(segment, [chunk(1), chunk(2)])
    os.truncate(segment.path, segment.size - lost)
    journal = Journal(tmp_path)
    short = journal.segments[ID]
    assert short.is_closed
    assert short.size == segment.size - lost
    assert f"{segment.size - lost} of {segment.size}" in short.damage


def test_log_without_body(tmp_path):
    """The body was sealed or lost: the chunk store decides; nothing is read or taken here."""
    segment = Journal(tmp_path).begin(0, ID)
    append(segment, [chunk(1)])
    segment.path.unlink()
    gone = Journal(tmp_path).segments[ID]
    assert (gone.is_body_gone, gone.is_closed, gone.size) == (True, True, 0)


def test_crash_while_a_segment_is_made(tmp_path):
    """Files without whole headers, or a body alone, held nothing, and go."""
    name = ID.hex()
    for body, log in (
        (b"HAN", None),
        (HEADER, None),
        (HEADER, b"HANSAJ"),
        (b"", b""),
        (bytes(len(HEADER)), bytes(HEADER_BYTES)),
        (b"HANSA", encode_header(ID, 0)),
    ):
        (tmp_path / f"{name}.pack").write_bytes(body)
        if log is not None:
            (tmp_path / f"{name}.log").write_bytes(log)
        journal = Journal(tmp_path)
        assert (journal.segments, journal.unreadable) == ({}, [])
        assert list(tmp_path.iterdir()) == []


def test_strange_files_are_kept_and_reported(tmp_path):
    """A body with chunks whose log is gone, a damaged header, a log under another's name."""
    (tmp_path / "a.pack").write_bytes(HEADER + b"chunks")
    (tmp_path / "b.log").write_bytes(bytes(200))
    segment = Journal(tmp_path).begin(0, ID)
    segment.log_path.rename(tmp_path / "c.log")
    journal = Journal(tmp_path)
    assert journal.segments == {}
    assert journal.unreadable == ["b.log", "c.log", "a.pack"]
    assert len(list(tmp_path.iterdir())) == 3


def test_old_journals_are_refused(tmp_path):
    """A journal of the first format is not opened, and not touched."""
    (tmp_path / "0.segment").write_bytes(b"HANSAJRN")
    with pytest.raises(ConflictError, match="format 1"):
        Journal(tmp_path)


def test_remove(tmp_path):
    """A removed segment is gone; a reader that comes late is told; a damaged one is put aside."""
    journal = Journal(tmp_path)
    segment = journal.begin(1, ID)
    record = append(segment, [chunk(1)])[0]
    journal.remove(segment)
    assert Journal(tmp_path).segments == {}
    with pytest.raises(MissingError):
        segment.read(record.offset, record.length)
    damaged = journal.begin(1, ID)
    damaged.damage = "found"
    journal.remove(damaged)
    assert [path.suffix for path in tmp_path.iterdir()] == [".damaged"] * 2
    assert Journal(tmp_path).segments == {}
