"""Pipeline of the way in: partition → digest → known? → fingerprint → compress, seal → batches.

Pure generators: the caller gives the lookup, the random bytes and a `map`-like function that may run
on threads (hashing, compression and the cipher release the interpreter lock). Memory is bounded by
one window of plain chunks and one batch of sealed ones, besides the manifest's own lists (about 300
bytes for each distinct chunk).

All files of a version form one plain stream in the order given. Small files share chunks; a file of
CHUNK_BYTES_MAX or more starts and ends its own run of chunks, so that it meets its duplicates
whatever lies around it.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Protocol

from blake3 import blake3
from typing_extensions import override

from hansa import limits
from hansa.crypto.sealing import KEY_BYTES
from hansa.data.chunk import SECRET_BYTES, compute_sealed_digest, seal_chunk
from hansa.data.fingerprint import Profile, compute_chunk_id, compute_fingerprint
from hansa.data.keys import DedupKeys
from hansa.data.manifest import (
    ContentChunk,
    Contents,
    Directory,
    DirectoryEntry,
    FileEntry,
    validate_names,
)
from hansa.data.partition import Partitioner, Reader
from hansa.errors import InvalidError
from hansa.types import ChunkId

_WINDOW_BYTES = 4 * limits.MIB
"""Plain bytes looked up at once."""
_SHARE_CHUNKS = 8
"""Chunks handed to a worker at once: threads only pay with enough work in hand."""


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One file to publish."""

    name: str
    """Its name in the version."""
    size_hint: int
    """Bytes expected; only steers how files are grouped."""
    open: Callable[[], Reader]
    """Called once, when its turn comes; what it returns is closed if it has `close`."""


@dataclass(frozen=True, slots=True)
class KnownChunk:
    """A duplicate: what the own manifest of a living version says of it."""

    entry: DirectoryEntry
    key: bytes
    """The chunk's key, 32 bytes."""

    @override
    def __repr__(self) -> str:
        return f"KnownChunk({self.entry.chunk.hex()[:16]}…)"


@dataclass(frozen=True, slots=True)
class UploadChunk:
    """A new chunk, sealed, on its way to the own node."""

    chunk: ChunkId
    fingerprint: bytes
    sealed: bytes


@dataclass(slots=True)
class Counters:
    """What went in and what came of it."""

    files: int = 0
    plain_bytes: int = 0
    chunks: int = 0
    """Places in the sequence."""
    chunks_duplicate: int = 0
    """Of them, known before or met earlier in this version."""
    duplicate_bytes: int = 0
    sealed_bytes: int = 0
    """Of new chunks, after compression and sealing."""


class Lookup(Protocol):
    """Asks the own node, and the manifests it names, which chunks can be used again."""

    def __call__(self, chunks: Sequence[ChunkId], /) -> Sequence[KnownChunk | None]:
        """Return for each chunk (at most LOOKUP_DIGESTS_MAX) what is known of it, or None."""
        ...


class Spread(Protocol):
    """`map`, or a pool's `map`: keeps the order."""

    def __call__(self, function: Callable[[Any], Any], items: Iterable[Any], /) -> Iterable[Any]:
        """Return function(item) for each item, in order."""
        ...


