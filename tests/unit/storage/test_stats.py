"""Tests of hansa.storage.stats."""

from hansa.data.hash_index_table import VersionRef
from hansa.data.pipeline import KnownChunk
from hansa.storage.chunk_store import ChunkStore
from hansa.storage.journal import Journal
from hansa.storage.memory import MemoryStore
from hansa.storage.stats import compute_stats
from hansa.storage.table import MemoryTable
from hansa.storage.version_store import VersionStore
from hansa.testing.doubles import FixedClock, SeededEntropy
from hansa.testing.versions import DIRECTORY_KEY, build_version

V1, V2 = VersionRef(b"d" * 16, 1), VersionRef(b"d" * 16, 2)


def test_stats(tmp_path):
    """Logical, stored, new and duplicate bytes are told by cluster and version."""
    chunks = ChunkStore(
        MemoryStore(),
        Journal(tmp_path),
        MemoryTable(),
        DIRECTORY_KEY,
        SeededEntropy("s"),
        clock=FixedClock(),
    )
    versions = VersionStore(chunks, DIRECTORY_KEY, FixedClock())
    assert compute_stats(versions).logical_bytes == 0
    first = build_version({"a": b"a" * 500_000}, SeededEntropy("1"))
    known = {
        entry.chunk: KnownChunk(entry, chunk.key)
        for entry, chunk in zip(first.directory.entries, first.contents.chunks, strict=True)
    }
    second = build_version(
        {"a": b"a" * 500_000, "z": b"z" * 9},
        SeededEntropy("2"),
        lambda ids: [known.get(chunk_id) for chunk_id in ids],
    )
    for built, version, cluster in ((first, V1, 3), (second, V2, 4)):
        chunks.put(built.uploads, cluster)
        versions.put_manifest(built.manifest)
        versions.bind(built.root, version)
    chunks.flush(cluster=3)
    stats = compute_stats(versions)
    assert stats.logical_bytes == 1_000_009
    assert [(one.cluster, one.packs) for one in stats.clusters] == [(3, 1)]
    assert stats.packed_bytes == stats.clusters[0].bytes > 0
    assert stats.journal_bytes > 0
    assert stats.packs == 1
    assert stats.collisions == 0
    assert stats.chunks == stats.versions[0].chunks_new + stats.versions[1].chunks_new
    assert [one.version for one in stats.versions] == [V1, V2]
    assert stats.versions[1].new_bytes < stats.versions[1].stored_bytes
    assert stats.chunks_duplicate == 2
    assert stats.table_memory_bytes > 0
