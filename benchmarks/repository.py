"""A repository of Hansa's engine: what an owner's node and client keep, in one folder, without the chain.

    <folder>/profile.json (dedup secret, directory key, data key of each version)  table.mdb  journal/  store/

The same parts as in a node and its client (pipeline, chunk store, version store, layout), opened in one process.
"""

import os
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import msgspec

from hansa.data.hash_index_table import VersionRef
from hansa.data.keys import derive_dedup_keys
from hansa.data.known import Dictionary, KnownChunk, LivingVersion
from hansa.data.manifest import (
    Contents,
    build_manifest,
    decode_manifest,
    open_contents,
    open_directory,
    validate_agreement,
)
from hansa.data.pipeline import Ingest
from hansa.ports import Store
from hansa.storage.chunk_store import ChunkStore
from hansa.storage.journal import Journal
from hansa.storage.local import LocalStore
from hansa.storage.table import open_table
from hansa.storage.version_store import VersionStore
from hansa.system import SystemClock, SystemEntropy
from hansa.types import ChunkId, DatasetId, Millis

if TYPE_CHECKING:
    from hansa.storage.collection import CollectReport

LEASE_MS = 60_000
PROFILE = "profile.json"
DICTIONARIES_OPEN_MAX = 8


class ClosableStore(Store, Protocol):
    """A store that this process opened."""

    def close(self) -> None:
        """Let it go."""


class Version(msgspec.Struct):
    """What the owner's client and the chain would know of a version."""

    name: str
    dataset: str
    number: int
    root: str
    data_key: str


class Profile(msgspec.Struct):
    """What the owner's client keeps."""

    secret: str
    directory_key: str
    versions: list[Version] = []


class LaterClock(SystemClock):
    """The machine's clock, some time ahead."""

    def __init__(self, ahead_ms: int) -> None:
        self._ahead_ms = ahead_ms

    def now_ms(self) -> Millis:
        return Millis(super().now_ms() + self._ahead_ms)