class Ingest:
    """One version on its way in: drain `batches()`, then take `finish()`."""

    def __init__(
        self,
        keys: DedupKeys,
        lookup: Lookup,
        random_bytes: Callable[[int], bytes],
        *,
        profile: Profile = "md5+sha1",
        spread: Spread = map,
    ) -> None:
        """Prepare.

        Args:
            keys: of the organisation.
            lookup: answers which chunks can be used again.
            random_bytes: unpredictable bytes, for chunk keys and nonces.
            profile: the alliance's fingerprint profile.
            spread: `map`, or the `map` of a pool of threads.
        """
        self.counters = Counters()
        self._keys = keys
        self._lookup = lookup
        self._random_bytes = random_bytes
        self._profile = profile
        self._spread = spread
        self._partitioner = Partitioner(keys.chunker_seed)
        self._files: list[FileEntry] = []
        self._places: dict[ChunkId, int] = {}
        self._entries: list[DirectoryEntry] = []
        self._chunk_keys: list[bytes] = []
        self._sequence: list[int] = []

    def batches(self, files: Iterable[SourceFile]) -> Iterator[list[UploadChunk]]:
        """Yield new chunks in batches that one upload takes.

        A batch has at most UPLOAD_BATCH_BYTES_MAX sealed bytes and LOOKUP_DIGESTS_MAX chunks. One
        that was yielded must be durable at the node before the manifest is uploaded.

        Raises:
            InvalidError: too many files, or a name that cannot be used.
        """
        batch: list[UploadChunk] = []
        batch_bytes = 0
        for window in self._windows(files):
            for upload in self._take(window):
                is_full = batch_bytes + len(upload.sealed) > limits.UPLOAD_BATCH_BYTES_MAX
                if is_full or len(batch) == limits.LOOKUP_DIGESTS_MAX:
                    yield batch
                    batch, batch_bytes = [], 0
                batch.append(upload)
                batch_bytes += len(upload.sealed)
        if batch:
            yield batch

    def finish(self) -> tuple[Contents, Directory]:
        """Return both parts of the manifest; for `build_manifest`.

        Raises:
            InvalidError: two names collide.
        """
        validate_names([file.name for file in self._files])
        chunks = [
            ContentChunk(entry.chunk, key, entry.sealed_bytes, entry.plain_bytes)
            for entry, key in zip(self._entries, self._chunk_keys, strict=True)
        ]
        contents = Contents.of(self._files, chunks, self._sequence)
        directory = Directory.of(contents.content_bytes(), len(self._files), self._entries)
        return contents, directory

    def _windows(self, files: Iterable[SourceFile]) -> Iterator[list[bytes]]:
        """Yield plain chunks, some _WINDOW_BYTES at a time."""
        window: list[bytes] = []
        size = 0
        for run in _group(files):
            with closing(_Stream(run, self._note_file)) as stream:
                for chunk in self._partitioner.partition(stream):
                    window.append(chunk)
                    size += len(chunk)
                    if size >= _WINDOW_BYTES:
                        yield window
                        window, size = [], 0
        if window:
            yield window

    def _note_file(self, entry: FileEntry) -> None:
        if len(self._files) >= limits.FILES_PER_VERSION_MAX:
            raise InvalidError(f"A version holds at most {limits.FILES_PER_VERSION_MAX} files.")
        validate_names([entry.name])
        self._files.append(entry)
        self.counters.files += 1
        self.counters.plain_bytes += entry.size

    def _take(self, window: list[bytes]) -> list[UploadChunk]:
        """Place a window's chunks in the version; return those that are new, sealed."""
        chunk_ids = self._each(lambda chunk: compute_chunk_id(self._keys, chunk), window)
        plain = {
            chunk_id: chunk
            for chunk_id, chunk in zip(chunk_ids, window, strict=True)
            if chunk_id not in self._places
        }
        fresh = self._use_known(plain)
        uploads = self._seal(fresh, plain)
        for chunk_id, chunk in zip(chunk_ids, window, strict=True):
            self._sequence.append(self._places[chunk_id])
            self.counters.chunks += 1
            if chunk_id in fresh:
                fresh.discard(chunk_id)
            else:
                self.counters.chunks_duplicate += 1
                self.counters.duplicate_bytes += len(chunk)
        return uploads

    def _use_known(self, plain: dict[ChunkId, bytes]) -> set[ChunkId]:
        """Place every chunk of a window in order of occurrence; return those to be sealed."""
        asked = list(plain)
        fresh: set[ChunkId] = set()
        for chunk_id, known in zip(asked, self._lookup(asked), strict=True):
            self._places[chunk_id] = len(self._entries)
            length = len(plain[chunk_id])
            # What another manifest says is believed only as far as it fits these very bytes.
            if (
                known is not None
                and known.entry.chunk == chunk_id
                and known.entry.plain_bytes == length
            ):
                self._entries.append(known.entry)
                self._chunk_keys.append(known.key)
            else:
                fresh.add(chunk_id)
                self._entries.append(DirectoryEntry(chunk_id, b"", 0, length))
                self._chunk_keys.append(b"")
        return fresh

    def _seal(self, fresh: set[ChunkId], plain: dict[ChunkId, bytes]) -> list[UploadChunk]:
        """Fingerprint, compress and seal new chunks, and complete their entries."""
        jobs = [
            (chunk_id, plain[chunk_id], self._random_bytes(SECRET_BYTES))
            for chunk_id in plain
            if chunk_id in fresh
        ]
        uploads: list[UploadChunk] = []
        for (chunk_id, chunk, secret), (upload, sealed_digest) in zip(
            jobs, self._each(self._seal_one, jobs), strict=True
        ):
            place = self._places[chunk_id]
            self._entries[place] = DirectoryEntry(
                chunk_id, sealed_digest, len(upload.sealed), len(chunk)
            )
            self._chunk_keys[place] = secret[:KEY_BYTES]
            self.counters.sealed_bytes += len(upload.sealed)
            uploads.append(upload)
        return uploads

    def _seal_one(self, job: tuple[ChunkId, bytes, bytes]) -> tuple[UploadChunk, bytes]:
        chunk_id, chunk, secret = job
        sealed = seal_chunk(chunk_id, chunk, secret[:KEY_BYTES], secret[KEY_BYTES:])
        fingerprint = compute_fingerprint(self._keys, chunk, self._profile)
        return UploadChunk(chunk_id, fingerprint, sealed), compute_sealed_digest(sealed)

    def _each(self, function: Callable[[Any], Any], items: list[Any]) -> list[Any]:
        """Apply a function to all items, a share at a time, on the caller's workers."""
        shares = [items[at : at + _SHARE_CHUNKS] for at in range(0, len(items), _SHARE_CHUNKS)]
        done = self._spread(lambda share: [function(item) for item in share], shares)
        return [result for share in done for result in share]


