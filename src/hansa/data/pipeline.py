"""Pipeline of the way in: partition → digest → known? → fingerprint → compress, seal → batches.

Pure generators: the caller gives the lookup, the random bytes and a `map`-like function that may run
on threads (hashing, compression and the cipher release the interpreter lock). Windows of chunks follow
one another: while the workers seal one, the next is read, cut and looked up. Memory is bounded by the
windows under way and one batch of sealed chunks, besides the manifest's own lists (`builder.py`).
"""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from itertools import chain
from typing import Any, Protocol

from hansa import limits
from hansa.crypto.sealing import KEY_BYTES
from hansa.data.builder import VersionBuilder
from hansa.data.chooser import DictionaryChooser, Proposal
from hansa.data.chunk import SECRET_BYTES, compute_sealed_digest, seal_chunk
from hansa.data.compression import PLAIN_PACKER, Packer
from hansa.data.fingerprint import Hmacs, Profile, compute_chunk_id, compute_fingerprints
from hansa.data.keys import DedupKeys
from hansa.data.known import Dictionary, KnownChunk
from hansa.data.manifest import Contents, Directory, DirectoryEntry
from hansa.data.partition import Partitioner
from hansa.data.stream import SourceFile, Stream, group
from hansa.errors import HansaError
from hansa.types import ChunkId

_WINDOW_BYTES = 8 * limits.MIB
"""Plain bytes looked up at once: a question to the table costs the same for few chunks as for many."""
_WINDOWS_SEALING_MAX = 2
"""Windows whose chunks are being sealed while the next one is taken."""
_NAMED_AT_ONCE = 32
_SEALED_AT_ONCE = 32
"""Chunks handed to a worker at once, some 2 MiB: threads only pay with enough work in hand, and twice as many
chunks as lanes keep these filled while long and short ones end."""

Window = list[memoryview]


@dataclass(frozen=True, slots=True)
class UploadChunk:
    """A new chunk, sealed, on its way to the own node."""

    chunk: ChunkId
    fingerprint: bytes
    sealed: bytes
    sealed_digest: bytes = b""
    """BLAKE3 of `sealed` where the pipeline of this process computed it; another's is not believed."""


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
    """`map`, or a pool's `map`: keeps the order. A pool's begins before it is asked for results."""

    def __call__(self, function: Callable[[Any], Any], items: Iterable[Any], /) -> Iterable[Any]:
        """Return function(item) for each item, in order."""
        ...


