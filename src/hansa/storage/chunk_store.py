"""Chunk store: the node's side of an upload. Durable when acknowledged, packed when there is enough.

Upon put: check, write to the segment of the cluster's pack to be, sync, note the address, answer. Upon
a full segment: complete it to a pack, give it to the store, move its addresses in one step of the
table, then drop the segment; uploads go to the next one meanwhile. A crash between any two steps is
made good at open, because each later place can be told from the earlier one (`recovery`).

A chunk's address is looked up by its sealed digest when it is needed; no manifest holds addresses, so
a pack may be sealed, rewritten or moved without touching a manifest.
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor

from hansa import limits
from hansa.data.chunk import compute_sealed_digest
from hansa.data.fingerprint import FINGERPRINT_BYTES
from hansa.data.hash_index_table import StoredChunk
from hansa.data.pipeline import UploadChunk
from hansa.errors import ConflictError, CorruptError, HansaError, InvalidError
from hansa.ports import Clock, Entropy, Store, Table
from hansa.storage.addresses import Addresses, Alive, Damage, PackRow
from hansa.storage.journal import Journal
from hansa.storage.names import name_pack
from hansa.storage.pack import PackEntry
from hansa.storage.reading import read_many
from hansa.storage.recovery import recover
from hansa.storage.rewriting import Rewriting
from hansa.storage.segment import Segment
from hansa.types import Address, Millis


class ChunkStore:
    """Sealed chunks of one organisation, at its own node. Thread-safe."""

    def __init__(
        self,
        store: Store,
        journal: Journal,
        table: Table,
        directory_key: bytes,
        entropy: Entropy,
        *,
        clock: Clock,
        readers: Executor | None = None,
    ) -> None:
        """Open, and make good what a crash left between two steps.

        Args:
            store: where packs go; the organisation's own root.
            journal: on the node's own disk.
            table: on the node's own disk; may be new: it is filled from packs and journal. Living
                versions must then be bound again (`VersionStore.rebuild`).
            directory_key: the organisation's directory key, 32 bytes.
            entropy: names journal segments.
            clock: for how long fresh chunks are kept from collection.
            readers: threads for questions that read at several places; nobody else's.

        Raises:
            UnavailableError: the store cannot be listed.
        """
        self.store = store
        self.journal = journal
        self.table = table
        self.directory_key = directory_key
        self.addresses = Addresses(store, journal, table, clock)
        self.index = self.addresses.index
        self.when_full: Callable[[], None] | None = None
        """Called from any thread when a segment waits to be sealed; None: uploads seal themselves."""
        self.admit: Callable[[int], None] | None = None
        """Asked before so many new bytes are written; raises if they may not be: a quota."""
        self.trouble = ""
        """Why the last sealing failed; empty if it did not."""
        self._entropy = entropy
        self._readers = readers
        self.rewriting = Rewriting(self.addresses, self._append, directory_key)
        recover(self.addresses, directory_key)

    def close(self) -> None:
        """Let go of the journal's files; save what lets the next open be quick."""
        self.journal.close()
        # It is a cache of the table's own rows: without it the next open reads more of them.
        with contextlib.suppress(HansaError):
            self.index.close()

    # --- in -------------------------------------------------------------------------------------

    def put(
        self,
        chunks: Sequence[UploadChunk],
        cluster: int,
        digests: Sequence[bytes] | None = None,
    ) -> list[bytes]:
        """Take chunks; they are durable when this returns. Idempotent.

        Args:
            chunks: at most UPLOAD_BATCH_BYTES_MAX sealed bytes.
            cluster: label of the index cluster nearest to their dataset; decides which pack.
            digests: the sealed digest of each, where this very process computed it from these
                bytes; never what another says of them.

        Returns:
            The sealed digest of each chunk, 32 bytes: what the manifest names it by.

        Raises:
            InvalidError: a length is impossible.
            DiskFullError, StoreQuotaError: nothing of this call was taken.
            UnavailableError: too much waits to be sealed, and the store cannot take it.
        """
        for chunk in chunks:
            _check_upload(chunk)
        if digests is None:
            digests = [compute_sealed_digest(chunk.sealed) for chunk in chunks]
        size = sum(len(chunk.sealed) for chunk in chunks)
        if size > limits.UPLOAD_BATCH_BYTES_MAX or len(chunks) > limits.LOOKUP_DIGESTS_MAX:
            raise InvalidError("An upload carries too much.", remedy="Send smaller batches.")
        if not -(1 << 31) <= cluster < 1 << 31:
            raise InvalidError("A cluster's label is out of range.")
        fresh: dict[bytes, UploadChunk] = {}
        kept: set[bytes] = set()
        with self.addresses.lock:
            # One question for all: asked one by one, it would cost more than storing them.
            found = self.index.locate_many(digests)
            for digest, chunk, stored in zip(digests, chunks, found, strict=True):
                pack = self._holder(chunk, stored)
                if pack is None:
                    fresh[digest] = chunk
                else:
                    kept.add(pack)
            self.addresses.keep_fresh(kept)
        if fresh:
            if self.admit is not None:
                self.admit(sum(len(chunk.sealed) for chunk in fresh.values()))
            self._relieve()
            self._append(list(fresh.values()), list(fresh), cluster)
            if self.when_full is None:
                # It is durable: a store that fails now is told by `trouble`, and tried again.
                with contextlib.suppress(HansaError):
                    self.seal_full()
        return list(digests)

    def flush(self, cluster: int | None = None) -> int:
        """Seal the packs begun, of one cluster or of all, however small; return how many.

        Raises:
            DiskFullError, UnavailableError, DeniedError: the store did not take one; all chunks are
                durable and readable where they were, and the next call tries again.
        """
        return self._seal_all(lambda segment: cluster in (None, segment.cluster))

    def seal_full(self) -> int:
        """Seal the segments that are full; return how many. Raises as `flush`."""
        return self._seal_all(lambda segment: segment.is_full)

    def waiting_bytes(self) -> int:
        """Return the bytes of the journal's records: what is durable, and in no pack yet."""
        return sum(segment.size for segment in self.journal.list() if segment.records)

    # --- out ------------------------------------------------------------------------------------

    def locate(self, sealed_digest: bytes) -> StoredChunk:
        """See `Addresses.locate`."""
        return self.addresses.locate(sealed_digest)

    def locate_many(self, sealed_digests: Sequence[bytes]) -> list[StoredChunk]:
        """See `Addresses.locate_many`."""
        return self.addresses.locate_many(sealed_digests)

    def read(self, address: Address) -> bytes:
        """See `Addresses.read`."""
        return self.addresses.read(address)

    def read_many(self, addresses: Sequence[Address]) -> list[memoryview]:
        """Return the bytes at many addresses with few positioned reads; raises as `read`."""
        return read_many(self.addresses, addresses, self._readers)

    def is_alive(self, stored: StoredChunk, alive: Alive) -> bool:
        """See `Addresses.is_alive`."""
        return self.addresses.is_alive(stored, alive)

    def mark_damaged(self, sealed_digests: Iterable[bytes]) -> None:
        """See `Addresses.mark_damaged`."""
        self.addresses.mark_damaged(sealed_digests)

    def forget_healed(self) -> None:
        """See `Addresses.forget_healed`."""
        self.addresses.forget_healed()

    def packs(self) -> Iterator[tuple[bytes, PackRow]]:
        """Yield the name and facts of every sealed pack."""
        return self.addresses.packs()

    def fresh_until(self, pack: bytes) -> Millis:
        """See `Addresses.fresh_until`."""
        return self.addresses.fresh_until(pack)

    @property
    def damages(self) -> list[Damage]:
        """Return what was found wrong at open or at sealing; `check` reports it again."""
        return self.addresses.damages

    # --- for collection and repair --------------------------------------------------------------

    def entries(self, root: bytes) -> tuple[PackEntry, ...]:
        """See `Rewriting.entries`."""
        return self.rewriting.entries(root)

    def rewrite(
        self, roots: Iterable[bytes], is_wanted: Callable[[bytes], bool], cluster: int
    ) -> int:
        """See `Rewriting.rewrite`."""
        return self.rewriting.rewrite(roots, is_wanted, cluster)

    def forget(self, sealed_digests: Sequence[bytes]) -> list[bytes]:
        """See `Rewriting.forget`."""
        return self.rewriting.forget(sealed_digests)

    def drop_pack(self, root: bytes) -> bool:
        """See `Rewriting.drop_pack`."""
        return self.rewriting.drop_pack(root)

    def packed_bytes(self) -> int:
        """Return the bytes of all packs."""
        return self.rewriting.packed_bytes()

    # --- inside ---------------------------------------------------------------------------------

    def _holder(self, chunk: UploadChunk, stored: StoredChunk | None) -> bytes | None:
        """Return the pack or segment that holds the same sealed bytes for this chunk id, or None."""
        if stored is None:
            return None
        if stored.chunk != chunk.chunk:
            raise ConflictError("These sealed bytes are stored under another chunk id.")
        return stored.address.pack if self.is_alive(stored, Alive()) else None

    def _append(
        self, chunks: Sequence[UploadChunk], digests: Sequence[bytes], cluster: int
    ) -> None:
        """Make chunks durable in a segment of the cluster and note them."""
        size = sum(len(chunk.sealed) for chunk in chunks)
        while True:
            segment = self._segment_for(cluster, len(chunks), size)
            segment.fresh_until_ms = self.addresses.fresh_from_now()
            batch = segment.write(chunks, digests)
            # None: another upload took the room, or its sealing began, since it was chosen.
            if batch is not None:
                segment.commit(batch, self.addresses.note)
                return

    def _segment_for(self, cluster: int, chunks: int, size: int) -> Segment:
        """Return a segment with room; those of the cluster that have none are handed over."""
        handed_over = False
        with self.addresses.lock:
            found = None
            for segment in self.journal.list():
                if segment.cluster != cluster or segment.is_closed or segment.is_full:
                    continue
                if segment.has_room(chunks, size):
                    found = segment
                else:
                    segment.is_full = handed_over = True
            if found is None:
                begun = [s for s in self.journal.list() if not s.is_full]
                if len(begun) >= limits.JOURNAL_SEGMENTS_MAX:
                    max(begun, key=lambda segment: segment.size).is_full = handed_over = True
                found = self.journal.begin(cluster, self._entropy.random_bytes(32))
        if handed_over and self.when_full is not None:
            self.when_full()
        return found

    def _relieve(self) -> None:
        """Seal a full segment if too much waits: who brings more waits with it.

        Raises:
            HansaError: the store does not take it.
        """
        full = [segment for segment in self.journal.list() if segment.is_full]
        waiting = sum(segment.size for segment in full)
        files = len(self.journal.segments)
        if full and (
            waiting > limits.JOURNAL_WAITING_BYTES_MAX or files > 2 * limits.JOURNAL_SEGMENTS_MAX
        ):
            self._seal(full[0])

    def _seal_all(self, is_wanted: Callable[[Segment], bool]) -> int:
        return sum(self._seal(segment) for segment in self.journal.list() if is_wanted(segment))

    def _seal(self, segment: Segment) -> bool:
        """Turn a segment into a pack: pack durable, then addresses moved, then segment dropped."""
        with segment.sealing:
            if segment.segment_id not in self.journal.segments:
                return False  # Somebody else was faster.
            try:
                segment.freeze(self.addresses.note)
                if not segment.records and not segment.is_closed:
                    segment.is_full = False
                    return False
                is_pack = self._make_pack(segment)
            except HansaError as error:
                self.trouble = error.message
                raise
            self.trouble = ""
            return is_pack

    def _make_pack(self, segment: Segment) -> bool:
        if not any(self.addresses.is_current(segment, record) for record in segment.records):
            self.addresses.drop_segment(segment)
            return False
        try:
            if segment.is_closed:
                self._evacuate(segment)
                return False
            footer = segment.finish(self.directory_key)
        except CorruptError:
            self._evacuate(segment)
            return False
        assert segment.root is not None
        with self.addresses.placing(segment.root):
            self.store.put_file(name_pack(segment.root), segment.path)
            self.addresses.adopt(segment.root, footer, segment.segment_id)
        self.addresses.drop_segment(segment)
        return True

    def _evacuate(self, segment: Segment) -> None:
        """Move the sound chunks of a segment that can be no pack to another; put it aside."""
        segment.is_closed = True
        lost = 0
        for record in segment.records:
            if not self.addresses.is_current(segment, record):
                continue
            if not segment.is_sound(record):
                lost += 1
                continue
            sealed = segment.read(record.offset, record.length)
            chunk = UploadChunk(record.chunk, record.fingerprint, sealed)
            self._append([chunk], [record.sealed_digest], segment.cluster)
        if lost:
            segment.damage = segment.damage or f"{lost} chunks are not what was recorded"
            self.addresses.report(
                "journal", segment.path.name, f"Acknowledged data: {segment.damage}."
            )
        self.addresses.drop_segment(segment)


def _check_upload(chunk: UploadChunk) -> None:
    if len(chunk.chunk) != 32 or len(chunk.fingerprint) not in (0, FINGERPRINT_BYTES):
        raise InvalidError("An uploaded chunk's id or fingerprint has a wrong length.")
    if not 0 < len(chunk.sealed) <= limits.SEALED_CHUNK_BYTES_MAX:
        raise InvalidError("An uploaded chunk's length is impossible.")
