"""Segment: a pack in the making, on the node's own disk.

Two files. The *body* has a pack's layout already: header, then sealed chunks back to back; the *log*
names the chunks that are acknowledged (`segment_log`). Upon an upload: chunks written to the body; body
synced; batch written to the log; log synced; then answered. Uploads at the same time share those
syncs. Upon sealing: footer and trailer are appended, and the body is the pack; nothing is copied.

The digest tree of the pack's name is kept up from the bytes in memory, so that what the disk changes
behind our back never gets a name that fits. After a restart it is computed from the body, and each
chunk is compared with its digest then. A failed sync closes a segment to writing for good.
"""

import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from hansa import limits
from hansa.data.chunk import compute_sealed_digest
from hansa.data.pipeline import UploadChunk
from hansa.errors import CorruptError, HansaError, MissingError, UnavailableError
from hansa.storage.disk import (
    cut_file,
    disk_errors,
    explain,
    read_exactly,
    sync_file,
    write_all,
    write_pieces,
)
from hansa.storage.pack import (
    FOOTER_ENTRY_BYTES_MAX,
    HEADER,
    PackEntry,
    PackFooter,
    PackHasher,
    encode_tail,
)
from hansa.storage.segment_log import HEADER_BYTES, Record, encode_batch
from hansa.types import Digest

SPARE_BYTES = 4_096
"""Room kept for what the footer and the trailer take beside their entries."""
Note = Callable[["Segment", list[Record]], None]
"""note(segment, records): told once records are durable, before anybody is answered."""


class Batch:
    """One upload on its way into a segment."""

    __slots__ = ("error", "is_done", "records")

    def __init__(self, records: list[Record]) -> None:
        """Take where its chunks were written."""
        self.records = records
        self.is_done = False
        self.error: OSError | HansaError | None = None