@dataclass(frozen=True, slots=True)
class _Job:
    """A chunk to be sealed."""

    chunk_id: ChunkId
    plain: memoryview
    secret: bytes
    """Key ‖ nonce."""
    packer: Packer
    dictionary: Dictionary | None
    """The packer's."""


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
        hmacs: Hmacs | None = None,
    ) -> None:
        """Prepare.

        Args:
            keys: of the organisation.
            lookup: answers which chunks can be used again.
            random_bytes: unpredictable bytes, for chunk keys and nonces.
            profile: the alliance's fingerprint profile.
            spread: `map`, or the `map` of a pool of threads.
            hmacs: what fingerprints many chunks faster than one by one, if there is anything.
        """
        self.counters = Counters()
        self._keys = keys
        self._lookup = lookup
        self._random_bytes = random_bytes
        self._profile = profile
        self._spread = spread
        self._hmacs = hmacs
        self._partitioner = Partitioner(keys.chunker_seed)
        self._builder = VersionBuilder()
        self._chooser = DictionaryChooser(random_bytes)
        self._dictionary: Dictionary | None = None
        """The one that new chunks are compressed with."""

    def batches(self, files: Iterable[SourceFile]) -> Iterator[list[UploadChunk]]:
        """Yield new chunks in batches that one upload takes.

        A batch has at most UPLOAD_BATCH_BYTES_MAX sealed bytes and LOOKUP_DIGESTS_MAX chunks. One
        that was yielded must be durable at the node before the manifest is uploaded.

        Raises:
            InvalidError: too many files.
        """
        batch: list[UploadChunk] = []
        batch_bytes = 0
        for upload in self._uploads(files):
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
            InvalidError: a name cannot be used, or two collide.
        """
        return self._builder.finish()

    def _uploads(self, files: Iterable[SourceFile]) -> Iterator[UploadChunk]:
        """Yield new chunks, sealed, in order."""
        named: tuple[Window, Iterable[ChunkId]] | None = None
        sealing: deque[Iterator[UploadChunk]] = deque()
        with closing(self._read_ahead(self._windows(files))) as windows:
            for window in chain(windows, (None,)):
                # The next window's ids are under way while those of the last one are used.
                following = (
                    None
                    if window is None
                    else (window, self._each_share(self._name_all, window, _NAMED_AT_ONCE))
                )
                if named is not None:
                    sealing.append(self._take(named[0], list(named[1])))
                named = following
                while len(sealing) > (0 if window is None else _WINDOWS_SEALING_MAX):
                    yield from sealing.popleft()

    def _read_ahead(self, windows: Generator[Window, None, None]) -> Generator[Window, None, None]:
        """Yield windows; a worker reads and cuts the next one while the last one is used."""
        is_over = False

        def read(_: None) -> Window | None:
            return None if is_over else next(windows, None)

        coming = iter(self._spread(read, (None,)))
        try:
            while (window := next(coming)) is not None:
                coming = iter(self._spread(read, (None,)))
                yield window
        finally:
            is_over = True
            # What a worker reads just now must end before its file can be closed; how, nobody asks.
            with suppress(HansaError, OSError):
                next(coming, None)
            windows.close()

    def _windows(self, files: Iterable[SourceFile]) -> Generator[Window, None, None]:
        """Yield plain chunks, some _WINDOW_BYTES at a time."""
        window: Window = []
        size = 0
        for run in group(files):
            with closing(Stream(run.files, self._note_file)) as stream:
                for chunk in self._partitioner.partition(stream, run.size_hint):
                    window.append(chunk)
                    size += len(chunk)
                    if size >= _WINDOW_BYTES:
                        yield window
                        window, size = [], 0
        if window:
            yield window

    def _note_file(self, name: str, size: int, digest: bytes) -> None:
        self._builder.add_file(name, size, digest)
        self.counters.files += 1
        self.counters.plain_bytes += size

    def _name_all(self, chunks: Sequence[memoryview]) -> list[ChunkId]:
        return [compute_chunk_id(self._keys, chunk) for chunk in chunks]

    def _take(self, window: Window, chunk_ids: list[ChunkId]) -> Iterator[UploadChunk]:
        """Place a window's chunks in the version; return those that are new, as they are sealed."""
        counters = self.counters
        first: dict[ChunkId, memoryview] = {}
        for chunk_id, chunk in zip(chunk_ids, window, strict=True):
            counters.chunks += 1
            if self._builder.place(chunk_id, len(chunk)):
                first[chunk_id] = chunk
            else:
                counters.chunks_duplicate += 1
                counters.duplicate_bytes += len(chunk)
        fresh = self._use_known(first)
        uploads: list[UploadChunk] = []
        if fresh:
            new_bytes = sum(map(len, fresh.values()))
            proposal = self._chooser.propose(window, chunk_ids, new_bytes)
            if proposal is not None:
                uploads = self._add_dictionary(proposal)
        jobs = self._jobs(fresh)
        return chain(uploads, self._complete(self._each_share(self._seal, jobs, _SEALED_AT_ONCE)))

    def _use_known(self, first: dict[ChunkId, memoryview]) -> dict[ChunkId, memoryview]:
        """Complete what living versions have; return what is new."""
        counters = self.counters
        fresh: dict[ChunkId, memoryview] = {}
        used: Dictionary | None = None
        asked = list(first)
        for chunk_id, known in zip(asked, self._lookup(asked), strict=True):
            chunk = first[chunk_id]
            if known is not None and self._is_usable(known, chunk_id, chunk):
                self._builder.complete(known)
                counters.chunks_duplicate += 1
                counters.duplicate_bytes += len(chunk)
                used = known.dictionary or used
            else:
                fresh[chunk_id] = chunk
        if fresh and used is not None and used.plain:
            self._chooser.adopt(used)
            self._dictionary = used
        return fresh

    def _is_usable(self, known: KnownChunk, chunk_id: ChunkId, chunk: memoryview) -> bool:
        """Tell whether what another manifest says fits these very bytes, and may be used here."""
        if known.entry.chunk != chunk_id or known.entry.plain_bytes != len(chunk):
            return False
        return known.dictionary is None or self._admit(known.dictionary)

    def _admit(self, dictionary: Dictionary) -> bool:
        """List another version's dictionary if this one may: it reads nothing it does not hold itself."""
        if self._builder.has_dictionary(dictionary):
            return True
        if not self._builder.is_covered(dictionary):
            return False
        # Asked for, so that the node keeps it for this upload.
        held = self._lookup([known.entry.chunk for known in dictionary.chunks])
        are_held = all(
            found is not None and found.entry == known.entry
            for found, known in zip(held, dictionary.chunks, strict=True)
        )
        return are_held and self._builder.add_dictionary(dictionary)

    def _add_dictionary(self, proposal: Proposal) -> list[UploadChunk]:
        """Seal and list a dictionary of this version's own, and use it from here on."""
        pieces = [memoryview(piece) for piece in proposal.pieces]
        jobs = [
            _Job(chunk_id, plain, self._random_bytes(SECRET_BYTES), PLAIN_PACKER, None)
            for chunk_id, plain in zip(self._name_all(pieces), pieces, strict=True)
        ]
        sealed = self._seal(jobs)
        uploads = [upload for upload, _ in sealed]
        chunks = [known for _, known in sealed]
        dictionary = Dictionary(chunks, proposal.covers, plain=proposal.plain)
        # What stands earlier in this version in another order is no cover here.
        if not self._builder.is_covered(dictionary):
            return []
        if not self._builder.add_dictionary(dictionary):
            return []
        self.counters.sealed_bytes += sum(len(upload.sealed) for upload in uploads)
        self._chooser.adopt(dictionary)
        self._dictionary = dictionary
        return uploads

    def _jobs(self, fresh: dict[ChunkId, memoryview]) -> list[_Job]:
        secrets = self._random_bytes(SECRET_BYTES * len(fresh))
        packer, dictionary = self._chooser.packer, self._dictionary
        return [
            _Job(chunk_id, chunk, secrets[at : at + SECRET_BYTES], packer, dictionary)
            for at, (chunk_id, chunk) in zip(
                range(0, len(secrets), SECRET_BYTES), fresh.items(), strict=True
            )
        ]

    def _complete(self, done: Iterable[tuple[UploadChunk, KnownChunk]]) -> Iterator[UploadChunk]:
        """Write down how chunks were sealed, as they come."""
        for upload, known in done:
            self._builder.complete(known)
            self.counters.sealed_bytes += len(upload.sealed)
            yield upload

    def _seal(self, jobs: Sequence[_Job]) -> list[tuple[UploadChunk, KnownChunk]]:
        """Fingerprint, compress and seal new chunks."""
        plains = [job.plain for job in jobs]
        fingerprints = compute_fingerprints(self._keys, plains, self._profile, self._hmacs)
        done: list[tuple[UploadChunk, KnownChunk]] = []
        for job, fingerprint in zip(jobs, fingerprints, strict=True):
            key, nonce = job.secret[:KEY_BYTES], job.secret[KEY_BYTES:]
            sealed = seal_chunk(job.chunk_id, job.plain, key, nonce, job.packer)
            digest = compute_sealed_digest(sealed)
            entry = DirectoryEntry(job.chunk_id, digest, len(sealed), len(job.plain))
            upload = UploadChunk(job.chunk_id, fingerprint, sealed, digest)
            done.append((upload, KnownChunk(entry, key, job.dictionary)))
        return done

    def _each_share(
        self, function: Callable[[list[Any]], list[Any]], items: list[Any], at_once: int
    ) -> Iterator[Any]:
        """Apply a function to shares of so many items each, on the caller's workers."""
        shares = [items[at : at + at_once] for at in range(0, len(items), at_once)]
        return chain.from_iterable(self._spread(function, shares))