@dataclass
class Repository:
    """One open repository; close it."""

    folder: Path
    profile: Profile
    store: ClosableStore
    versions: VersionStore
    _table: object
    clock: "LaterClock"
    _opened: dict[bytes, LivingVersion] = field(default_factory=dict)
    _dictionaries: deque[Dictionary] = field(default_factory=deque)

    @classmethod
    def open(
        cls, folder: Path, store: ClosableStore | None = None, *, ahead_ms: int = 0
    ) -> "Repository":
        """Open a repository, or make it.

        Args:
            folder: where it is.
            store: its store; a folder in it if none is given.
            ahead_ms: what its clock is ahead of the machine's: then leases and graces are over.
        """
        path = folder / PROFILE
        if path.exists():
            profile = msgspec.json.decode(path.read_bytes(), type=Profile)
        else:
            folder.mkdir(parents=True)
            profile = Profile(os.urandom(32).hex(), os.urandom(32).hex())
            path.write_bytes(msgspec.json.encode(profile))
        key = bytes.fromhex(profile.directory_key)
        store = store or LocalStore(folder / "store", "benchmark")
        table, _ = open_table(folder / "table.mdb")
        clock = LaterClock(ahead_ms)
        journal = Journal(folder / "journal")
        chunks = ChunkStore(store, journal, table, key, SystemEntropy(), clock=clock)
        return cls(folder, profile, store, VersionStore(chunks, key, clock), table, clock)

    def close(self) -> None:
        """Close what is open."""
        self._table.close()
        self.store.close()

    @property
    def dedup(self):
        """Return the keys of chunker, digest and fingerprint."""
        return derive_dedup_keys(bytes.fromhex(self.profile.secret))

    # --- in -------------------------------------------------------------------------------------

    def lookup(self, chunks: Sequence[ChunkId], /) -> Sequence[KnownChunk | None]:
        """Return what the manifests of living versions say of chunks, as a client's `LivingChunks` does."""
        found: list[KnownChunk | None] = []
        living: dict[VersionRef, LivingVersion] = {}
        for chunk, version in zip(chunks, self.versions.lookup(chunks), strict=True):
            if version is None:
                found.append(None)
                continue
            if version not in living:
                living[version] = self._living(version)
            known = living[version].find(chunk)
            if known is not None and known.dictionary and not known.dictionary.plain:
                root = bytes.fromhex(self._version(version).root)
                known.dictionary.open(self.versions.read_content(root, *known.dictionary.place))
                self._dictionaries.append(known.dictionary)
                if len(self._dictionaries) > DICTIONARIES_OPEN_MAX:
                    self._dictionaries.popleft().close()
            found.append(known)
        return found

    def _version(self, reference: VersionRef) -> Version:
        named = (bytes(reference.dataset).hex(), reference.number)
        return next(v for v in self.profile.versions if (v.dataset, v.number) == named)

    def _living(self, reference: VersionRef) -> LivingVersion:
        version = self._version(reference)
        root = bytes.fromhex(version.root)
        if root not in self._opened:
            manifest = decode_manifest(self.versions.get_manifest(root), root)
            directory = open_directory(manifest, bytes.fromhex(self.profile.directory_key))
            contents = open_contents(manifest, bytes.fromhex(version.data_key))
            validate_agreement(directory, contents)
            self._opened[root] = LivingVersion(directory, contents)
        return self._opened[root]

    def register(self, name: str, ingest: Ingest) -> int:
        """Keep the manifest, have the version attested and bound, note its key; return the manifest's bytes."""
        contents, directory = ingest.finish()
        data_key = os.urandom(32)
        data = build_manifest(
            contents,
            directory,
            data_key=data_key,
            directory_key=bytes.fromhex(self.profile.directory_key),
            salt=os.urandom(32),
            nonces=(os.urandom(12), os.urandom(12)),
        )
        root = self.versions.put_manifest(data)
        self.versions.attest(root, LEASE_MS)
        number = len(self.profile.versions) + 1
        dataset = DatasetId(b"benchmark dataset".ljust(32, b"\0"))
        self._note(Version(name, dataset.hex(), number, root.hex(), data_key.hex()))
        self.versions.bind(root, VersionRef(dataset, number))
        return len(data)

    def _note(self, version: Version) -> None:
        """Keep a version's key durably before anything can be found through it."""
        self.profile.versions.append(version)
        self._save()

    def _save(self) -> None:
        path = self.folder / PROFILE
        fresh = path.with_suffix(".new")
        with fresh.open("wb") as file:
            file.write(msgspec.json.encode(self.profile))
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)

    # --- out ------------------------------------------------------------------------------------

    def named(self, name: str) -> Version:
        """Return a version by its name."""
        return next(version for version in self.profile.versions if version.name == name)

    def contents(self, version: Version) -> Contents:
        """Open a version's contents, as a reader's client does."""
        root = bytes.fromhex(version.root)
        manifest = decode_manifest(self.versions.get_manifest(root), root)
        return open_contents(manifest, bytes.fromhex(version.data_key))

    def forget(self, name: str) -> None:
        """Let a version live no longer; its data key goes with its manifest, when that is collected."""
        self.versions.unbind(bytes.fromhex(self.named(name).root))

    def collect(self) -> "CollectReport":
        """Run one collection; what is bound here stands for the versions that live on the chain."""
        from hansa.storage.collect import collect  # noqa: PLC0415 - only where it is used
        from hansa.storage.marking import ChainView  # noqa: PLC0415

        living = {root: row.version for root, row in self.versions.versions()}
        view = ChainView(1, self.clock.now_ms(), living)
        return collect(self.versions, self, lambda: view, self.clock)

    # --- a keyring, for the collection ------------------------------------------------------------

    def key_roots(self) -> Iterator[bytes]:
        """Yield the root of every version whose key is kept."""
        yield from [bytes.fromhex(version.root) for version in self.profile.versions]

    def destroy_keys(self, roots: Sequence[bytes]) -> int:
        """Destroy keys durably; return how many there were."""
        named = {root.hex() for root in roots}
        kept = [version for version in self.profile.versions if version.root not in named]
        gone = len(self.profile.versions) - len(kept)
        self.profile.versions = kept
        self._save()
        return gone
