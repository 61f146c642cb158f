"""Statistics of a store: what was put in, what is stored, what duplicates and compression saved."""

from collections import defaultdict
from dataclasses import dataclass

from hansa.data.hash_index_table import VersionRef
from hansa.storage.collect import collected_ms
from hansa.storage.condemned import condemned
from hansa.storage.quota import used_bytes
from hansa.storage.version_store import VersionStore


@dataclass(frozen=True, slots=True)
class ClusterStats:
    """Packs of one index cluster."""

    cluster: int
    packs: int
    bytes: int


@dataclass(frozen=True, slots=True)
class VersionStats:
    """One living version."""

    version: VersionRef
    content_bytes: int
    """Plain bytes of its files."""
    stored_bytes: int
    """Sealed bytes of its distinct chunks, shared ones included."""
    new_bytes: int
    """Of them, first stored for this version."""
    chunks: int
    chunks_new: int


@dataclass(frozen=True, slots=True)
class StoreStats:
    """The whole store."""

    logical_bytes: int
    """Plain bytes of all living versions."""
    plain_bytes: int
    """Plain bytes of each living version's distinct chunks: before compression."""
    sealed_bytes: int
    """Sealed bytes of the same."""
    new_bytes: int
    """Of them, first stored for one of the living versions."""
    packed_bytes: int
    """Bytes of sealed packs."""
    journal_bytes: int
    """Bytes of packs to be."""
    manifest_bytes: int
    used_bytes: int
    """What counts against the quota."""
    packs: int
    chunks: int
    """Distinct chunks of living versions, about."""
    chunks_duplicate: int
    """Chunks versions use that an earlier one brought."""
    chunks_condemned: int
    """Found dead by collections, and still stored."""
    condemned_bytes: int
    manifests_unreferenced: int
    """Of no living version, as the last collection found: interrupted publishes, retired ones."""
    unreferenced_bytes: int
    collisions: int
    """Chunks kept beside another with the same fingerprint."""
    damaged: int
    """Chunks marked as damaged: to come again with the next publish that has them."""
    collected_ms: int
    """When the last collection ended; 0 if none did."""
    table_memory_bytes: int
    clusters: tuple[ClusterStats, ...]
    versions: tuple[VersionStats, ...]


def compute_stats(versions: VersionStore) -> StoreStats:
    """Return the statistics of an open store; reads the table only."""
    chunks = versions.chunks
    packs_by_cluster: dict[int, list[int]] = defaultdict(list)
    for _root, pack in chunks.packs():
        packs_by_cluster[pack.cluster].append(pack.bytes)
    rows = [row for _root, row in versions.versions()]
    dead = condemned(chunks.table)
    return StoreStats(
        logical_bytes=sum(row.content_bytes for row in rows),
        plain_bytes=sum(row.plain_bytes for row in rows),
        sealed_bytes=sum(row.stored_bytes for row in rows),
        new_bytes=sum(row.bytes_new for row in rows),
        packed_bytes=sum(map(sum, packs_by_cluster.values())),
        journal_bytes=chunks.waiting_bytes(),
        manifest_bytes=versions.manifest_bytes,
        used_bytes=used_bytes(versions),
        packs=sum(map(len, packs_by_cluster.values())),
        chunks=chunks.index.chunks,
        chunks_duplicate=sum(row.chunks - row.chunks_new for row in rows),
        chunks_condemned=dead[0],
        condemned_bytes=dead[1],
        manifests_unreferenced=dead[2],
        unreferenced_bytes=dead[3],
        collisions=chunks.index.collisions(),
        damaged=chunks.addresses.damaged_count(),
        collected_ms=collected_ms(chunks.table),
        table_memory_bytes=chunks.index.memory_bytes,
        clusters=tuple(
            ClusterStats(cluster, len(sizes), sum(sizes))
            for cluster, sizes in sorted(packs_by_cluster.items())
        ),
        versions=tuple(
            VersionStats(
                row.version,
                row.content_bytes,
                row.stored_bytes,
                row.bytes_new,
                row.chunks,
                row.chunks_new,
            )
            for row in sorted(rows, key=lambda row: (row.version.dataset, row.version.number))
        ),
    )
