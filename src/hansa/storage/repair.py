"""Repair: what can be saved is written anew; nothing is deleted in the same run.

    table      packs the table does not know are adopted, living versions it does not know are bound
    journal    damaged segments are emptied of their sound chunks and put aside; sound chunks of those
               put aside earlier, and missing since, are stored again
    packs      each is read whole; of a damaged one the sound chunks are copied to a new pack, with a
               footer of its own; the damaged one stays until a collection finds nothing needed in it

A chunk found damaged is marked, so that it comes again with the next publish that has it. On a sound
store nothing is written. Cut short, the next run takes up what is left.
"""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from hansa.data.chunk import compute_sealed_digest
from hansa.data.hash_index_table import VersionRef
from hansa.data.pipeline import UploadChunk
from hansa.errors import CorruptError, InvalidError, MissingError
from hansa.storage.addresses import Alive, Damage
from hansa.storage.check import HurtVersion, check
from hansa.storage.disk import disk_errors
from hansa.storage.names import PACKS, name_pack, parse_root
from hansa.storage.pack import HEADER, PackEntry, is_intact, read_footer
from hansa.storage.progress import Progress, no_progress
from hansa.storage.segment_log import HEADER_BYTES, Record, decode_log
from hansa.storage.version_store import VersionStore


@dataclass(slots=True)
class RepairReport:
    """What was found and written."""

    packs_adopted: int = 0
    """Packs that the table did not know."""
    packs_rewritten: int = 0
    """Damaged packs of which sound chunks were stored anew."""
    chunks_saved: int = 0
    chunks_lost: int = 0
    """Chunks of damaged packs that are not what was stored."""
    segments_adopted: int = 0
    """Parts of the journal put aside as damaged, of which sound chunks were stored anew."""
    versions_bound: int = 0
    """Living versions that the table did not know."""
    damages: tuple[Damage, ...] = ()
    """What stays wrong."""
    hurt: tuple[HurtVersion, ...] = ()
    """Living versions that stay hurt: to be published again from their source."""


def repair(
    versions: VersionStore,
    directory_key: bytes,
    living: Mapping[bytes, VersionRef],
    *,
    dry_run: bool = False,
    rebuild_table: bool = False,
    progress: Progress = no_progress,
) -> RepairReport:
    """Save what can be saved.

    Args:
        versions: the open store.
        directory_key: opens footers.
        living: manifest root → version, of all own versions that live, from the chain.
        dry_run: look only, and tell what is wrong.
        rebuild_table: compare every row of the table with footers and manifests, not only what is
            missing.
        progress: told of each piece of work; may stop the run.

    Raises:
        DiskFullError, UnavailableError: what was saved is saved; run it again.
    """
    job = _Repair(versions, directory_key, progress, dry_run=dry_run)
    job.packs()
    job.journal()
    job.table(living, rebuild=rebuild_table)
    found = check(versions, directory_key, read_data=False, progress=progress)
    damages = dict.fromkeys([*job.damages, *found.damages])
    job.report.damages, job.report.hurt = tuple(damages), found.hurt
    return job.report


