"""Tables of one node: LMDB on disk, and a plain one in memory for tests and simulations.

LMDB 3: a B+tree under one memory map, copy on write, synced at each commit; readers never wait for the
writer. The map grows by doubling; no transaction may be open while it does, so scans read in pages.
"""

import threading
from collections.abc import Iterable, Iterator
from pathlib import Path

import lmdb

from hansa.errors import CorruptError, DiskFullError, HansaError, UnavailableError
from hansa.limits import MIB
from hansa.storage.disk import disk_errors, make_folders

_MAP_BYTES = 1024 * MIB
_MAP_BYTES_MAX = 1 << 44
_PAGE_ROWS = 1_000
_DAMAGE = (
    lmdb.CorruptedError,
    lmdb.PageNotFoundError,
    lmdb.PanicError,
    lmdb.VersionMismatchError,
    lmdb.InvalidError,
    lmdb.IncompatibleError,
)


class MemoryTable:
    """Implements `ports.Table` on a dictionary."""

    def __init__(self) -> None:
        """Make an empty table."""
        self.rows: dict[bytes, bytes] = {}

    def get(self, key: bytes) -> bytes | None:
        """Return a value or None."""
        return self.rows.get(key)

    def write(self, changes: Iterable[tuple[bytes, bytes | None]]) -> None:
        """Apply puts and deletes in one step."""
        for key, value in list(changes):
            if value is None:
                self.rows.pop(key, None)
            else:
                self.rows[key] = value

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield pairs under a prefix in key order."""
        return iter(sorted(row for row in self.rows.items() if row[0].startswith(prefix)))

    def close(self) -> None:
        """Do nothing: there is nothing to let go."""


class LmdbTable:
    """Implements `ports.Table` on one file; any number of threads, one process."""

    def __init__(self, path: Path, map_bytes: int = _MAP_BYTES) -> None:
        """Open or make the table.

        Args:
            path: the file; a lock file lies beside it.
            map_bytes: address space to start with; it grows by itself.

        Raises:
            CorruptError: the file is no sound table; see `open_table`.
            DiskFullError, DeniedError, UnavailableError: it cannot be used.
        """
        self._writing = threading.Lock()
        self._gate = threading.Lock()
        with disk_errors(f"table {path.name}"):
            make_folders(path.parent)
            size = path.stat().st_size if path.exists() else 0
        try:
            self._env = lmdb.open(
                str(path), map_size=max(map_bytes, size), subdir=False, readahead=False, mode=0o600
            )
        except lmdb.Error as error:
            raise _explain(error) from error
        # A file cut short would be a bus error at the first read past its end.
        needed = (int(self._env.info()["last_pgno"]) + 1) * int(self._env.stat()["psize"])
        if size and path.stat().st_size < needed:
            self._env.close()
            raise CorruptError("The table's file is shorter than what it holds.")

    def close(self) -> None:
        """Let go of the file."""
        self._env.close()

    def get(self, key: bytes) -> bytes | None:
        """Return a value or None."""
        try:
            with self._gate, self._env.begin() as transaction:
                value: bytes | None = transaction.get(key)
                return value
        except lmdb.Error as error:
            raise _explain(error) from error

    def write(self, changes: Iterable[tuple[bytes, bytes | None]]) -> None:
        """Apply puts and deletes in one atomic, durable step."""
        rows = list(changes)
        with self._writing:
            while not self._is_applied(rows):
                self._grow()

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield pairs under a prefix in key order; rows written meanwhile may or may not be met."""
        start, fresh = prefix, True
        while True:
            page = self._page(prefix, start, skip=not fresh)
            yield from page
            if len(page) < _PAGE_ROWS:
                return
            start, fresh = page[-1][0], False

    def _is_applied(self, rows: list[tuple[bytes, bytes | None]]) -> bool:
        """Apply all rows and return True, or none of them and return False: the map is full."""
        try:
            with self._env.begin(write=True) as transaction:
                for key, value in rows:
                    if value is None:
                        transaction.delete(key)
                    else:
                        transaction.put(key, value)
        except lmdb.MapFullError:
            return False
        except lmdb.Error as error:
            raise _explain(error) from error
        return True

    def _grow(self) -> None:
        """Double the map while no transaction of this process is open."""
        with self._gate:
            size = 2 * int(self._env.info()["map_size"])
            if size > _MAP_BYTES_MAX:
                raise DiskFullError("The table has reached the largest size it can have.")
            self._env.set_mapsize(size)

    def _page(self, prefix: bytes, start: bytes, *, skip: bool) -> list[tuple[bytes, bytes]]:
        """Return up to _PAGE_ROWS pairs from `start` on; without `start` itself if `skip`."""
        page: list[tuple[bytes, bytes]] = []
        try:
            with self._gate, self._env.begin() as transaction, transaction.cursor() as cursor:
                if not cursor.set_range(start):
                    return page
                if skip and cursor.key() == start and not cursor.next():
                    return page
                for key, value in cursor.iternext(keys=True, values=True):
                    if not key.startswith(prefix) or len(page) == _PAGE_ROWS:
                        break
                    page.append((bytes(key), bytes(value)))
        except lmdb.Error as error:
            raise _explain(error) from error
        return page


def open_table(path: Path) -> tuple[LmdbTable, bool]:
    """Open a table that is a cache; one that is damaged is put aside and begun anew.

    Returns:
        The table, and whether it is new or was begun anew, so that it must be filled again.
    """
    fresh = not path.exists()
    try:
        return LmdbTable(path), fresh
    except CorruptError:
        with disk_errors(f"table {path.name}"):
            path.replace(path.with_name(path.name + ".damaged"))
            path.with_name(path.name + "-lock").unlink(missing_ok=True)
        return LmdbTable(path), True


def _explain(error: lmdb.Error) -> HansaError:
    if isinstance(error, _DAMAGE):
        return CorruptError(
            "The table on disk is damaged.", remedy="Restart the node to rebuild it."
        )
    if isinstance(error, lmdb.DiskError):
        return DiskFullError("The disk is full: the table was not changed.", remedy="Free space.")
    return UnavailableError(f"The table on disk cannot be used: {error}.")
