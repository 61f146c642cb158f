"""Putting one file into HDFS whole, and reading it back.

Written in one go to a name of its own, closed (which syncs every replica), read back, compared. Never
a long-lived stream: after an hsync a writer that loses a DataNode may hang, or report success over
wrong bytes (observed with hdfs-native 0.14.7; the Java client survives it).
"""

import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Protocol

from blake3 import blake3
from hdfs_native import Client, WriteOptions

from hansa import limits
from hansa.errors import InvalidError
from hansa.storage.disk import disk_errors
from hansa.storage.hdfs.calls import Pulse
from hansa.storage.hdfs.failures import is_expected

FILE_MODE = 0o600


class Source(Protocol):
    """Bytes that can be read more than once: a write that fails begins anew."""

    @property
    def size(self) -> int:
        """How many bytes there are."""
        ...

    def pieces(self) -> Iterator[bytes]:
        """Yield them in order, some MiB at a time.

        Always `bytes`: the library copies a memoryview element by element, three times slower.
        """
        ...


class PartsSource:
    """Parts that the caller handed over."""

    def __init__(self, parts: Iterable[bytes]) -> None:
        """Take the parts: a list as it is, anything else through a temporary file.

        Raises:
            InvalidError: too many bytes. DiskFullError: no room for the temporary file.
            BaseException: what the parts raise.
        """
        self._kept: list[bytes] = []
        self._file: IO[bytes] | None = None
        if isinstance(parts, list | tuple):
            self._kept = [bytes(part) for part in parts]
            self.size = sum(map(len, self._kept))
            _check_size(self.size)
            return
        self.size = 0
        self._file = tempfile.SpooledTemporaryFile(limits.HDFS_PIECE_BYTES)  # noqa: SIM115
        try:
            for part in parts:
                self.size += len(part)
                _check_size(self.size)
                with disk_errors("a temporary file"):
                    self._file.write(part)
        except BaseException:
            self.close()
            raise

    def pieces(self) -> Iterator[bytes]:
        """Yield the bytes again."""
        if self._file is not None:
            self._file.seek(0)
            yield from _read_pieces(self._file)
            return
        waiting: list[bytes] = []
        count = 0
        for part in self._kept:
            waiting.append(part)
            count += len(part)
            if count >= limits.HDFS_PIECE_BYTES:
                yield waiting[0] if len(waiting) == 1 else b"".join(waiting)
                waiting, count = [], 0
        if count:
            yield b"".join(waiting)

    def close(self) -> None:
        """Let the temporary file go."""
        if self._file is not None:
            self._file.close()


class FileSource:
    """A complete file of the own disk."""

    def __init__(self, path: Path) -> None:
        """Take its size now.

        Raises:
            InvalidError: too many bytes. UnavailableError: it cannot be read.
        """
        self._path = path
        with disk_errors(f"file {path.name}"):
            self.size = path.stat().st_size
        _check_size(self.size)

    def pieces(self) -> Iterator[bytes]:
        """Yield the bytes again."""
        with disk_errors(f"file {self._path.name}"):
            file = self._path.open("rb", buffering=0)
        with file:
            yield from _read_pieces(file)


def _check_size(size: int) -> None:
    if size > limits.HDFS_OBJECT_BYTES_MAX:
        raise InvalidError(f"An object has at most {limits.HDFS_OBJECT_BYTES_MAX} bytes.")


def _read_pieces(file: IO[bytes]) -> Iterator[bytes]:
    with disk_errors("a file on the own disk"):
        while piece := file.read(limits.HDFS_PIECE_BYTES):
            yield piece


def compute_digest(pieces: Iterable[bytes]) -> tuple[bytes, int]:
    """Return the BLAKE3 digest and the count of the bytes in all pieces."""
    hasher, size = blake3(), 0
    for piece in pieces:
        hasher.update(piece)
        size += len(piece)
    return hasher.digest(), size


def options_for(size: int, replication: int) -> WriteOptions:
    """Return how a file of this size is written: one block, just large enough.

    HDFS sets a whole block aside in the quota when one is begun, times the replication: with blocks of
    128 MiB a manifest of a kilobyte would need 256 MiB of quota.
    """
    unit = limits.HDFS_BLOCK_BYTES_MIN
    return WriteOptions(
        block_size=max(unit, -(-size // unit) * unit),
        replication=replication,
        permission=FILE_MODE,
        overwrite=False,
        create_parent=False,
    )


def write_file(
    client: Client, path: str, source: Source, replication: int, pulse: Pulse
) -> tuple[bytes, int]:
    """Write a new file and close it; return digest and count of what was handed over.

    Args:
        client: of the store.
        path: absolute; must not be there.
        source: its bytes.
        replication: copies of its block.
        pulse: told of each piece; says if nobody waits any more: then nothing more is written.

    Raises:
        OSError, RuntimeError: as the library; the file is deleted, as far as the NameNode answers.
        HansaError: the source failed.
    """
    writer = client.create(path, options_for(source.size, replication))
    hasher, size = blake3(), 0
    try:
        pulse.beat()
        for piece in source.pieces():
            writer.write(piece)
            hasher.update(piece)
            size += len(piece)
            pulse.beat()
        writer.close()
    except BaseException:
        # Before the writer is dropped: its destructor would try for 15 s to complete the file.
        discard(client, path)
        raise
    return hasher.digest(), size


def read_back(client: Client, path: str, pulse: Pulse) -> tuple[bytes, int]:
    """Return digest and count of what a file gives back; the pulse is told of each piece.

    Raises:
        OSError, RuntimeError: as the library.
    """
    reader = client.read(path)
    if not len(reader):
        return compute_digest([])
    return compute_digest(watched(reader.read_range_stream(0, len(reader)), pulse))


def watched(pieces: Iterable[bytes], pulse: Pulse) -> Iterator[bytes]:
    """Yield pieces; the pulse is told of each, and ends it when nobody waits any more."""
    for piece in pieces:
        yield piece
        pulse.beat()


def discard(client: Client, path: str) -> None:
    """Delete a file that nobody needs; what cannot be deleted now is swept later."""
    try:
        client.delete(path)
    except BaseException as error:
        if not is_expected(error):
            raise
