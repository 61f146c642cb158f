"""Check: read back what is stored and report; never delete, never repair.

A chunk found damaged is marked, so that it is not offered as a duplicate: publishing its data again
stores it anew.

Packs and manifests are judged by their names (digests over their bytes), which needs no key; what they
say is compared with each other and with the living versions.
"""

from collections.abc import Callable
from dataclasses import dataclass

from hansa.data.chunk import compute_sealed_digest
from hansa.data.hash_index_table import VersionRef
from hansa.data.manifest import decode_manifest, open_directory
from hansa.errors import CorruptError, InvalidError, MissingError
from hansa.storage.addresses import Damage, Kind
from hansa.storage.names import MANIFESTS, PACKS, name_manifest, name_pack, parse_root
from hansa.storage.pack import PackFooter, is_intact, read_footer
from hansa.storage.version_store import VersionStore

Progress = Callable[[str, int], None]
"""progress(object name, its bytes), called after each."""


@dataclass(frozen=True, slots=True)
class HurtVersion:
    """A living version that cannot be read whole."""

    version: VersionRef
    manifest_root: bytes
    chunks_missing: int
    """0 if the manifest itself is missing or damaged."""


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What was found."""

    packs: int
    manifests: int
    bytes_read: int
    damages: tuple[Damage, ...]
    hurt: tuple[HurtVersion, ...]

    @property
    def is_sound(self) -> bool:
        """Tell whether nothing is wrong."""
        return not self.damages and not self.hurt


def _ignore(_name: str, _size: int) -> None:
    """Show no progress."""


def check(
    versions: VersionStore, directory_key: bytes, *, read_data: bool, progress: Progress = _ignore
) -> CheckReport:
    """Check a store.

    Args:
        versions: the open store.
        directory_key: opens pack footers.
        read_data: read every pack whole; else only lengths, footers and manifests.
        progress: told of each object checked.

    Raises:
        UnavailableError: the store cannot be read at present; nothing can be said.
    """
    job = _Check(versions, directory_key, progress)
    for name in list(versions.chunks.store.list(PACKS)):
        job.check_pack(name, read_data=read_data)
    job.check_journal()
    for name in list(versions.chunks.store.list(MANIFESTS)):
        job.check_manifest(name)
    job.mark()
    hurt = job.find_hurt()
    damages = tuple(dict.fromkeys(job.damages))
    return CheckReport(job.packs, job.manifests, job.bytes_read, damages, hurt)


class _Check:
    """One run."""

    def __init__(self, versions: VersionStore, directory_key: bytes, progress: Progress) -> None:
        self._versions = versions
        self._chunks = versions.chunks
        self._store = versions.chunks.store
        self._directory_key = directory_key
        self._progress = progress
        self.damages = list(versions.chunks.damages)
        self.packs = self.manifests = self.bytes_read = 0
        self._dead: set[bytes] = set()
        """Sealed digests of chunks that cannot be read."""

    def check_pack(self, name: str, *, read_data: bool) -> None:
        """Judge one pack by its name and, if that fails, each of its chunks."""
        root = parse_root(name)
        if root is None or name != name_pack(root):
            self._report("pack", name, "The object is no pack.")
            return
        self.packs += 1
        size = self._store.size(name)
        if read_data:
            self.bytes_read += size
        is_sound = not read_data or is_intact(self._store, name, root)
        try:
            footer = read_footer(self._store, name, self._directory_key)
        except CorruptError as error:
            self._report("pack", name, str(error))
            footer = None
        if not is_sound:
            self._report("pack", name, "The pack's bytes do not have the digest of its name.")
            self._check_chunks(name, footer)
        self._progress(name, size)

    def check_journal(self) -> None:
        """Compare each journalled chunk with its digest."""
        for segment in list(self._chunks.journal.segments.values()):
            for record in list(segment.records):
                try:
                    sealed = segment.read(record.offset, record.length)
                except MissingError:
                    break  # It has just been packed; the pack is checked next time.
                except CorruptError:
                    sealed = b""
                self.bytes_read += len(sealed)
                if compute_sealed_digest(sealed) != record.sealed_digest:
                    self._lose(record.sealed_digest, segment.path.name)

    def check_manifest(self, name: str) -> None:
        """Judge one manifest by its name."""
        root = parse_root(name)
        if root is None or name != name_manifest(root):
            self._report("manifest", name, "The object is no manifest.")
            return
        self.manifests += 1
        size = self._store.size(name)
        self.bytes_read += size
        try:
            manifest = decode_manifest(self._store.get(name), root)
            open_directory(manifest, self._directory_key)
        except (CorruptError, InvalidError) as error:
            self._report("manifest", name, str(error))
        self._progress(name, size)

    def mark(self) -> None:
        """Have the damaged chunks come again with the next publish that has them."""
        self._chunks.mark_damaged(self._dead)
        self._chunks.forget_healed()

    def find_hurt(self) -> tuple[HurtVersion, ...]:
        """Return the living versions that miss chunks or their manifest."""
        hurt: list[HurtVersion] = []
        for root, row in self._versions.versions():
            try:
                manifest = decode_manifest(self._versions.get_manifest(root))
                directory = open_directory(manifest, self._directory_key)
            except (MissingError, CorruptError, InvalidError) as error:
                self._report("manifest", name_manifest(root), str(error))
                hurt.append(HurtVersion(row.version, root, 0))
                continue
            missing = {entry.sealed_digest for entry in self._versions.missing(directory)}
            missing |= {
                entry.sealed_digest
                for entry in directory.entries
                if entry.sealed_digest in self._dead
            }
            if missing:
                hurt.append(HurtVersion(row.version, root, len(missing)))
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