def _group(files: Iterable[SourceFile]) -> Iterator[Iterator[SourceFile]]:
    """Yield runs of files: each large one alone, neighbouring small ones together."""
    source = iter(files)
    held = next(source, None)

    def small() -> Iterator[SourceFile]:
        nonlocal held
        while held is not None and held.size_hint < limits.CHUNK_BYTES_MAX:
            file, held = held, next(source, None)
            yield file

    while held is not None:
        if held.size_hint < limits.CHUNK_BYTES_MAX:
            yield small()
        else:
            file, held = held, next(source, None)
            yield iter((file,))


class _Stream:
    """Reads a run of files as one, and notes each as it ends."""

    def __init__(self, files: Iterator[SourceFile], note: Callable[[FileEntry], None]) -> None:
        self._files = files
        self._note = note
        self._current: SourceFile | None = None
        self._reader: Reader | None = None
        self._digest = blake3()
        self._size = 0

    def read(self, size: int, /) -> bytes:
        """Return up to `size` bytes of the run, none at its end."""
        while True:
            if self._current is None or self._reader is None:
                self._current = next(self._files, None)
                if self._current is None:
                    return b""
                self._reader = self._current.open()
                self._digest, self._size = blake3(), 0
            data = self._reader.read(size)
            if data:
                self._digest.update(data)
                self._size += len(data)
                return data
            entry = FileEntry(self._current.name, self._size, self._digest.digest())
            self.close()
            self._note(entry)

    def close(self) -> None:
        """Close the file being read, if any."""
        close = getattr(self._reader, "close", None)
        self._current = self._reader = None
        if close is not None:
            close()