class _Repair:
    """One run."""

    def __init__(
        self, versions: VersionStore, directory_key: bytes, progress: Progress, *, dry_run: bool
    ) -> None:
        self._versions = versions
        self._chunks = versions.chunks
        self._store = versions.chunks.store
        self._directory_key = directory_key
        self._progress = progress
        self._dry_run = dry_run
        self.damages: list[Damage] = []
        self.report = RepairReport()

    # --- packs ------------------------------------------------------------------------------------

    def packs(self) -> None:
        """Read every pack; save what is sound of those that are not."""
        known = {root: row.cluster for root, row in self._chunks.packs()}
        names = list(self._store.list(PACKS))
        for done, name in enumerate(names):
            root = parse_root(name)
            if root is not None and name == name_pack(root):
                # What was written anew and deleted since it was listed is gone for good reason.
                with contextlib.suppress(MissingError):
                    self._pack(name, root, known.get(root))
            self._progress("packs", done + 1, len(names))

    def _pack(self, name: str, root: bytes, cluster: int | None) -> None:
        is_sound = is_intact(self._store, name, root)
        try:
            footer = read_footer(self._store, name, self._directory_key)
        except CorruptError:
            footer = None
        if is_sound and footer is not None:
            if cluster is None:
                self.report.packs_adopted += 1
                if not self._dry_run:
                    self._chunks.addresses.adopt(root, footer)
            return
        self.damages.append(Damage("pack", name, "The pack is not as it was written."))
        if footer is not None and cluster is None and not self._dry_run:
            self._chunks.addresses.adopt(root, footer)
        self._salvage(root, cluster or (footer.cluster if footer else 0))

    def _salvage(self, root: bytes, cluster: int) -> None:
        """Copy what is sound of a damaged pack, as footer or table know it."""
        saved = lost = 0
        for entry in self._chunks.addresses.current(root, self._chunks.entries(root)):
            is_sound = self._is_sound(root, entry)
            saved, lost = saved + is_sound, lost + (not is_sound)
        self.report.chunks_saved += saved
        self.report.chunks_lost += lost
        self.report.packs_rewritten += saved > 0
        if not self._dry_run:
            # The copy reads and compares again, and marks what is damaged.
            self._chunks.rewrite([root], lambda _digest: True, cluster)
            self._chunks.flush(cluster)

    def _is_sound(self, root: bytes, entry: PackEntry) -> bool:
        try:
            sealed = self._store.get(name_pack(root), entry.offset, entry.length)
        except (InvalidError, CorruptError):
            return False
        return compute_sealed_digest(sealed) == entry.sealed_digest

    # --- journal ----------------------------------------------------------------------------------

    def journal(self) -> None:
        """Empty damaged segments, and take sound chunks from those put aside."""
        damaged = [segment for segment in self._chunks.journal.list() if segment.damage]
        for segment in damaged:
            self.damages.append(Damage("journal", segment.path.name, segment.damage))
        if damaged and not self._dry_run:
            self._chunks.flush()
        aside = self._chunks.journal.put_aside()
        for done, (log, body) in enumerate(aside):
            self._take_from(log, body)
            self._progress("journal", done + 1, len(aside))

    def _take_from(self, log: Path, body: Path) -> None:
        """Store again what a segment put aside holds soundly and is nowhere else."""
        alive = Alive()
        uploads: list[UploadChunk] = []
        with disk_errors(f"journal file {log.name}"):
            data = log.read_bytes()
            found = decode_log(data, len(HEADER)) if len(data) >= HEADER_BYTES else None
            if found is None or not body.exists():
                self.damages.append(Damage("journal", log.name, "It is no readable segment."))
                return
            with body.open("rb") as file:
                for record in found.records:
                    if self._is_stored(record, alive):
                        continue
                    file.seek(record.offset)
                    sealed = file.read(record.length)
                    if compute_sealed_digest(sealed) == record.sealed_digest:
                        uploads.append(UploadChunk(record.chunk, record.fingerprint, sealed))
        self.report.segments_adopted += bool(uploads)
        self.report.chunks_saved += len(uploads)
        if not self._dry_run:
            self._chunks.rewriting.restore(uploads, found.cluster)

    def _is_stored(self, record: Record, alive: Alive) -> bool:
        stored = self._chunks.index.locate(record.sealed_digest)
        return stored is not None and self._chunks.is_alive(stored, alive)

    # --- table ------------------------------------------------------------------------------------

    def table(self, living: Mapping[bytes, VersionRef], *, rebuild: bool) -> None:
        """Bring the table in line with the chain, and on wish with every footer and manifest."""
        bound = {root for root, _ in self._versions.versions()}
        self.report.versions_bound = len(living.keys() - bound)
        if self._dry_run:
            return
        if rebuild:
            self._rebuild_addresses()
        self._versions.rebuild(living.items())
        if not rebuild:
            return
        for done, (root, version) in enumerate(sorted(living.items())):
            # What cannot be read is told by the check that follows.
            with contextlib.suppress(MissingError, CorruptError, InvalidError):
                self._versions.bind(root, version)
            self._progress("bind", done + 1, len(living))

    def _rebuild_addresses(self) -> None:
        """Note again every chunk of every pack that has no living place."""
        names = list(self._store.list(PACKS))
        for done, name in enumerate(names):
            root = parse_root(name)
            if root is not None and name == name_pack(root):
                with contextlib.suppress(MissingError, CorruptError):
                    footer = read_footer(self._store, name, self._directory_key)
                    self._chunks.addresses.adopt(root, footer)
            self._progress("footers", done + 1, len(names))
