"""Check: read back what is stored and report; never delete, never repair.

A chunk found damaged is marked, so that it is not offered as a duplicate: publishing its data again
stores it anew.

Packs and manifests are judged by their names (digests over their bytes), which needs no key; what they
say is compared with each other and with the living versions. Without `read_data` packs are judged by
their lengths and footers only; manifests and the journal are always read.

Marks lie in the table; when the table is made anew they are gone, and the next check with `read_data`
finds the damage again.
"""

from dataclasses import dataclass

from hansa.data.chunk import compute_sealed_digest
from hansa.data.hash_index_table import VersionRef
from hansa.data.manifest import decode_manifest, open_directory
from hansa.errors import CorruptError, HansaError, InvalidError, MissingError
from hansa.storage.addresses import Damage, Kind
from hansa.storage.names import MANIFESTS, PACKS, name_manifest, name_pack, parse_root
from hansa.storage.pack import PART_BYTES, PackFooter, PackHasher, read_footer
from hansa.storage.progress import Progress, no_progress
from hansa.storage.version_store import VersionStore


@dataclass(frozen=True, slots=True)
class HurtVersion:
    """A living version that cannot be read whole."""

    version: VersionRef
    manifest_root: bytes
    chunks_missing: int
    """Missing or damaged; 0 if the manifest itself is."""
    bytes_missing: int
    """Sealed bytes of them; of the whole version if the manifest is lost."""
    files: int
    """Files of the version: names and places are sealed to its readers, so not which of them."""


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What was found."""

    packs: int
    manifests: int
    bytes_read: int
    read_data: bool
    """False: packs were judged by lengths and footers only."""
    damages: tuple[Damage, ...]
    hurt: tuple[HurtVersion, ...]

    @property
    def is_sound(self) -> bool:
        """Tell whether nothing is wrong."""
        return not self.damages and not self.hurt


def check(
    versions: VersionStore,
    directory_key: bytes,
    *,
    read_data: bool,
    progress: Progress = no_progress,
) -> CheckReport:
    """Check a store.

    Args:
        versions: the open store.
        directory_key: opens pack footers.
        read_data: read every pack whole; else only lengths, footers, manifests and the journal.
        progress: told of each piece: bytes of packs if their data is read, else how many.

    Raises:
        UnavailableError: the store cannot be read at present; nothing can be said.
    """
    job = _Check(versions, directory_key, progress, read_data=read_data)
    job.check_packs()
    job.check_journal()
    job.check_manifests()
    job.mark()
    hurt = job.find_hurt()
    damages = tuple(dict.fromkeys(job.damages))
    return CheckReport(job.packs, job.manifests, job.bytes_read, read_data, damages, hurt)


class _Check:
    """One run."""

    def __init__(
        self, versions: VersionStore, directory_key: bytes, progress: Progress, *, read_data: bool
    ) -> None:
        self._versions = versions
        self._chunks = versions.chunks
        self._store = versions.chunks.store
        self._directory_key = directory_key
        self._progress = progress
        self._read_data = read_data
        self.damages = list(versions.chunks.damages)
        self.packs = self.manifests = self.bytes_read = 0
        self._dead: set[bytes] = set()
        """Sealed digests of chunks that cannot be read."""

    def check_packs(self) -> None:
        """Judge all packs in the store."""
        names = list(self._store.list(PACKS))
        known = {root: row.bytes for root, row in self._chunks.packs()}
        about = sum(known.values()) if self._read_data else len(names)
        done = 0
        for name in names:
            root = parse_root(name)
            if root is None or name != name_pack(root):
                self._report("pack", name, "The object is no pack.")
                continue
            try:
                size = self._check_pack(name, root, done, about)
            except MissingError:
                continue  # Written anew and deleted since it was listed.
            if known.get(root, size) != size:
                self._report("pack", name, f"The pack had {known[root]} bytes, and has {size}.")
                self._check_chunks(name, None)
            done += size if self._read_data else 1
            self._progress("packs", done, about)

    def _check_pack(self, name: str, root: bytes, done: int, about: int) -> int:
        """Judge one pack by its name and, if that fails, each of its chunks; return its bytes."""
        self.packs += 1
        size = self._store.size(name)
        is_sound = not self._read_data or self._is_intact(name, root, size, done, about)
        try:
            footer = read_footer(self._store, name, self._directory_key)
        except CorruptError as error:
            self._report("pack", name, str(error))
            footer = None
        if not is_sound:
            self._report("pack", name, "The pack's bytes do not have the digest of its name.")
            self._check_chunks(name, footer)
        return size

    def _is_intact(self, name: str, root: bytes, size: int, done: int, about: int) -> bool:
        """Read a pack whole; the progress is told of each part."""
        hasher = PackHasher()
        for at in range(0, size, PART_BYTES):
            part = self._store.get(name, at, min(PART_BYTES, size - at))
            hasher.update(part)
            self.bytes_read += len(part)
            self._progress("packs", done + at, about)
        return hasher.root() == root

    def check_journal(self) -> None:
        """Compare each journalled chunk with its digest."""
        segments = list(self._chunks.journal.segments.values())
        total = sum(record.length for segment in segments for record in list(segment.records))
        done = 0
        for segment in segments:
            for record in list(segment.records):
                try:
                    sealed = segment.read(record.offset, record.length)
                except MissingError:
                    break  # It has just been packed; the pack is checked next time.
                except CorruptError:
                    sealed = b""
                self.bytes_read += len(sealed)
                done += record.length
                if compute_sealed_digest(sealed) != record.sealed_digest:
                    self._lose(record.sealed_digest, segment.path.name)
                self._progress("journal", done, total)

    def check_manifests(self) -> None:
        """Judge all manifests by their roots: those that are objects of their own, then the bundled."""
        names = list(self._store.list(MANIFESTS))
        for done, name in enumerate(names):
            root = parse_root(name)
            if root is None or name != name_manifest(root):
                self._report("manifest", name, "The object is no manifest.")
                continue
            try:
                data = self._store.get(name)
                self.manifests += 1
                self.bytes_read += len(data)
                open_directory(decode_manifest(data, root), self._directory_key)
            except MissingError:
                continue  # Collected since it was listed.
            except (CorruptError, InvalidError) as error:
                self._report("manifest", name, str(error))
            self._progress("manifests", done + 1, len(names))
        bundled = self._versions.manifests.bundled()
        for done, (root, found) in enumerate(self._versions.open_directories(bundled)):
            if isinstance(found, MissingError):
                # The pack that had it is missing or short, or it was collected since: `find_hurt` tells.
                continue
            self.manifests += 1
            self.bytes_read += bundled[root]
            if isinstance(found, HansaError):
                self._report("manifest", name_manifest(root), str(found))
            self._progress("manifests", len(names) + done + 1, len(names) + len(bundled))

    def mark(self) -> None:
        """Have the damaged chunks come again with the next publish that has them."""
        self._chunks.mark_damaged(self._dead)
        self._chunks.forget_healed()

    def find_hurt(self) -> tuple[HurtVersion, ...]:
        """Return the living versions that miss chunks or their manifest."""
        hurt: list[HurtVersion] = []
        rows = dict(self._versions.versions())
        for done, (root, directory) in enumerate(self._versions.open_directories(rows)):
            row = rows[root]
            if isinstance(directory, HansaError):
                self._report("manifest", name_manifest(root), str(directory))
                hurt.append(HurtVersion(row.version, root, 0, row.stored_bytes, row.files))
                continue
            lost = {entry.sealed_digest: entry for entry in self._versions.missing(directory)}
            if self._dead:
                lost |= {
                    entry.sealed_digest: entry
                    for entry in directory.entries
                    if entry.sealed_digest in self._dead
                }
            if lost:
                size = sum(entry.sealed_bytes for entry in lost.values())
                hurt.append(HurtVersion(row.version, root, len(lost), size, row.files))
            self._progress("versions", done + 1, len(rows))
        return tuple(hurt)

    def _check_chunks(self, name: str, footer: PackFooter | None) -> None:
        """Find which chunks of a damaged pack are lost; without its footer, ask the table."""
        root = parse_root(name)
        if footer is not None:
            places = [(entry.sealed_digest, entry.offset, entry.length) for entry in footer.entries]
        else:
            places = [
                (digest, stored.address.offset, stored.address.length)
                for digest, stored in self._chunks.index.stored()
                if stored.address.pack == root
            ]
        for digest, offset, length in places:
            try:
                sealed = self._store.get(name, offset, length)
            except InvalidError:
                sealed = b""
            if compute_sealed_digest(sealed) != digest:
                self._lose(digest, name)

    def _lose(self, sealed_digest: bytes, where: str) -> None:
        self._dead.add(sealed_digest)
        self._report("chunk", sealed_digest.hex(), f"The chunk is damaged in {where}.")

    def _report(self, kind: Kind, name: str, detail: str) -> None:
        self.damages.append(Damage(kind, name, detail))