class Segment:
    """An unsealed pack on disk. Thread-safe."""

    def __init__(self, segment_id: bytes, cluster: int, path: Path, log_path: Path) -> None:
        """Take the names of two files that exist; `Journal` makes and loads them."""
        self.segment_id = segment_id
        """32 random bytes: stands for the pack's name in addresses until it has one."""
        self.cluster = cluster
        self.path = path
        """The body."""
        self.log_path = log_path
        self.size = len(HEADER)
        """Durable, acknowledged bytes of the body."""
        self.log_bytes = HEADER_BYTES
        self.batches = 0
        self.records: list[Record] = []
        self.is_closed = False
        """Takes no more: damaged, or a sync failed."""
        self.is_full = False
        """Takes no more: waits for its sealing."""
        self.damage = ""
        """What was found wrong at open, for `check`."""
        self.is_body_gone = False
        """At open the log was there and the body was not: it was sealed, or lost."""
        self.root: Digest | None = None
        """Once the pack's bytes are complete: its name."""
        self.fresh_until_ms = 0
        """Until then nothing in it is collected: an upload may be about to use it."""
        self.sealing = threading.Lock()
        """Held by the one who seals it."""
        self._writing = threading.Lock()
        self._committing = threading.Lock()
        self._written = self.size
        self._entries = 0
        self._pending: list[Batch] = []
        self._hasher: PackHasher | None = None
        self._body = self._log = -1

    def load(self, size: int, log_bytes: int, batches: int, records: list[Record]) -> None:
        """Take what was found at open."""
        self.size = self._written = size
        self.log_bytes, self.batches = log_bytes, batches
        self.records, self._entries = records, len(records)

    def has_room(self, chunks: int, sealed_bytes: int) -> bool:
        """Tell whether an upload would fit and the segment takes any."""
        entries = (self._entries + chunks) * FOOTER_ENTRY_BYTES_MAX
        is_open = not (self.is_closed or self.is_full)
        return (
            is_open
            and self._written + sealed_bytes + entries + SPARE_BYTES <= limits.PACK_BYTES_MAX
        )

    def write(self, chunks: Sequence[UploadChunk], digests: Sequence[bytes]) -> Batch | None:
        """Write chunks to the body, not yet durable; None if they do not fit any more.

        Raises:
            DiskFullError, UnavailableError: none of them was taken.
        """
        pieces = [chunk.sealed for chunk in chunks]
        with self._writing, disk_errors("the journal"):
            if not self.has_room(len(chunks), sum(map(len, pieces))):
                return None
            self._open()
            base = self._written
            try:
                write_pieces(self._body, pieces, base)
            except OSError:
                # What stays behind the end if this fails too is overwritten, or cut at open.
                cut_file(self._body, base)
                raise
            records: list[Record] = []
            for chunk, digest in zip(chunks, digests, strict=True):
                length = len(chunk.sealed)
                records.append(
                    Record(chunk.chunk, chunk.fingerprint, self._written, length, digest)
                )
                self._written += length
            self._hash(base, pieces)
            self._entries += len(records)
            batch = Batch(records)
            self._pending.append(batch)
            return batch

    def commit(self, batch: Batch, note: Note) -> None:
        """Make a written batch durable, together with those of others that wait.

        Raises:
            DiskFullError: none of it was taken.
            UnavailableError: the disk failed; the segment takes no more until the node restarts.
        """
        with self._committing:
            if not batch.is_done:
                self._commit_pending(note)
        if isinstance(batch.error, OSError):
            raise explain(batch.error, "the journal") from batch.error
        if batch.error is not None:
            raise batch.error

    def freeze(self, note: Note) -> None:
        """Take no more uploads, and settle those on their way."""
        with self._writing:
            self.is_full = True
        with self._committing:
            if self._pending:
                self._commit_pending(note)

    def read(self, offset: int, length: int) -> bytes:
        """Return bytes of the body.

        Raises:
            MissingError: the segment has just been packed.
            CorruptError: the file is shorter than what was acknowledged.
        """
        with disk_errors("the journal"):
            try:
                descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                raise MissingError("The segment has just been packed.") from None
            try:
                data = read_exactly(descriptor, offset, length)
            finally:
                os.close(descriptor)
        if len(data) != length:
            raise CorruptError("The journal is shorter than what was acknowledged.")
        return data

    def finish(self, directory_key: bytes) -> PackFooter:
        """Complete the frozen body to a pack, synced; set `root`. Repeatable.

        Raises:
            CorruptError: after a restart, a chunk is not what was recorded; see `is_sound`.
        """
        entries = tuple(
            PackEntry(r.chunk, r.fingerprint, r.sealed_digest, r.offset, r.length)
            for r in self.records
        )
        footer = PackFooter(2, self.cluster, self.segment_id, entries)
        if self.root is not None and not self.path.exists():
            return footer  # An earlier try had it renamed already.
        if self._hasher is None or self._hasher.bytes != self.size:
            self._hasher = self._rehash()
        tail = encode_tail(footer, directory_key)
        assert self.size + len(tail) <= limits.PACK_BYTES_MAX
        with disk_errors("the journal"):
            self._open()
            write_all(self._body, tail, self.size)
            cut_file(self._body, self.size + len(tail))
            sync_file(self._body)
        self.root = self._hasher.root(tail)
        return footer

    def is_sound(self, record: Record) -> bool:
        """Read a chunk and tell whether it is what was recorded."""
        try:
            sealed = self.read(record.offset, record.length)
        except CorruptError:
            return False
        return compute_sealed_digest(sealed) == record.sealed_digest

    def close(self) -> None:
        """Let go of the files."""
        with self._writing:
            for descriptor in (self._body, self._log):
                if descriptor >= 0:
                    os.close(descriptor)
            self._body = self._log = -1

    # --- inside ---------------------------------------------------------------------------------

    def _open(self) -> None:
        if self._body < 0:
            self._body = os.open(self.path, os.O_RDWR | os.O_CLOEXEC)
        if self._log < 0:
            self._log = os.open(self.log_path, os.O_RDWR | os.O_CLOEXEC)

    def _hash(self, base: int, pieces: Sequence[bytes]) -> None:
        """Keep the digest tree up, unless it was lost by a restart or a failed write."""
        if base == len(HEADER):
            self._hasher = PackHasher()
            self._hasher.update(HEADER)
        if self._hasher is not None and self._hasher.bytes == base:
            for piece in pieces:
                self._hasher.update(piece)

    def _rehash(self) -> PackHasher:
        hasher = PackHasher()
        hasher.update(self.read(0, len(HEADER)))
        for record in self.records:
            sealed = self.read(record.offset, record.length)
            if record.offset != hasher.bytes or compute_sealed_digest(sealed) != (
                record.sealed_digest
            ):
                raise CorruptError("A chunk changed in the journal before it could be packed.")
            hasher.update(sealed)
        return hasher

    def _commit_pending(self, note: Note) -> None:
        """Sync what is written, name it in the log, note it. The caller holds `_committing`."""
        with self._writing:
            taken, self._pending = self._pending, []
        error = self._sync_and_log(taken)
        if error is not None:
            self._give_up(taken, error)
            return
        records = [record for batch in taken for record in batch.records]
        failed: HansaError | None = None
        try:
            note(self, records)
        except HansaError as problem:
            # Durable, though nobody is told so: a repeated upload or the next open finds them.
            failed = problem
        for batch in taken:
            batch.is_done, batch.error = True, failed

    def _sync_and_log(self, taken: list[Batch]) -> OSError | HansaError | None:
        if self.is_closed:
            return UnavailableError("The journal's segment is closed.", remedy="Restart the node.")
        records = [record for batch in taken for record in batch.records]
        data = encode_batch(self.segment_id, self.batches, records)
        try:
            sync_file(self._body)
        except OSError as error:
            self.is_closed = True
            return error
        try:
            write_all(self._log, data, self.log_bytes)
        except OSError as error:
            return error
        try:
            sync_file(self._log)
        except OSError as error:
            self.is_closed = True
            return error
        self.log_bytes += len(data)
        self.batches += 1
        self.records.extend(records)
        self.size = records[-1].offset + records[-1].length
        return None

    def _give_up(self, taken: list[Batch], error: OSError | HansaError) -> None:
        """Fail all that is not durable, and go back to the durable end."""
        with self._writing:
            taken = [*taken, *self._pending]
            self._pending = []
            self._written, self._entries, self._hasher = self.size, len(self.records), None
            for batch in taken:
                batch.is_done, batch.error = True, error
            try:
                cut_file(self._log, self.log_bytes)
                cut_file(self._body, self.size)
            except OSError:
                self.is_closed = True
