"""Tests of node.custody."""

import pytest

from hansa import limits
from hansa.chain.sealed import OwnerNote
from hansa.errors import InvalidError, MissingError, UnavailableError
from hansa.node import custody as module
from hansa.node.custody import Custody
from hansa.rest import WrapSet, compute_wrap_digest
from hansa.storage.table import MemoryTable
from hansa.types import Digest, Height, PublicKey, RequestId

REQUEST = RequestId(b"r" * 16)
READER = PublicKey(b"u" * 32)
NOTE = OwnerNote(REQUEST, "transport", READER, b"sealed")
ROOT = Digest(b"m" * 32)


def test_notes() -> None:
    """A note waits, is delivered and forgotten; one for an own user is found by that user only."""
    table = MemoryTable()
    custody = Custody(table)
    custody.post((NOTE,), Digest(b"t" * 32), Height(9))
    custody.post((NOTE,), Digest(b"t" * 32), Height(9))
    assert custody.outgoing_count() == 1
    (waiting,) = Custody(table).outgoing()
    assert (NOTE, 9) == (waiting.note, waiting.expires)
    custody.delivered(NOTE)
    assert (0, []) == (custody.outgoing_count(), custody.outgoing())
    custody.keep_note(NOTE)
    assert NOTE == custody.note(REQUEST, READER)
    with pytest.raises(MissingError):
        custody.note(REQUEST, PublicKey(b"x" * 32))


def test_notes_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Malformed or too many notes are refused, none of them kept."""
    custody = Custody(MemoryTable())
    long = OwnerNote(REQUEST, "transport", READER, bytes(limits.NOTE_BYTES_MAX + 1))
    short = OwnerNote(RequestId(b"r"), "transport", READER, b"sealed")
    for bad in ((long,), (short,), (NOTE,) * 1_000):
        with pytest.raises(InvalidError):
            custody.post(bad, Digest(b"t" * 32), Height(9))
    monkeypatch.setattr(module, "OUTGOING_MAX", 0)
    with pytest.raises(UnavailableError):
        custody.post((NOTE,), Digest(b"t" * 32), Height(9))
    assert custody.outgoing() == []


def test_wraps() -> None:
    """A wrap set is found by the digest a grant names; a later set does not spoil it."""
    custody = Custody(MemoryTable())
    first = WrapSet(REQUEST, b"s" * 32, ((1, b"wrap"),))
    second = WrapSet(REQUEST, b"t" * 32, ((1, b"other"),))
    for wraps in (first, second):
        custody.keep_wraps(wraps)
    assert first == custody.wraps(REQUEST, compute_wrap_digest(first))
    with pytest.raises(MissingError, match="grant again"):
        custody.wraps(REQUEST, Digest(bytes(32)))
    for bad in (
        WrapSet(REQUEST, b"short", ((1, b"w"),)),
        WrapSet(REQUEST, b"s" * 32, ()),
        WrapSet(REQUEST, b"s" * 32, ((2, b"w"), (1, b"w"))),
        WrapSet(REQUEST, b"s" * 32, ((0, b"w"),)),
        WrapSet(REQUEST, b"s" * 32, ((1, b""),)),
        WrapSet(RequestId(b"r"), b"s" * 32, ((1, b"w"),)),
    ):
        with pytest.raises(InvalidError):
            custody.keep_wraps(bad)


def test_keys() -> None:
    """A wrapped data key is found by its manifest's root."""
    custody = Custody(MemoryTable())
    custody.keep_key(ROOT, b"wrapped")
    assert custody.key(ROOT) == b"wrapped"
    with pytest.raises(MissingError):
        custody.key(Digest(bytes(32)))
    for bad in (b"", bytes(5_000)):
        with pytest.raises(InvalidError):
            custody.keep_key(ROOT, bad)


def test_erasure_of_keys() -> None:
    """What is destroyed is gone from the table's rows; what belongs to others stays."""
    table = MemoryTable()
    custody = Custody(table)
    other = Digest(b"o" * 32)
    custody.keep_key(ROOT, b"DATA-KEY-WRAP")
    custody.keep_key(other, b"another")
    assert {ROOT, other} == set(custody.key_roots())
    assert custody.destroy_keys([ROOT, Digest(bytes(32))]) == 1
    assert [other] == list(custody.key_roots())
    with pytest.raises(MissingError):
        custody.key(ROOT)
    assert not any(b"DATA-KEY-WRAP" in value for value in table.rows.values())
    assert custody.destroy_keys([]) == 0


def test_erasure_of_wraps() -> None:
    """All sets of a request that is over go, those of others stay."""
    custody = Custody(MemoryTable())
    still = RequestId(b"q" * 16)
    sets = [
        WrapSet(request, bytes([salt]) * 32, ((1, b"wrap"),))
        for request in (REQUEST, still)
        for salt in (1, 2)
    ]
    for wraps in sets:
        custody.keep_wraps(wraps)
    assert custody.destroy_wraps(lambda request: request == REQUEST) == 2
    assert custody.destroy_wraps(lambda request: request == REQUEST) == 0
    for wraps in sets[:2]:
        with pytest.raises(MissingError):
            custody.wraps(REQUEST, compute_wrap_digest(wraps))
    for wraps in sets[2:]:
        assert wraps == custody.wraps(still, compute_wrap_digest(wraps))
