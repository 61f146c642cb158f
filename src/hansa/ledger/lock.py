"""One node for one folder: an exclusive lock that ends with the process, however it ends."""

import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Self

from hansa.errors import ConflictError, MissingError
from hansa.ledger.durable import as_hansa_error

LOCK_NAME = "lock"


class FolderLock:
    """Holds a node's folder; a context manager. The kernel frees it when the process dies."""

    def __init__(self, folder: Path) -> None:
        """Take the folder.

        Raises:
            MissingError: there is no such folder.
            ConflictError: another process has it; the message names the process.
            DeniedError: the folder may not be written.
        """
        self._path = folder / LOCK_NAME
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except FileNotFoundError as error:
            raise MissingError(
                f"There is no folder {folder}.",
                remedy="Make one with `hansa alliance init` or `hansa alliance join`.",
            ) from error
        except OSError as error:
            raise as_hansa_error(error, f"lock {folder}") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(descriptor)
            raise ConflictError(
                f"Another node (pid {holder}) uses {folder}.",
                remedy="Stop that node first, or give this one a folder of its own.",
            ) from error
        except OSError as error:
            os.close(descriptor)
            raise as_hansa_error(error, f"lock {folder}") from error
        self._descriptor = descriptor
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Give the folder back. The file stays: removing it would let two nodes in."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()
