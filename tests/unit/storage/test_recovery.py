"""Tests of hansa.storage.recovery: a sealed segment's leftovers go; what is lost is told, each time."""

from pathlib import Path

from hansa.data.pipeline import UploadChunk
from hansa.storage.addresses import Alive
from hansa.storage.chunk_store import ChunkStore
from hansa.storage.journal import Journal
from hansa.storage.memory import MemoryStore
from hansa.storage.table import MemoryTable
from hansa.testing.doubles import FixedClock, SeededEntropy
from hansa.types import ChunkId

KEY = b"e" * 32


def open_store(folder, store, table):
    """Return an open chunk store."""
    seed = SeededEntropy(str(len(list(Path(folder).iterdir()))))
    return ChunkStore(store, Journal(folder), table, KEY, seed, clock=FixedClock())


def upload(label):
    """Return a chunk."""
    return UploadChunk(ChunkId(b"%032d" % label), b"", b"%d" % label * 50)


def test_leftovers_of_a_sealed_segment_go(tmp_path):
    """A log whose body became a pack, known or unknown to the table, is removed silently."""
    for table_kept in (True, False):
        folder = tmp_path / str(table_kept)
        folder.mkdir()
        store, table = MemoryStore(), MemoryTable()
        chunks = open_store(folder, store, table)
        digests = chunks.put([upload(1), upload(2)], 3)
        segment = chunks.journal.list()[0]
        log = segment.log_path.read_bytes()
        chunks.flush()
        segment.log_path.write_bytes(log)
        again = open_store(folder, store, table if table_kept else MemoryTable())
        assert (again.damages, again.journal.segments) == ([], {})
        assert list(folder.iterdir()) == []
        assert [again.read(again.locate(d).address) for d in digests] == [
            upload(1).sealed,
            upload(2).sealed,
        ]


def test_a_lost_body_is_told_each_time(tmp_path):
    """A segment whose body is gone and whose chunks lie nowhere else stays reported."""
    store, table = MemoryStore(), MemoryTable()
    chunks = open_store(tmp_path, store, table)
    digest = chunks.put([upload(1)], 0)[0]
    chunks.journal.list()[0].path.unlink()
    for fresh_table in (table, table, MemoryTable()):
        again = open_store(tmp_path, store, fresh_table)
        assert [damage.kind for damage in again.damages] == ["journal"]
        stored = again.index.locate(digest)
        assert stored is None or not again.is_alive(stored, Alive())
    again.put([upload(1)], 0)
    assert again.read(again.locate(digest).address) == upload(1).sealed
