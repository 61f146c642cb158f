"""Journal: chunks durable on the node's disk before their pack is sealed.

One *segment* for each pack to be, gathered for one cluster. A segment is a header and *batches*, each
appended with one sync; when the segment has a pack's size it is packed and removed.

    header   "HANSAJRN" ‖ format (2) ‖ segment id (32) ‖ cluster (4, signed) ‖ check (16)
    batch    "HJB1" ‖ number (4) ‖ payload's length (4) ‖ payload's check (16) ‖ head's check (16) ‖ payload
    record   chunk id (32) ‖ fingerprint's length (1) ‖ fingerprint ‖ sealed length (4) ‖ sealed bytes

Upon open: a damaged last batch was never acknowledged (a torn tail) and is cut; a damaged batch with a
sound one after it is damage to acknowledged data: it is reported, the sound ones are kept, and the
segment takes nothing more. A failed sync closes a segment to writing for good.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from blake3 import blake3

from hansa.data.chunk import compute_sealed_digest
from hansa.data.pipeline import UploadChunk
from hansa.errors import CorruptError, MissingError, UnavailableError
from hansa.limits import PACK_BYTES_MAX, SEALED_CHUNK_BYTES_MAX
from hansa.storage.disk import disk_errors, make_folders, sync_folder, write_all
from hansa.types import ChunkId

_MAGIC = b"HANSAJRN" + (1).to_bytes(2, "big")
_BATCH = b"HJB1"
_CHECK_BYTES = 16
_HEADER_BYTES = len(_MAGIC) + 32 + 4 + _CHECK_BYTES
_HEAD_BYTES = len(_BATCH) + 4 + 4 + 2 * _CHECK_BYTES
_SUFFIX = ".segment"


@dataclass(frozen=True, slots=True)
class Record:
    """Where a chunk lies in a segment."""

    chunk: ChunkId
    fingerprint: bytes
    offset: int
    """Of the sealed bytes, from the file's start."""
    length: int
    sealed_digest: bytes
    """BLAKE3 of the sealed bytes, 32 bytes."""


@dataclass(slots=True)
class Segment:
    """An unsealed pack on disk."""

    segment_id: bytes
    """32 random bytes: stands for the pack's name in addresses until it has one."""
    cluster: int
    path: Path
    size: int = 0
    """Durable bytes."""
    batches: int = 0
    records: list[Record] = field(default_factory=list)
    sealed_bytes: int = 0
    is_closed: bool = False
    """Takes no more: damaged, or a sync failed."""
    damage: str = ""
    """What was found wrong at open, for `check`."""


class Journal:
    """All segments of one node. One writer at a time (the caller's lock); reads need none."""

    def __init__(self, folder: Path) -> None:
        """Open the folder, cut torn tails and read what is there.

        Raises:
            DeniedError, DiskFullError, UnavailableError: the folder cannot be used.
        """
        self._folder = folder
        self.segments: dict[bytes, Segment] = {}
        """By id."""
        self.unreadable: list[str] = []
        """Files that are no segment: kept, reported, never used."""
        with disk_errors("the journal"):
            make_folders(folder)
            for path in sorted(folder.glob("*" + _SUFFIX)):
                self._load(path)

    def find(self, cluster: int, room: int) -> Segment | None:
        """Return a segment of the cluster that can take `room` more bytes, or None."""
        for segment in self.segments.values():
            fits = segment.size + room <= PACK_BYTES_MAX
            if segment.cluster == cluster and not segment.is_closed and fits:
                return segment
        return None

    def begin(self, cluster: int, segment_id: bytes) -> Segment:
        """Make a new segment, durable and empty."""
        assert len(segment_id) == 32
        path = self._folder / (segment_id.hex() + _SUFFIX)
        head = _MAGIC + segment_id + cluster.to_bytes(4, "big", signed=True)
        with disk_errors("the journal"):
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            try:
                size = write_all(descriptor, head + _check(head), 0)
                os.fsync(descriptor)
            except OSError:
                path.unlink(missing_ok=True)
                raise
            finally:
                os.close(descriptor)
            sync_folder(self._folder)
        segment = self.segments[segment_id] = Segment(segment_id, cluster, path, size)
        return segment

    def append(self, segment: Segment, chunks: Sequence[UploadChunk]) -> list[Record]:
        """Make chunks durable with one sync; return where they lie.

        Raises:
            DiskFullError: none of them was taken.
            UnavailableError: the disk failed; the segment takes no more until the node restarts.
        """
        if segment.is_closed:
            raise UnavailableError("The journal's segment is closed.", remedy="Restart the node.")
        payload, records = _encode_records(chunks, segment.size + _HEAD_BYTES)
        batch = _encode_head(segment.segment_id, segment.batches, payload) + payload
        with disk_errors("the journal"):
            descriptor = os.open(segment.path, os.O_WRONLY)
            try:
                # What a failed write leaves behind the durable end is cut here or at the next open.
                try:
                    write_all(descriptor, batch, segment.size)
                except OSError:
                    os.ftruncate(descriptor, segment.size)
                    raise
                try:
                    os.fsync(descriptor)
                except OSError:
                    segment.is_closed = True
                    raise
            finally:
                os.close(descriptor)
        segment.size += len(batch)
        segment.batches += 1
        self._keep(segment, records)
        return records

    def read(self, segment: Segment, offset: int, length: int) -> bytes:
        """Return bytes of a segment.

        Raises:
            MissingError: the segment has just been packed and removed.
            CorruptError: the file is shorter than what was acknowledged.
        """
        with disk_errors("the journal"):
            try:
                descriptor = os.open(segment.path, os.O_RDONLY)
            except FileNotFoundError:
                raise MissingError("The segment has just been packed.") from None
            try:
                data = os.pread(descriptor, length, offset)
            finally:
                os.close(descriptor)
        if len(data) != length:
            raise CorruptError("The journal is shorter than what was acknowledged.")
        return data

    def remove(self, segment: Segment) -> None:
        """Drop a segment whose chunks are all durable elsewhere; a damaged one is put aside."""
        with disk_errors("the journal"):
            if segment.damage:
                segment.path.replace(segment.path.with_suffix(".damaged"))
            else:
                segment.path.unlink(missing_ok=True)
            sync_folder(self._folder)
        self.segments.pop(segment.segment_id, None)

    def _keep(self, segment: Segment, records: list[Record]) -> None:
        segment.records.extend(records)
        segment.sealed_bytes += sum(record.length for record in records)

    def _load(self, path: Path) -> None:
        """Read one file of the folder."""
        data = path.read_bytes()
        head = data[: _HEADER_BYTES - _CHECK_BYTES]
        if len(data) < _HEADER_BYTES:
            # A crash while it was made: nothing in it was ever acknowledged.
            path.unlink()
            return
        if head[: len(_MAGIC)] != _MAGIC or _check(head) != data[len(head) : _HEADER_BYTES]:
            self.unreadable.append(path.name)
            return
        cluster = int.from_bytes(head[-4:], "big", signed=True)
        segment = Segment(head[len(_MAGIC) : -4], cluster, path, _HEADER_BYTES)
        for at, number, payload in _scan(segment.segment_id, data):
            if number != segment.batches and not segment.damage:
                segment.damage = f"batch {segment.batches} of segment {path.name} is damaged"
            self._keep(segment, list(_decode_records(payload, at)))
            segment.size, segment.batches = at + len(payload), number + 1
        segment.is_closed = bool(segment.damage)
        if segment.size < len(data) and not segment.damage:
            _cut(path, segment.size)
        self.segments[segment.segment_id] = segment


