"""Tables of one node: LMDB on disk, and a plain one in memory for tests and simulations.

LMDB: a B+tree under one memory map, copy on write, synced at each commit; readers never wait for a
commit. The map grows by doubling; no transaction may be open while it does, so scans read in pages.

What is only *noted* waits in memory, seen by every reader, until the next durable write takes it along
in one transaction: a crash loses the latest notes, all or none of each, never one before another. So a
caller who can tell noted rows again from elsewhere pays no sync of its own.

LMDB has no checksums. A table that is a cache carries one with each row (`open_table`): a row that is not
what was written is told as damage, never answered from, and the next start begins the table anew.
"""

import contextlib
import heapq
import threading
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import lmdb

from hansa.errors import CorruptError, DiskFullError, HansaError, UnavailableError
from hansa.limits import MIB
from hansa.storage.disk import disk_errors, make_folders

_MAP_BYTES = 1024 * MIB
_MAP_BYTES_MAX = 1 << 44
_PAGE_ROWS = 1_000
_WAITING_BYTES_MAX = 8 * MIB
"""Noted rows are written when they come to this much."""
_ROW_BYTES = 200
"""What a waiting row costs beside its value, about."""
_CHECK_BYTES = 4
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
        self._changing = threading.RLock()

    def changing(self) -> contextlib.AbstractContextManager[object]:
        """Hold off other threads that change in several steps; may be nested."""
        return self._changing

    def get(self, key: bytes) -> bytes | None:
        """Return a value or None."""
        return self.rows.get(key)

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """Return the value of each key, or None."""
        return [self.rows.get(key) for key in keys]

    def write(self, changes: Iterable[tuple[bytes, bytes | None]]) -> None:
        """Apply puts and deletes in one step."""
        for key, value in list(changes):
            if value is None:
                self.rows.pop(key, None)
            else:
                self.rows[key] = value

    def note(self, changes: Iterable[tuple[bytes, bytes | None]]) -> None:
        """Apply puts and deletes in one step."""
        self.write(changes)

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield pairs under a prefix in key order."""
        return iter(sorted(row for row in self.rows.items() if row[0].startswith(prefix)))

    def close(self) -> None:
        """Do nothing: there is nothing to let go."""


class LmdbTable:
    """Implements `ports.Table` on one file; any number of threads, one process."""

    def __init__(
        self, path: Path, map_bytes: int = _MAP_BYTES, *, is_checked: bool = False
    ) -> None:
        """Open or make the table.

        Args:
            path: the file; a lock file lies beside it.
            map_bytes: address space to start with; it grows by itself.
            is_checked: each row carries a checksum of key and value; always or never for one file.

        Raises:
            CorruptError: the file is no sound table; see `open_table`.
            DiskFullError, DeniedError, UnavailableError: it cannot be used.
        """
        self._path = path
        self._is_checked = is_checked
        self._writing = threading.Lock()
        self._changing = threading.RLock()
        self._gate = _Gate()
        self._waiting: dict[bytes, bytes | None] = {}
        """Noted and not yet written; replaced, never emptied, so that a reader keeps what it saw."""
        self._waiting_bytes = 0
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
        """Write what was noted, and let go of the file.

        Raises:
            DiskFullError, UnavailableError: what was noted is lost; the file is let go all the same.
        """
        try:
            if self._waiting:
                self.write(())
        finally:
            self._env.close()

    def changing(self) -> contextlib.AbstractContextManager[object]:
        """Hold off other threads that change in several steps; may be nested."""
        return self._changing

    def get(self, key: bytes) -> bytes | None:
        """Return a value or None."""
        return self.get_many((key,))[0]

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """Return the value of each key, or None: one transaction for all.

        Raises:
            CorruptError: a row is not what was written.
        """
        # First what waits, then the file: a write between the two is met in the file.
        waiting = self._waiting
        try:
            with self._gate.reading(), self._env.begin() as transaction:
                found: dict[bytes, bytes]
                if len(keys) == 1:
                    value = transaction.get(keys[0])
                    found = {} if value is None else {keys[0]: value}
                else:
                    with transaction.cursor() as cursor:
                        found = dict(cursor.getmulti(keys))
        except lmdb.Error as error:
            raise _explain(error) from error
        if self._is_checked:
            found = {key: self._unwrap(key, row) for key, row in found.items()}
        if not waiting:
            return [found.get(key) for key in keys]
        return [waiting[key] if key in waiting else found.get(key) for key in keys]

    def write(self, changes: Iterable[tuple[bytes, bytes | None]]) -> None:
        """Apply puts and deletes, and all that was noted before, in one atomic, durable step."""
        rows = list(changes)
        with self._writing:
            self._write(rows)

    def note(self, changes: Iterable[tuple[bytes, bytes | None]]) -> None:
        """Apply puts and deletes for all readers; durable with the next write, at the latest at close.

        Raises:
            DiskFullError, UnavailableError: what was noted before could not be written; nothing of
                this call was applied.
        """
        rows = list(changes)
        size = sum(len(key) + len(value or b"") + _ROW_BYTES for key, value in rows)
        with self._writing:
            if self._waiting_bytes + size > _WAITING_BYTES_MAX:
                self._write(rows)
                return
            self._waiting_bytes += size
            self._waiting.update(rows)

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield pairs under a prefix in key order; rows written meanwhile may or may not be met."""
        with self._writing:
            waiting = {k: v for k, v in self._waiting.items() if k.startswith(prefix)}
        noted = sorted((key, value) for key, value in waiting.items() if value is not None)
        written = (row for row in self._scan_file(prefix) if row[0] not in waiting)
        return heapq.merge(written, noted)

    def _scan_file(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        start, fresh = prefix, True
        while True:
            page = self._page(prefix, start, skip=not fresh)
            yield from page
            if len(page) < _PAGE_ROWS:
                return
            start, fresh = page[-1][0], False

    def _write(self, rows: list[tuple[bytes, bytes | None]]) -> None:
        """Apply what waits and then `rows`; the caller holds the lock. Sorted, as a B+tree likes it."""
        joined = self._waiting | dict(rows)
        ordered = sorted(joined.items())
        while not self._is_applied(ordered):
            self._grow()
        self._waiting, self._waiting_bytes = {}, 0

    def _is_applied(self, rows: list[tuple[bytes, bytes | None]]) -> bool:
        """Apply all rows and return True, or none of them and return False: the map is full."""
        try:
            with self._env.begin(write=True) as transaction:
                for key, value in rows:
                    if value is None:
                        transaction.delete(key)
                    else:
                        check = _check(key, value) if self._is_checked else b""
                        transaction.put(key, check + value)
        except lmdb.MapFullError:
            return False
        except lmdb.Error as error:
            raise _explain(error) from error
        return True

    def _grow(self) -> None:
        """Double the map while no transaction of this process is open."""
        with self._gate.alone():
            size = 2 * int(self._env.info()["map_size"])
            if size > _MAP_BYTES_MAX:
                raise DiskFullError("The table has reached the largest size it can have.")
            self._env.set_mapsize(size)

    def _page(self, prefix: bytes, start: bytes, *, skip: bool) -> list[tuple[bytes, bytes]]:
        """Return up to _PAGE_ROWS pairs from `start` on; without `start` itself if `skip`."""
        page: list[tuple[bytes, bytes]] = []
        try:
            with (
                self._gate.reading(),
                self._env.begin() as transaction,
                transaction.cursor() as cursor,
            ):
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
        if self._is_checked:
            page = [(key, self._unwrap(key, row)) for key, row in page]
        return page

    def _unwrap(self, key: bytes, row: bytes) -> bytes:
        """Return a row's value; one that is not what was written is remembered for the next start."""
        value = row[_CHECK_BYTES:]
        if row[:_CHECK_BYTES] != _check(key, value):
            distrust(self._path)
            raise CorruptError(
                "A row of the table on disk is damaged.", remedy="Restart the node to rebuild it."
            )
        return value


class _Gate:
    """Any number of readers, or one who needs to be alone; who waits to be alone goes first."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._readers = 0
        self._is_wanted = False

    @contextlib.contextmanager
    def reading(self) -> Iterator[None]:
        """Hold off who needs to be alone."""
        with self._changed:
            while self._is_wanted:
                self._changed.wait()
            self._readers += 1
        try:
            yield
        finally:
            with self._changed:
                self._readers -= 1
                if not self._readers:
                    self._changed.notify_all()

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Wait until nobody reads, and keep it so. One caller at a time, and not from a reader."""
        with self._changed:
            self._is_wanted = True
            try:
                while self._readers:
                    self._changed.wait()
                yield
            finally:
                self._is_wanted = False
                self._changed.notify_all()


def open_table(path: Path) -> tuple[LmdbTable, bool]:
    """Open a table that is a cache, checked row by row; one that is damaged is begun anew.

    What was damaged is put aside as `….damaged`: also if a row was found so while it was in use, and if
    it comes from a release whose rows had no checks.

    Returns:
        The table, and whether it is new or was begun anew, so that it must be filled again.
    """
    fresh = not path.exists()
    if not _suspicion(path).exists():
        with contextlib.suppress(CorruptError):
            return _open_checked(path), fresh
    with disk_errors(f"table {path.name}"):
        if path.exists():
            path.replace(path.with_name(path.name + ".damaged"))
        path.with_name(path.name + "-lock").unlink(missing_ok=True)
        table = LmdbTable(path, is_checked=True)
        _suspicion(path).unlink(missing_ok=True)
    return table, True


def distrust(path: Path) -> None:
    """Have a table begun anew when it is opened next: what it says cannot be right."""
    with disk_errors(f"table {path.name}"):
        _suspicion(path).touch(mode=0o600)


def _open_checked(path: Path) -> LmdbTable:
    table = LmdbTable(path, is_checked=True)
    try:
        next(table.scan(b""), None)
    except CorruptError:
        table.close()
        raise
    return table


def _suspicion(path: Path) -> Path:
    """Return the name of the mark that a table is damaged."""
    return path.with_name(path.name + ".suspect")


def _check(key: bytes, value: bytes) -> bytes:
    return zlib.crc32(value, zlib.crc32(key)).to_bytes(_CHECK_BYTES, "little")


def _explain(error: lmdb.Error) -> HansaError:
    if isinstance(error, _DAMAGE):
        return CorruptError(
            "The table on disk is damaged.", remedy="Restart the node to rebuild it."
        )
    if isinstance(error, lmdb.DiskError):
        return DiskFullError("The disk is full: the table was not changed.", remedy="Free space.")
    return UnavailableError(f"The table on disk cannot be used: {error}.")
