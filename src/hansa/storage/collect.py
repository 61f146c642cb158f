"""Collection: what no version, lease or upload needs goes, in two phases and after a grace period.

    mark      the chunks of all living versions (chain and table) and of all leased manifests
    condemn   what is not marked and not fresh: a durable row with the time; nothing is deleted
    forget    in a later run, what was condemned a grace period ago and is still not marked: its row
              leaves the table, under `VersionStore.deciding` and after a look at what was leased since
    delete    packs in which nothing is stored any more; manifests likewise condemned, after the data
              keys kept for them: an object of its own is deleted, one in a bundle forgotten
    gather    living manifests that an earlier release wrote as small objects go to a bundle
    repack    packs mostly dead, small or (on wish) gathered for clusters of yesterday: copied first,
              addresses moved, old packs deleted last

Whatever cannot be read or listed ends the run before anything is deleted. It may stop or crash between
any two steps: each step leaves a sound store, and the next run takes up what is left.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from hansa import limits
from hansa.data.hash_index_table import StoredChunk
from hansa.errors import ConflictError, UnavailableError
from hansa.ports import Clock, Table
from hansa.storage.manifests import is_bundled
from hansa.storage.marking import (
    NO_CLUSTER,
    ChainView,
    ClusterOf,
    Ids,
    Marks,
    ids_of,
    mark_leased,
    mark_needed,
)
from hansa.storage.names import PACKS, name_manifest, name_pack, parse_root
from hansa.storage.progress import Progress, no_progress
from hansa.storage.repacking import PackUse, plan_packs
from hansa.storage.version_store import VersionStore

_CHUNK_ROW = b"g"
_MANIFEST_ROW = b"G"
_COLLECTED_ROW = b"t"
Stored = tuple[bytes, StoredChunk]
T = TypeVar("T")


class Keyring(Protocol):
    """Where the node keeps the wrapped data keys of own versions, by manifest root."""

    def key_roots(self) -> Iterator[bytes]:
        """Yield the root of every version whose key is kept."""
        ...

    def destroy_keys(self, roots: Sequence[bytes]) -> int:
        """Destroy keys durably; return how many there were."""
        ...


@dataclass(frozen=True, slots=True)
class CollectOptions:
    """What the operator asks for."""

    grace_ms: int = limits.COLLECT_GRACE_MS
    """How long what is condemned stays."""
    dry_run: bool = False
    """Tell what would be done; change nothing."""
    compact: bool = False
    """Also write packs anew that hold any dead chunk, or chunks of other clusters."""


@dataclass(slots=True)
class CollectReport:
    """What was found and done. Bytes are sealed bytes."""

    chunks: int = 0
    """Chunks looked at."""
    chunks_needed: int = 0
    chunks_fresh: int = 0
    """Not needed, but an upload may be in flight."""
    chunks_condemned: int = 0
    """Found dead for the first time."""
    chunks_waiting: int = 0
    """Dead, and in their grace period."""
    chunks_forgotten: int = 0
    bytes_condemned: int = 0
    bytes_waiting: int = 0
    bytes_forgotten: int = 0
    manifests_condemned: int = 0
    manifests_waiting: int = 0
    manifests_deleted: int = 0
    manifests_gathered: int = 0
    """Small ones that were objects of their own, moved to a bundle."""
    keys_destroyed: int = 0
    """Wrapped data keys of versions that are no more."""
    packs_deleted: int = 0
    packs_rewritten: int = 0
    bytes_freed: int = 0
    """Bytes of deleted packs and manifests, less those of packs written for them."""


def collect(
    versions: VersionStore,
    keyring: Keyring,
    look: Callable[[], ChainView],
    clock: Clock,
    *,
    options: CollectOptions = CollectOptions(),
    cluster_of: ClusterOf = lambda _dataset: 0,
    progress: Progress = no_progress,
) -> CollectReport:
    """Run one collection.

    Args:
        versions: the open store.
        keyring: holds the data keys of own versions.
        look: returns the chain as the node knows it now.
        clock: for the grace period.
        options: what is asked for.
        cluster_of: the cluster each dataset lies in now, for what is written anew.
        progress: told of each piece of work; may stop the run.

    Raises:
        ConflictError: another collection runs.
        UnavailableError: the chain is not known to its tip, or the store cannot be listed or read.
        CorruptError: what is needed cannot be told. In all three cases nothing was deleted.
    """
    if not versions.collecting.acquire(blocking=False):
        raise ConflictError("A collection is running already.", remedy="Wait for its end.")
    try:
        versions.leases.watch()
        return _Collection(versions, keyring, clock, options, progress).run(look, cluster_of)
    finally:
        versions.leases.unwatch()
        versions.collecting.release()


def collected_ms(table: Table) -> int:
    """Return when the last collection ended; 0 if none did."""
    row = table.get(_COLLECTED_ROW)
    return 0 if row is None else int.from_bytes(row, "big")


def condemned(table: Table) -> tuple[int, int, int, int]:
    """Return chunks and their bytes, manifests and their bytes, that collections found dead."""
    chunks = [_decode_row(row)[1] for _, row in table.scan(_CHUNK_ROW)]
    manifests = [_decode_row(row)[1] for _, row in table.scan(_MANIFEST_ROW)]
    return len(chunks), sum(chunks), len(manifests), sum(manifests)


@dataclass(slots=True)
class _Condemned:
    """The chunks condemned by earlier runs, by mark."""

    ids: Ids
    times: npt.NDArray[np.int64]
    seen: npt.NDArray[np.bool_] = field(init=False)

    def __post_init__(self) -> None:
        self.seen = np.zeros(len(self.ids), np.bool_)

    def since(self, ids: Ids) -> npt.NDArray[np.int64]:
        """Return since when each is condemned, −1 if it is not."""
        times = np.full(len(ids), -1, np.int64)
        places = np.searchsorted(self.ids, ids)
        inside = places < len(self.ids)
        inside[inside] = self.ids[places[inside]] == ids[inside]
        times[inside] = self.times[places[inside]]
        self.seen[places[inside]] = True
        return times


class _Collection:
    """One run."""

    def __init__(
        self,
        versions: VersionStore,
        keyring: Keyring,
        clock: Clock,
        options: CollectOptions,
        progress: Progress,
    ) -> None:
        self._versions = versions
        self._chunks = versions.chunks
        self._manifests = versions.manifests
        self._table = versions.chunks.table
        self._store = versions.chunks.store
        self._keyring = keyring
        self._options = options
        self._progress = progress
        self._clock = clock
        self._now = clock.now_ms()
        self._uses: dict[bytes, PackUse] = {}
        self._fresh: dict[bytes, bool] = {}
        self._objects: set[bytes] = set()
        self._bundled: dict[bytes, int] = {}
        self._bundles: dict[bytes, bool] = {}
        self._spared = Marks()
        self.report = CollectReport()

    def run(self, look: Callable[[], ChainView], cluster_of: ClusterOf) -> CollectReport:
        """Do all steps in order."""
        view = look()
        if view.reason:
            raise UnavailableError(
                f"Nothing was collected: {view.reason}.",
                remedy="Wait until `hansa node status` says ready, then collect again.",
            )
        manifests = self._list_manifests()
        self._list_packs()
        marks = mark_needed(self._versions, view, cluster_of, self._step("mark"))
        if view.time_ms <= self._versions.leases.held_until_ms:
            # The table was lost, and leases with it: whatever has a manifest may be attested.
            mark_leased(self._versions, marks, manifests)
        # Manifests first: what leaves a bundle here is no more counted as living in it.
        if view.time_ms > self._versions.leases.held_until_ms:
            self._judge_manifests(view, manifests)
        self._judge_chunks(marks)
        if not self._options.dry_run:
            self._versions.leases.drop_expired(view.time_ms)
        self._gather_manifests()
        self._repack(marks)
        if not self._options.dry_run:
            self._table.write([(_COLLECTED_ROW, self._now.to_bytes(8, "big"))])
        return self.report

    # --- listing ----------------------------------------------------------------------------------

    def _list_manifests(self) -> set[bytes]:
        """Return the roots of all manifests, in bundles and in objects of their own.

        Raises:
            UnavailableError: the store does not list what it holds, or a bundle cannot be read.
        """
        # First what must be there, then the list: what comes in between is no contradiction.
        bound = [root for root, _row in self._versions.versions()]
        self._bundled = self._manifests.bundled()
        self._objects = self._manifests.objects()
        for root in bound:
            if root in self._objects or root in self._bundled:
                continue
            if self._store.exists(name_manifest(root)):
                raise _short_listing(name_manifest(root))
        return self._objects | self._bundled.keys()

    def _list_packs(self) -> None:
        """Note the packs that are in the store and in the table; strangers are left alone."""
        known = list(self._chunks.packs())
        listed = {parse_root(name) for name in self._store.list(PACKS)}
        for root, row in known:
            if root in listed:
                self._uses[root] = PackUse(root, row.cluster, row.bytes, self._is_fresh(root))
            elif self._store.exists(name_pack(root)):
                raise _short_listing(name_pack(root))

    def _is_fresh(self, pack: bytes) -> bool:
        """Tell whether an upload in flight may rest on a pack or segment."""
        fresh = self._fresh.get(pack)
        if fresh is None:
            fresh = self._fresh[pack] = self._chunks.fresh_until(pack) >= self._now
        return fresh

    # --- chunks -----------------------------------------------------------------------------------

    def _judge_chunks(self, marks: Marks) -> None:
        """Condemn, wait or forget each chunk that is stored; note what lives in each pack."""
        condemned = self._load_condemned()
        about = max(self._chunks.index.chunks, 1)
        for batch in _batches(self._chunks.index.stored()):
            self._judge_batch(batch, marks, condemned)
            self._progress("chunks", self.report.chunks, max(about, self.report.chunks))
        if not self._options.dry_run:
            self._drop_stale(condemned)

    def _judge_batch(self, batch: list[Stored], marks: Marks, condemned: _Condemned) -> None:
        ids = ids_of([digest for digest, _ in batch])
        needed, since = marks.contain(ids), condemned.since(ids)
        clusters = marks.clusters(ids)
        changes: list[tuple[bytes, bytes | None]] = []
        ripe: list[Stored] = []
        report = self.report
        for index, (digest, stored) in enumerate(batch):
            length, time = stored.address.length, int(since[index])
            if self._is_manifest(stored):
                self._count(stored, NO_CLUSTER)
                continue
            report.chunks += 1
            if needed[index] or self._is_fresh(stored.address.pack):
                report.chunks_needed += bool(needed[index])
                report.chunks_fresh += not needed[index]
                if time >= 0:
                    changes.append((_CHUNK_ROW + digest, None))
            elif time < 0 or time > self._now:
                report.chunks_condemned += 1
                report.bytes_condemned += length
                changes.append((_CHUNK_ROW + digest, _encode_row(self._now, length)))
            elif (
                self._now - time < self._options.grace_ms
                or stored.address.pack in self._chunks.journal.segments
            ):
                # What the journal holds would be noted again at the next start: first its pack.
                report.chunks_waiting += 1
                report.bytes_waiting += length
            else:
                ripe.append((digest, stored))
                continue
            self._count(stored, int(clusters[index]))
        if self._options.dry_run:
            report.chunks_forgotten += len(ripe)
            report.bytes_forgotten += sum(stored.address.length for _, stored in ripe)
            return
        if changes:
            self._table.write(changes)
        if ripe:
            self._forget(ripe)

    def _is_manifest(self, stored: StoredChunk) -> bool:
        """Tell whether this lies in a bundle: `_judge_manifests` judges it."""
        pack = stored.address.pack
        found = self._bundles.get(pack)
        if found is None:
            found = self._bundles[pack] = self._manifests.is_bundle(pack)
        return found

    def _count(self, stored: StoredChunk, cluster: int) -> None:
        """Note that a pack still holds something."""
        use = self._uses.get(stored.address.pack)
        if use is not None:
            use.living_chunks += 1
            use.living_bytes += stored.address.length
            use.by_cluster[use.cluster if cluster == NO_CLUSTER else cluster] += (
                stored.address.length
            )

    def _forget(self, ripe: list[Stored]) -> None:
        """Take chunks out of the table, unless something was leased meanwhile that needs them."""
        leases = self._versions.leases
        watched = leases.take_watched()
        while True:
            # Manifests are opened outside of the lock that uploads wait for.
            mark_leased(self._versions, self._spared, watched)
            with self._versions.deciding:
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
                self._table.write([(_CHUNK_ROW + digest, None) for digest, _ in ripe])
                break
        for digest, stored in ripe:
            if digest in gone:
                self.report.chunks_forgotten += 1
                self.report.bytes_forgotten += stored.address.length
            else:
                self.report.chunks_fresh += 1
                self._count(stored, NO_CLUSTER)

    def _load_condemned(self) -> _Condemned:
        ids: list[Ids] = []
        times: list[int] = []
        for batch in _batches(self._table.scan(_CHUNK_ROW)):
            ids.append(ids_of([key[1:] for key, _ in batch]))
            times += [_decode_row(row)[0] for _, row in batch]
        joined = np.concatenate(ids) if ids else np.empty(0, np.uint64)
        order = np.argsort(joined, kind="stable")
        return _Condemned(joined[order], np.array(times, np.int64)[order])

    def _drop_stale(self, condemned: _Condemned) -> None:
        """Drop rows of chunks that are not stored any more."""
        stale = Marks()
        stale.add(condemned.ids[~condemned.seen], 0)
        if not len(stale):
            return
        for batch in _batches(self._table.scan(_CHUNK_ROW)):
            gone = stale.contain(ids_of([key[1:] for key, _ in batch]))
            rows = [key for (key, _), is_gone in zip(batch, gone, strict=True) if is_gone]
            if rows:
                self._table.write((key, None) for key in rows)

    # --- manifests --------------------------------------------------------------------------------

    def _judge_manifests(self, view: ChainView, listed: set[bytes]) -> None:
        """Condemn or delete manifests, and data keys, of no version."""
        living = set(view.living) | {root for root, _ in self._versions.versions()}
        living |= self._versions.leases.active(view.time_ms)
        since = {key[1:]: _decode_row(row)[0] for key, row in self._table.scan(_MANIFEST_ROW)}
        dead = sorted((listed | set(self._keyring.key_roots())) - living)
        changes: list[tuple[bytes, bytes | None]] = [
            (_MANIFEST_ROW + root, None) for root in since.keys() - set(dead)
        ]
        ripe: list[bytes] = []
        for root in dead:
            time = since.get(root, -1)
            if time < 0 or time > self._now:
                self.report.manifests_condemned += 1
                size = self._bundled.get(root, 0)
                if root in self._objects:
                    size += self._store.size(name_manifest(root))
                changes.append((_MANIFEST_ROW + root, _encode_row(self._now, size)))
            elif self._now - time < self._options.grace_ms:
                self.report.manifests_waiting += 1
            else:
                ripe.append(root)
        if self._options.dry_run:
            self.report.manifests_deleted = len(ripe)
            return
        if changes:
            self._table.write(changes)
        for done, root in enumerate(ripe):
            self._delete_manifest(root, view)
            self._progress("manifests", done + 1, len(ripe))

    def _delete_manifest(self, root: bytes, view: ChainView) -> None:
        """Destroy a version's data key, then delete its manifest, unless it was leased meanwhile."""
        name, is_object = name_manifest(root), root in self._objects
        size = self._store.size(name) if is_object else 0
        with self._versions.deciding:
            if self._versions.is_bound(root) or root in self._versions.leases.active(view.time_ms):
                return
            self.report.keys_destroyed += self._keyring.destroy_keys([root])
            if is_object:
                self._store.delete(name)
            is_gone = self._manifests.forget(root)
            if is_gone:
                self._table.write([(_MANIFEST_ROW + root, None)])
        self.report.bytes_freed += size
        if not is_gone:
            self.report.manifests_waiting += 1
        elif is_object or root in self._bundled:
            self.report.manifests_deleted += 1

    def _gather_manifests(self) -> None:
        """Move living small manifests that are objects of their own to a bundle."""
        roots = [
            root
            for root, row in self._versions.versions()
            if root in self._objects and is_bundled(row.manifest_bytes)
        ]
        self.report.manifests_gathered = len(roots)
        if roots and not self._options.dry_run:
            self.report.manifests_gathered = self._manifests.gather(roots)

    # --- packs ------------------------------------------------------------------------------------

    def _repack(self, marks: Marks) -> None:
        """Delete packs that hold nothing, write those anew that are worth it."""
        plan = plan_packs(self._uses.values(), compact=self._options.compact)
        if self._options.dry_run:
            self.report.packs_deleted = len(plan.drop)
            self.report.packs_rewritten = len(plan.rewrite)
            return
        total = len(plan.drop) + len(plan.rewrite)
        for done, root in enumerate(plan.drop):
            self._drop([root])
            self._progress("packs", done + 1, total)
        done = len(plan.drop)
        for group in self._groups(plan.rewrite):
            self._rewrite(group, marks)
            done += len(group)
            self._progress("packs", done, total)

    def _groups(self, roots: Sequence[bytes]) -> Iterator[list[bytes]]:
        """Split packs into those written anew together: one cluster, so much that packs get full."""
        group: list[bytes] = []
        size = 0
        for root in roots:
            use = self._uses[root]
            is_other = group and self._uses[group[0]].home() != use.home()
            if group and (is_other or size + use.living_bytes > limits.REPACK_BYTES_AT_ONCE):
                yield group
                group, size = [], 0
            group.append(root)
            size += use.living_bytes
        if group:
            yield group

    def _rewrite(self, group: list[bytes], marks: Marks) -> None:
        """Store what lives in some packs anew, each chunk with its cluster; then delete them."""
        before = self._chunks.addresses.packed_bytes
        clusters = sorted({cluster for root in group for cluster in self._uses[root].by_cluster})
        home = self._uses[group[0]].home()
        for cluster in clusters:

            def belongs(digest: bytes, cluster: int = cluster) -> bool:
                found = int(marks.clusters(ids_of([digest]))[0])
                return cluster == (found if found in clusters else home)

            self._chunks.rewrite(group, belongs, cluster)
            self._chunks.flush(cluster)
        self.report.packs_rewritten += len(group)
        self.report.bytes_freed -= self._chunks.addresses.packed_bytes - before
        self._drop(group)

    def _drop(self, roots: Sequence[bytes]) -> None:
        """Delete packs in which nothing is stored any more."""
        for root in roots:
            if self._chunks.drop_pack(root):
                self.report.packs_deleted += 1
                self.report.bytes_freed += self._uses[root].bytes

    def _step(self, phase: str) -> Callable[[int, int], None]:
        return lambda done, total: self._progress(phase, done, total)


def _batches(rows: Iterator[tuple[bytes, T]]) -> Iterator[list[tuple[bytes, T]]]:
    while batch := list(islice(rows, limits.COLLECT_BATCH_CHUNKS)):
        yield batch


def _encode_row(time_ms: int, size: int) -> bytes:
    """Return a row of what is condemned: since when, and its bytes."""
    return time_ms.to_bytes(8, "big") + size.to_bytes(8, "big")


def _decode_row(row: bytes) -> tuple[int, int]:
    return int.from_bytes(row[:8], "big"), int.from_bytes(row[8:], "big")


def _short_listing(name: str) -> UnavailableError:
    return UnavailableError(
        f"Nothing was collected: the store does not list {name}, though it holds it.",
        remedy="Look at the store: its listing cannot be relied on. Then collect again.",
    )