def _cut(path: Path, size: int) -> None:
    """Shorten a file durably."""
    descriptor = os.open(path, os.O_WRONLY)
    try:
        os.ftruncate(descriptor, size)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _check(data: bytes) -> bytes:
    return blake3(data).digest(_CHECK_BYTES)


def _encode_head(segment_id: bytes, number: int, payload: bytes) -> bytes:
    head = _BATCH + number.to_bytes(4, "big") + len(payload).to_bytes(4, "big") + _check(payload)
    # The segment's id in the check: a batch that lies in a reused disk block of another is no batch.
    return head + _check(segment_id + head)


def _scan(segment_id: bytes, data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Yield offset, number and payload of each sound batch, looking past damaged ones."""
    at, expected = _HEADER_BYTES, 0
    while 0 <= at < len(data):
        head = data[at : at + _HEAD_BYTES]
        number, length = int.from_bytes(head[4:8], "big"), int.from_bytes(head[8:12], "big")
        payload = data[at + _HEAD_BYTES : at + _HEAD_BYTES + length]
        is_head = len(head) == _HEAD_BYTES and _check(segment_id + head[:28]) == head[28:]
        if is_head and number >= expected and _check(payload) == head[12:28]:
            yield at + _HEAD_BYTES, number, payload
            at, expected = at + _HEAD_BYTES + length, number + 1
        else:
            at = data.find(_BATCH, at + 1)


def _encode_records(chunks: Sequence[UploadChunk], base: int) -> tuple[bytes, list[Record]]:
    """Return a batch's payload, and where each chunk lies if the payload starts at `base`."""
    pieces: list[bytes] = []
    records: list[Record] = []
    offset = base
    for chunk in chunks:
        head = chunk.chunk + len(chunk.fingerprint).to_bytes(1, "big") + chunk.fingerprint
        head += len(chunk.sealed).to_bytes(4, "big")
        offset += len(head)
        sealed_digest = compute_sealed_digest(chunk.sealed)
        length = len(chunk.sealed)
        records.append(Record(chunk.chunk, chunk.fingerprint, offset, length, sealed_digest))
        pieces += (head, chunk.sealed)
        offset += len(chunk.sealed)
    return b"".join(pieces), records


def _decode_records(payload: bytes, base: int) -> Iterator[Record]:
    """Yield the records of a sound payload that starts at `base`."""
    at = 0
    while at < len(payload):
        name_end = at + 33 + payload[at + 32]
        length = int.from_bytes(payload[name_end : name_end + 4], "big")
        start = name_end + 4
        assert length <= SEALED_CHUNK_BYTES_MAX
        assert start + length <= len(payload)
        chunk = ChunkId(payload[at : at + 32])
        sealed = payload[start : start + length]
        fingerprint = payload[at + 33 : name_end]
        yield Record(chunk, fingerprint, base + start, length, compute_sealed_digest(sealed))
        at = start + length
