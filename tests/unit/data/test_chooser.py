"""Tests of hansa.data.chooser: trained when it is due and helps, adopted when it is known."""

import hashlib
import io

import pytest

from hansa.data.chooser import DictionaryChooser
from hansa.data.compression import PLAIN_PACKER
from hansa.data.known import Dictionary, KnownChunk
from hansa.data.manifest import DirectoryEntry
from hansa.data.partition import Partitioner
from hansa.limits import CHUNK_BYTES_MAX, DICTIONARY_EVERY_BYTES, MIB
from hansa.testing.doubles import SeededEntropy
from hansa.types import ChunkId
from tests.unit.data.tables import occurs, table


def window(data):
    """Return chunks of some content, and names for them."""
    chunks = list(Partitioner(7).partition(io.BytesIO(data), len(data)))
    return chunks, [ChunkId(hashlib.sha256(chunk).digest()) for chunk in chunks]


READINGS = window(table(2_500, 3 * MIB))
NOISE = window(hashlib.shake_256(b"noise").digest(3 * MIB))


def chooser():
    """Return a chooser that has seen nothing."""
    return DictionaryChooser(SeededEntropy().random_bytes)


def stored(proposal, name=b"d"):
    """Return a proposal as a dictionary that was sealed."""
    entries = [
        DirectoryEntry(ChunkId(name * 32), b"s" * 32, 100, len(piece)) for piece in proposal.pieces
    ]
    known = [KnownChunk(entry, b"k" * 32) for entry in entries]
    return Dictionary(known, proposal.covers, plain=proposal.plain)


def test_a_proposal_is_covered_by_the_chunks_it_names():
    """Each run of chunks, joined, has all that is kept; the pieces are chunks of the right length."""
    chunks, ids = READINGS
    proposal = chooser().propose(chunks, ids, 3 * MIB)
    assert all(0 < len(piece) <= CHUNK_BYTES_MAX for piece in proposal.pieces)
    assert len(proposal.covers) > 1
    for cover in proposal.covers:
        first = ids.index(cover[0])
        assert cover == tuple(ids[first : first + len(cover)])
        content = b"".join(chunks[first : first + len(cover)])
        assert len(content) < 1.5 * MIB
        assert occurs(proposal.plain, content)


def test_it_is_proposed_when_it_is_due():
    """Not for little that is new, nor for a short stretch; then once for so many new bytes."""
    chunks, ids = READINGS
    choosing = chooser()
    assert choosing.propose(chunks, ids, MIB // 2) is None
    assert choosing.propose(chunks[:20], ids[:20], MIB) is None
    proposal = choosing.propose(chunks, ids, 1)
    choosing.adopt(stored(proposal))
    assert choosing.packer.dictionary_id == stored(proposal).id
    assert choosing.propose(chunks, ids, DICTIONARY_EVERY_BYTES - 1) is None
    # It is due, but no better than the one at hand.
    assert choosing.propose(chunks, ids, 1) is None
    # What comes is of another kind: a new one is better.
    choosing = chooser()
    choosing.adopt(stored(proposal))
    other = window(table(2_500, 3 * MIB, seed=9))
    assert choosing.propose(*other, DICTIONARY_EVERY_BYTES) is not None


def test_a_known_one_is_adopted_if_it_is_open():
    """One that is closed changes nothing; the same one again makes no new contexts."""
    chunks, ids = READINGS
    choosing = chooser()
    dictionary = stored(choosing.propose(chunks, ids, MIB))
    plain, dictionary.plain = dictionary.plain, b""
    choosing.adopt(dictionary)
    assert choosing.packer is PLAIN_PACKER
    dictionary.plain = plain
    choosing.adopt(dictionary)
    packer = choosing.packer
    choosing.adopt(dictionary)
    assert packer is choosing.packer


@pytest.mark.parametrize("content", [NOISE, window(bytes(3 * MIB))])
def test_attempts_in_vain_are_put_off(content, monkeypatch):
    """After each the wait doubles, up to a bound."""
    attempts = []
    train = DictionaryChooser._train
    monkeypatch.setattr(
        DictionaryChooser, "_train", lambda *given: attempts.append(1) or train(*given)
    )
    choosing, at = chooser(), []
    for step in range(200):
        before = len(attempts)
        assert choosing.propose(*content, 8 * MIB) is None
        if len(attempts) > before:
            at.append(step)
    assert [0, 4, 12, 28, 60, 92, 124, 156, 188] == at
