"""Tests of hansa.storage.stats."""

from hansa.data.hash_index_table import VersionRef
from hansa.data.known import KnownChunk
from hansa.storage.chunk_store import ChunkStore
from hansa.storage.journal import Journal
from hansa.storage.memory import MemoryStore
from hansa.storage.stats import compute_stats
from hansa.storage.table import MemoryTable
from hansa.storage.version_store import VersionStore
from hansa.testing.doubles import FixedClock, SeededEntropy
from hansa.testing.versions import DIRECTORY_KEY, build_version
from tests.unit.storage.keeping import DAY, City

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
    assert stats.plain_bytes > stats.sealed_bytes > stats.new_bytes > 0, "a repeat compresses"
    assert stats.manifest_bytes == len(first.manifest) + len(second.manifest)
    assert stats.used_bytes == stats.packed_bytes + stats.journal_bytes, "manifests are in there"
    assert (0, 0, 0) == (stats.damaged, stats.chunks_condemned, stats.collected_ms)
    chunks.mark_damaged([first.directory.entries[0].sealed_digest])
    assert compute_stats(versions).damaged == 1


def test_what_collections_found_dead(tmp_path):
    """Chunks and manifests are counted while they wait, and no more once they are gone."""
    city = City(folder=tmp_path)
    upload = city.publish({"a": b"a" * 90_000})
    city.chunks.flush()
    city.retire(upload)
    city.pass_time(2 * DAY)
    city.collect()
    stats = compute_stats(city.versions)
    sealed = sum(len(chunk.sealed) for chunk in upload.built.uploads)
    assert (len(upload.built.uploads), sealed) == (stats.chunks_condemned, stats.condemned_bytes)
    assert (1, len(upload.built.manifest)) == (
        stats.manifests_unreferenced, stats.unreferenced_bytes,
    )  # fmt: skip
    assert stats.collected_ms == city.clock.time_ms
    city.pass_time(2 * DAY)
    city.collect()
    stats = compute_stats(city.versions)
    assert (0, 0, 0) == (stats.chunks_condemned, stats.manifests_unreferenced, stats.packs)
