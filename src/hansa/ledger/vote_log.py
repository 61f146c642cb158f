"""A super node's promises on disk: ports.VoteLog over one checked append-only file.

Each append is one frame with one sync, so after a crash it is there whole or not at all. A
decided height replaces the file by what must be kept.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

from hansa import limits
from hansa.codec import decode, encode
from hansa.errors import CorruptError, DiskFullError, HansaError, InvalidError
from hansa.ledger.durable import Sync, as_hansa_error, replace_file, sync_file
from hansa.ledger.segments import SegmentFile, encode_file_header, encode_frame

LOG_NAME = "votes.log"


class VoteLogFile:
    """The vote log of one node; one writer."""

    def __init__(self, folder: Path, *, owner: bytes = bytes(32), sync: Sync = sync_file) -> None:
        """Open the log in `folder`, making it if it is not there, and read what it holds.

        Args:
            folder: an existing folder.
            owner: the alliance id, 32 bytes.
            sync: makes a descriptor's bytes durable.

        Raises:
            CorruptError: an acknowledged record is damaged: the node must not vote.
            ConflictError: the log belongs to another alliance.
            DiskFullError, UnavailableError, DeniedError: the disk refused.
        """
        self._path = folder / LOG_NAME
        self._owner = owner
        self._sync = sync
        self._open()

    def _open(self) -> None:
        self._file = SegmentFile(self._path, owner=self._owner, sync=self._sync)
        try:
            for _ in self.records():
                pass
        except HansaError:
            self._file.close()
            raise

    def append(self, records: Iterable[bytes]) -> None:
        """Make records durable, in order, with one sync; nothing is written for no records.

        Raises:
            DiskFullError, UnavailableError: the caller must stop the node; nothing more is taken.
        """
        batch = tuple(records)
        if not batch:
            return
        payload = encode(batch)
        if self._file.end + len(payload) > limits.VOTE_LOG_BYTES_MAX:
            raise DiskFullError(
                f"{self._path} has reached its bound of {limits.VOTE_LOG_BYTES_MAX} bytes.",
                remedy="The alliance has not decided for very long: check the other super nodes.",
            )
        self._file.append(payload)

    def records(self) -> Iterator[bytes]:
        """Yield the records kept, oldest first. Not to be interleaved with appends.

        Raises:
            CorruptError: an acknowledged record is damaged.
        """
        for frame in self._file.scan():
            try:
                yield from decode(tuple[bytes, ...], frame.payload)
            except InvalidError as error:
                raise CorruptError(
                    f"{self._path} holds a record of another kind at byte {frame.offset}.",
                    remedy="Keep the folder for a diagnosis; do not let this node vote.",
                ) from error

    def reset(self, keep: Iterable[bytes]) -> None:
        """Replace the log atomically by `keep`.

        Raises:
            DiskFullError, UnavailableError: the caller must stop the node; the old log stands.
        """
        if self._file.has_failed:
            self._file.append(b"")  # refuses, with the reason
        kept = tuple(keep)
        data = encode_file_header(0, self._owner)
        if kept:
            data += encode_frame(encode(kept))
        try:
            replace_file(self._path, data, self._sync)
        except OSError as error:
            self._file.refuse_writes()
            raise as_hansa_error(error, f"replace {self._path}") from error
        self._file.close()
        self._open()

    def close(self) -> None:
        """Close the file; closing twice is fine."""
        self._file.close()
