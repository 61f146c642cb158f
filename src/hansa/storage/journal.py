"""Journal: the folder of segments, where chunks are durable before their pack is sealed.

A segment `<id>` is two files, `<id>.pack` (the body) and `<id>.log` (see `segment`). Upon open only the
logs are read; bodies are looked at for their length. A torn last batch was never acknowledged and is
cut; a damaged batch with a sound one after it is damage to acknowledged data: it is reported, the sound
ones are kept, and the segment takes nothing more. So is a body shorter than its log says.
"""

import os
from pathlib import Path

from hansa.storage.disk import (
    cut_file,
    disk_errors,
    make_folders,
    move_file,
    remove_file,
    sync_file,
    sync_folder,
    write_all,
)
from hansa.storage.pack import HEADER
from hansa.storage.segment import Segment
from hansa.storage.segment_log import HEADER_BYTES, decode_log, encode_header, old_format

_BODY, _LOG, _OLD = ".pack", ".log", ".segment"
_ASIDE = ".damaged"


class Journal:
    """All segments of one node. One changes the set at a time (the caller's lock)."""

    def __init__(self, folder: Path) -> None:
        """Open the folder, cut torn tails and read what the logs say.

        Raises:
            ConflictError: another release wrote it.
            DeniedError, DiskFullError, UnavailableError: the folder cannot be used.
        """
        self._folder = folder
        self.segments: dict[bytes, Segment] = {}
        """By id."""
        self.unreadable: list[str] = []
        """Files that are no segment: kept, reported, never used."""
        with disk_errors("the journal"):
            make_folders(folder)
            if any(folder.glob("*" + _OLD)):
                raise old_format(1)
            for path in sorted(folder.glob("*" + _LOG)):
                self._load(path)
            for path in sorted(folder.glob("*" + _BODY)):
                if path.stem not in {segment.path.stem for segment in self.segments.values()}:
                    self._drop_stray(path)

    def close(self) -> None:
        """Let go of all files."""
        for segment in self.segments.values():
            segment.close()

    def list(self) -> list[Segment]:
        """Return the segments there are just now, oldest first."""
        return list(self.segments.values())

    def begin(self, cluster: int, segment_id: bytes) -> Segment:
        """Make a new segment, durable and empty."""
        path = self._folder / (segment_id.hex() + _BODY)
        segment = Segment(segment_id, cluster, path, path.with_suffix(_LOG))
        with disk_errors("the journal"):
            try:
                _make(path, HEADER)
                _make(segment.log_path, encode_header(segment_id, cluster))
                sync_folder(self._folder)
            except OSError:
                path.unlink(missing_ok=True)
                segment.log_path.unlink(missing_ok=True)
                raise
        self.segments[segment_id] = segment
        return segment

    def remove(self, segment: Segment) -> None:
        """Drop a segment whose chunks are all durable elsewhere; a damaged one is put aside."""
        segment.close()
        with disk_errors("the journal"):
            for path in (segment.path, segment.log_path):
                # The body first, durably: a log without a body is known to be a sealed one's.
                if segment.damage and not segment.is_body_gone and path.exists():
                    move_file(path, path.with_name(path.name + _ASIDE))
                else:
                    remove_file(path)
        self.segments.pop(segment.segment_id, None)

    def put_aside(self) -> tuple[tuple[Path, Path], ...]:
        """Return log and body of each segment that was put aside as damaged."""
        with disk_errors("the journal"):
            logs = sorted(self._folder.glob(f"*{_LOG}{_ASIDE}"))
        return tuple((log, log.with_name(log.name.replace(_LOG, _BODY))) for log in logs)

    def _load(self, path: Path) -> None:
        """Read one log, and look at its body."""
        data = path.read_bytes()
        body = path.with_suffix(_BODY)
        body_bytes = body.stat().st_size if body.exists() else -1
        found = decode_log(data, len(HEADER)) if len(data) >= HEADER_BYTES else None
        is_strange = found is not None and found.segment_id.hex() != path.stem
        is_begun = found is None or body_bytes < len(HEADER)
        if is_begun and len(data) <= HEADER_BYTES and body_bytes <= len(HEADER) and not is_strange:
            # A crash while it was made: nothing in it was ever acknowledged.
            remove_file(path)
            return
        if found is None or is_strange:
            self.unreadable.append(path.name)
            return
        segment = Segment(found.segment_id, found.cluster, body, path)
        size = min(found.body_bytes, max(body_bytes, 0))
        segment.load(size, found.log_bytes, found.batches, found.records)
        segment.is_body_gone = body_bytes < 0
        segment.damage = found.damage
        if body_bytes < found.body_bytes and not found.damage:
            segment.damage = f"its body has {size} of {found.body_bytes} bytes"
        segment.is_closed = bool(segment.damage)
        if not segment.damage:
            _cut(path, segment.log_bytes, len(data))
            _cut(body, segment.size, body_bytes)
        self.segments[segment.segment_id] = segment

    def _drop_stray(self, path: Path) -> None:
        """Remove a body that never had a log; keep and report one that must have had one."""
        if path.stat().st_size <= len(HEADER):
            remove_file(path)
        else:
            self.unreadable.append(path.name)


def _make(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        write_all(descriptor, data, 0)
        sync_file(descriptor)
    finally:
        os.close(descriptor)


def _cut(path: Path, size: int, found: int) -> None:
    """Shorten a file durably, if it is longer."""
    if found <= size:
        return
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        cut_file(descriptor, size)
        sync_file(descriptor)
    finally:
        os.close(descriptor)
