"""Append-only files of checked frames: what the blocks and the vote log are written in.

File:  magic (8) ‖ format (4) ‖ number (4) ‖ owner (32) ‖ checksum of these (4)
Frame: length (4) ‖ checksum of the payload (4) ‖ checksum of these eight (4) ‖ payload
Integers are big-endian, checksums CRC-32. Format: docs/spec/ledger.md.

Rules:
1. A frame is acknowledged only when it is synced, and only one frame is ever unsynced: the last.
2. So a bad frame that a crash can explain lies at the very end: cut short, or with disk sectors
   that were never written (all zero). It was not acknowledged, and is cut off on opening.
3. Any other bad frame is damage to acknowledged bytes: CorruptError, and nothing is changed.
4. After a refused write or sync the file takes nothing more; opening it again is the way back.
"""

import os
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from hansa.errors import ConflictError, CorruptError, HansaError, UnavailableError
from hansa.ledger.durable import Sync, as_hansa_error, sync_file, sync_folder, write_all

MAGIC = b"hansaseg"
FORMAT = 1
FILE_HEADER = struct.Struct(">8sII32sI")
FRAME_HEADER = struct.Struct(">III")
SECTOR_BYTES = 512
SECTOR_PART_BYTES_MIN = 16
FRAME_PAYLOAD_BYTES_MAX = 1 << 30
FRAME_BYTES_MAX = FRAME_HEADER.size + FRAME_PAYLOAD_BYTES_MAX


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame found in a file."""

    offset: int
    """Where its header begins."""
    payload: bytes

    @property
    def end(self) -> int:
        """First byte after the frame."""
        return self.offset + FRAME_HEADER.size + len(self.payload)


def encode_file_header(number: int, owner: bytes) -> bytes:
    """Return the head of a file: its number among its kin, and whose it is (32 bytes)."""
    bare = FILE_HEADER.pack(MAGIC, FORMAT, number, owner, 0)[:-4]
    return bare + zlib.crc32(bare).to_bytes(4, "big")


def encode_frame(payload: bytes) -> bytes:
    """Return a payload with its length and checksums before it."""
    assert len(payload) <= FRAME_PAYLOAD_BYTES_MAX
    head = struct.pack(">II", len(payload), zlib.crc32(payload))
    return head + zlib.crc32(head).to_bytes(4, "big") + payload


class SegmentFile:
    """One append-only file, open for reading and for appending at its end."""

    def __init__(
        self, path: Path, *, number: int = 0, owner: bytes = bytes(32), sync: Sync = sync_file
    ) -> None:
        """Open the file; make it, whole and durable, if it is not there.

        Nothing is scanned yet: `scan` tells what is in it and sets the end for appending.

        Raises:
            CorruptError: the head is damaged.
            ConflictError: the file belongs to another alliance.
            DiskFullError, UnavailableError, DeniedError: the disk refused.
        """
        self.path = path
        self._sync = sync
        self._failed = False
        self._end = -1
        try:
            if not path.exists():
                self._create(number, owner)
            self._descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
            head = os.pread(self._descriptor, FILE_HEADER.size, 0)
        except OSError as error:
            raise as_hansa_error(error, f"open {path}") from error
        try:
            self._check_head(head, number, owner)
        except HansaError:
            os.close(self._descriptor)
            raise

    def _create(self, number: int, owner: bytes) -> None:
        """Make the file under another name, sync it, give it its name, sync the folder."""
        temporary = self.path.with_name(self.path.name + ".new")
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
        descriptor = os.open(temporary, flags, 0o600)
        try:
            write_all(descriptor, encode_file_header(number, owner), 0)
            self._sync(descriptor)
        finally:
            os.close(descriptor)
        temporary.replace(self.path)
        sync_folder(self.path.parent)

    def _check_head(self, head: bytes, number: int, owner: bytes) -> None:
        if len(head) < FILE_HEADER.size or head[:8] != MAGIC:
            raise self._corrupt(0, "the head of the file is not whole")
        if zlib.crc32(head[:-4]).to_bytes(4, "big") != head[-4:]:
            raise self._corrupt(0, "the head of the file does not match its checksum")
        _, file_format, found_number, found_owner, _ = FILE_HEADER.unpack(head)
        if file_format != FORMAT:
            raise ConflictError(
                f"{self.path} has format {file_format}; this version reads {FORMAT}.",
                remedy="Use the version of Hansa that wrote it.",
            )
        if found_owner != owner:
            raise ConflictError(
                f"{self.path} belongs to another alliance.",
                remedy="Give each alliance a node folder of its own.",
            )
        if found_number != number:
            raise self._corrupt(0, f"it calls itself number {found_number}, not {number}")

    @property
    def end(self) -> int:
        """First byte after the last sound frame; known after a scan."""
        assert self._end >= 0, "scan first"
        return self._end

    @property
    def has_failed(self) -> bool:
        """Tell whether a write or sync was refused: the file takes nothing more."""
        return self._failed

    def scan(self, start: int = FILE_HEADER.size, *, is_last: bool = True) -> Iterator[Frame]:
        """Yield the frames from `start` on, and cut what a crash left unfinished at the end.

        Run it to its end before appending.

        Args:
            start: where a frame begins, or the end of what is acknowledged.
            is_last: False if another file follows, so that nothing here can be unfinished.

        Raises:
            CorruptError: damage that no crash explains; the file is not changed.
        """
        size = os.fstat(self._descriptor).st_size
        if start > size:
            raise self._corrupt(size, f"acknowledged bytes up to {start} are missing")
        offset = start
        while offset < size:
            payload = self._read_frame(offset, size)
            if payload is None and not is_last:
                raise self._corrupt(offset, "an acknowledged frame is cut short")
            if payload is None:
                self._cut(offset)
                break
            frame = Frame(offset, payload)
            yield frame
            offset = frame.end
        self._end = offset

    def _read_frame(self, offset: int, size: int) -> bytes | None:
        """Return a frame's payload, or None for what a crash left; raises for damage."""
        head = os.pread(self._descriptor, FRAME_HEADER.size, offset)
        if len(head) < FRAME_HEADER.size:
            return None
        length, checksum, head_checksum = FRAME_HEADER.unpack(head)
        if zlib.crc32(head[:8]) != head_checksum or length > FRAME_PAYLOAD_BYTES_MAX:
            if self._has_unwritten_sector(offset, size):
                return None
            raise self._corrupt(offset, "a frame's head does not match its checksum")
        end = offset + FRAME_HEADER.size + length
        if end > size:
            return None
        payload = os.pread(self._descriptor, length, offset + FRAME_HEADER.size)
        if zlib.crc32(payload) != checksum:
            if end == size and self._has_unwritten_sector(offset, size):
                return None
            raise self._corrupt(offset, "a frame does not match its checksum")
        return payload

    def _has_unwritten_sector(self, offset: int, size: int) -> bool:
        """Tell whether some disk sector between `offset` and the end holds only zeros.

        A torn write leaves whole sectors out. The first and the last are judged by their part in
        the range, unless that is so short that a sound frame may have zeros there.
        """
        data = os.pread(self._descriptor, min(size - offset, FRAME_BYTES_MAX), offset)
        first = SECTOR_BYTES - offset % SECTOR_BYTES
        cuts = [0, *range(first, len(data), SECTOR_BYTES), len(data)]
        return any(
            stop - start >= SECTOR_PART_BYTES_MIN and not any(data[start:stop])
            for start, stop in pairwise(cuts)
        )

    def _cut(self, offset: int) -> None:
        try:
            os.ftruncate(self._descriptor, offset)
            self._sync(self._descriptor)
        except OSError as error:
            self._failed = True
            raise as_hansa_error(error, f"cut the unfinished end of {self.path}") from error

    def read(self, offset: int) -> bytes:
        """Return the payload of the frame at `offset`, checked.

        Raises:
            CorruptError: no sound frame lies there.
        """
        size = os.fstat(self._descriptor).st_size
        payload = self._read_frame(offset, size) if offset < size else None
        if payload is None:
            raise self._corrupt(offset, "an acknowledged frame is missing or cut short")
        return payload

    def append(self, payload: bytes) -> int:
        """Make one frame durable at the end; return its offset.

        Raises:
            DiskFullError, UnavailableError: the disk refused; from now on every append is refused.
        """
        if self._failed:
            raise UnavailableError(
                f"{self.path} takes nothing more after a failed write.",
                remedy="Check the disk, then start the node again.",
            )
        offset = self.end
        data = encode_frame(payload)
        try:
            write_all(self._descriptor, data, offset)
            self._sync(self._descriptor)
        except OSError as error:
            self._failed = True
            raise as_hansa_error(error, f"write to {self.path}") from error
        self._end = offset + len(data)
        return offset

    def refuse_writes(self) -> None:
        """Take nothing more: something that belongs to this file could not be written."""
        self._failed = True

    def close(self) -> None:
        """Close the file; closing twice is fine."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _corrupt(self, offset: int, what: str) -> CorruptError:
        return CorruptError(
            f"{self.path} is damaged at byte {offset}: {what}.",
            remedy="Keep the folder for a diagnosis, and let a fresh folder with the same key"
            " catch up from the other nodes (docs/operations).",
        )
