"""Collection of chunks: each is needed, fresh, condemned, waiting, or forgotten."""

from hansa.data.hash_index_table import StoredChunk
from hansa.storage.collection import Collection
from hansa.storage.condemned import CHUNK_ROW, CondemnedChunks, encode_row, in_batches
from hansa.storage.marking import NO_CLUSTER, Marks, ids_of, mark_leased

Stored = tuple[bytes, StoredChunk]


class ChunkCollection:
    """The step over one run's chunks."""

    def __init__(self, run: Collection) -> None:
        self._run = run
        self._chunks = run.versions.chunks
        self._manifests = run.versions.manifests
        self._table = run.versions.chunks.table
        self._bundles: dict[bytes, bool] = {}
        self._spared = Marks()

    def judge(self, marks: Marks) -> None:
        """Condemn, wait or forget each chunk that is stored; note what lives in each pack."""
        condemned = CondemnedChunks.load(self._table)
        about = max(self._chunks.index.chunks, 1)
        for batch in in_batches(self._chunks.index.stored()):
            self._judge_batch(batch, marks, condemned)
            self._run.progress(
                "chunks", self._run.report.chunks, max(about, self._run.report.chunks)
            )
        if not self._run.options.dry_run:
            condemned.drop_unseen(self._table)

    def _judge_batch(self, batch: list[Stored], marks: Marks, condemned: CondemnedChunks) -> None:
        ids = ids_of([digest for digest, _ in batch])
        needed, since = marks.contain(ids), condemned.since(ids)
        clusters = marks.clusters(ids)
        changes: list[tuple[bytes, bytes | None]] = []
        ripe: list[Stored] = []
        report = self._run.report
        for index, (digest, stored) in enumerate(batch):
            length, time = stored.address.length, int(since[index])
            if self._is_manifest(stored):
                self._run.count(stored, NO_CLUSTER)
                continue
            report.chunks += 1
            if needed[index] or self._run.is_fresh(stored.address.pack):
                report.chunks_needed += bool(needed[index])
                report.chunks_fresh += not needed[index]
                if time >= 0:
                    changes.append((CHUNK_ROW + digest, None))
            elif time < 0 or time > self._run.now_ms:
                report.chunks_condemned += 1
                report.bytes_condemned += length
                changes.append((CHUNK_ROW + digest, encode_row(self._run.now_ms, length)))
            elif (
                self._run.now_ms - time < self._run.options.grace_ms
                or stored.address.pack in self._chunks.journal.segments
            ):
                # What the journal holds would be noted again at the next start: first its pack.
                report.chunks_waiting += 1
                report.bytes_waiting += length
            else:
                ripe.append((digest, stored))
                continue
            self._run.count(stored, int(clusters[index]))
        if self._run.options.dry_run:
            report.chunks_forgotten += len(ripe)
            report.bytes_forgotten += sum(stored.address.length for _, stored in ripe)
            return
        if changes:
            self._table.write(changes)
        if ripe:
            self._forget(ripe)

    def _is_manifest(self, stored: StoredChunk) -> bool:
        """Tell whether this lies in a bundle: `collect_manifests` judges it."""
        pack = stored.address.pack
        found = self._bundles.get(pack)
        if found is None:
            found = self._bundles[pack] = self._manifests.is_bundle(pack)
        return found

    def _forget(self, ripe: list[Stored]) -> None:
        """Take chunks out of the table, unless something was leased meanwhile that needs them."""
        leases = self._run.versions.leases
        watched = leases.take_watched()
        while True:
            # Manifests are opened outside of the lock that uploads wait for.
            mark_leased(self._run.versions, self._spared, watched)
            with self._run.versions.deciding:
                watched = leases.take_watched()
                if watched:
                    continue
                spared = self._spared.contain(ids_of([digest for digest, _ in ripe]))
                dead = [
                    digest
                    for (digest, _), is_spared in zip(ripe, spared, strict=True)
                    if not is_spared
                ]
                # What an upload has just made fresh stays as well.
                gone = set(self._chunks.forget(dead))
                self._table.write([(CHUNK_ROW + digest, None) for digest, _ in ripe])
                break
        for digest, stored in ripe:
            if digest in gone:
                self._run.report.chunks_forgotten += 1
                self._run.report.bytes_forgotten += stored.address.length
            else:
                self._run.report.chunks_fresh += 1
                self._run.count(stored, NO_CLUSTER)
