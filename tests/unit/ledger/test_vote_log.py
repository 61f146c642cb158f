"""Tests of hansa.ledger.vote_log."""

import pytest

from hansa import limits
from hansa.errors import ConflictError, CorruptError, DiskFullError, UnavailableError
from hansa.ledger.segments import FILE_HEADER, encode_file_header, encode_frame
from hansa.ledger.vote_log import VoteLogFile


def read(folder):
    """Return the records of a freshly opened log."""
    log = VoteLogFile(folder)
    records = list(log.records())
    log.close()
    return records


def test_records_survive_reopening_in_order_with_one_sync_each_append(tmp_path, flaky_sync):
    """What was appended is there; an append of nothing costs nothing."""
    log = VoteLogFile(tmp_path, sync=flaky_sync)
    before = flaky_sync.count
    log.append([b"a", b"", b"b"])
    log.append(iter([b"c"]))
    log.append([])
    assert before + 2 == flaky_sync.count
    assert list(log.records()) == [b"a", b"", b"b", b"c"]
    log.append([b"d"])
    log.close()
    assert read(tmp_path) == [b"a", b"", b"b", b"c", b"d"]


def test_a_batch_is_there_whole_or_not_at_all(tmp_path):
    """Cut anywhere in the last batch, all of it is gone and all before it stands."""
    log = VoteLogFile(tmp_path)
    log.append([b"kept"])
    path = tmp_path / "votes.log"
    size = path.stat().st_size
    log.append([b"x" * 20, b"y" * 20])
    log.close()
    whole = path.read_bytes()
    for cut in range(size, len(whole)):
        path.write_bytes(whole[:cut])
        assert read(tmp_path) == [b"kept"], cut


def test_a_damaged_vote_stops_the_node(tmp_path):
    """No byte of an acknowledged vote may change unnoticed."""
    log = VoteLogFile(tmp_path)
    log.append([b"vote one"])
    log.append([b"vote two"])
    log.close()
    path = tmp_path / "votes.log"
    whole = path.read_bytes()
    for position in range(FILE_HEADER.size, len(whole)):
        damaged = bytearray(whole)
        damaged[position] ^= 1
        path.write_bytes(damaged)
        with pytest.raises(CorruptError):
            VoteLogFile(tmp_path)


def test_reset_keeps_what_is_named_and_survives_a_refusal(tmp_path, flaky_sync):
    """The log is replaced atomically; a refused replacement leaves the old and stops the log."""
    log = VoteLogFile(tmp_path, sync=flaky_sync)
    log.append([b"old"])
    log.reset([b"kept"])
    assert list(log.records()) == [b"kept"]
    log.append([b"new"])
    flaky_sync.refuse_at = flaky_sync.count + 1
    with pytest.raises(UnavailableError):
        log.reset([])
    flaky_sync.refuse_at = 0
    for action in (lambda: log.append([b"never"]), lambda: log.reset([])):
        with pytest.raises(UnavailableError):
            action()
    log.close()
    assert read(tmp_path) == [b"kept", b"new"]
    log = VoteLogFile(tmp_path)
    log.reset([])
    log.close()
    assert read(tmp_path) == []


def test_the_log_has_a_bound(tmp_path, monkeypatch):
    """A log that only grows is refused before the disk is full."""
    monkeypatch.setattr(limits, "VOTE_LOG_BYTES_MAX", 1_000)
    log = VoteLogFile(tmp_path)
    with pytest.raises(DiskFullError, match="bound"):
        log.append([b"x" * 1_000])
    log.append([b"x" * 100])
    log.close()


def test_the_log_of_another_alliance_or_of_another_kind_is_refused(tmp_path):
    """The file says whose promises it holds, and holds nothing else."""
    VoteLogFile(tmp_path, owner=b"a" * 32).close()
    with pytest.raises(ConflictError):
        VoteLogFile(tmp_path, owner=b"b" * 32)
    path = tmp_path / "votes.log"
    path.write_bytes(encode_file_header(0, bytes(32)) + encode_frame(b"\xc0"))
    with pytest.raises(CorruptError, match="another kind"):
        VoteLogFile(tmp_path)
