"""The state's pairs, the height and where each block lies: one LMDB file, one transaction a block.

It can be lost: everything in it is derived again from the blocks. So a block's transaction syncs what
it writes, but not the page that makes it the newest one: that goes with the next, and after a crash of
the machine the last block may be unknown here, which is replayed. Counterpart: `block_ledger`.
"""

import struct
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple, TypeVar

import lmdb

from hansa import limits
from hansa.errors import ConflictError, CorruptError, DiskFullError, HansaError, UnavailableError
from hansa.types import Digest, Height

T = TypeVar("T")

TABLE_NAME = "state.mdb"
FORMAT = 1
_FORMAT_KEY = b"format"
_OWNER_KEY = b"owner"
_HEIGHT_KEY = b"height"
_FIRST_KEY = b"first"
_FIRST_SEGMENT_KEY = b"first-segment"
_PLACE = struct.Struct(">IQQ")
_WHERE = struct.Struct(">QI")
_PAGE_ITEMS = 2_048


class Place(NamedTuple):
    """Where a block lies."""

    segment: int
    """Number of the file, from 1."""
    offset: int
    """First byte of its frame."""
    end: int
    """First byte after its frame."""


class StateTable:
    """State, height and places of one node; one writer, any number of readers in the process."""

    def __init__(
        self, folder: Path, *, owner: bytes, map_bytes: int = limits.STATE_MAP_BYTES_MIN
    ) -> None:
        """Open the table in `folder`, making it if it is not there.

        Args:
            folder: an existing folder.
            owner: the alliance id, 32 bytes.
            map_bytes: first size of the memory map; it doubles when it is full.

        Raises:
            ConflictError: the table belongs to another alliance, or has another format.
            CorruptError: the file is no LMDB file any more.
            UnavailableError: it cannot be opened.
        """
        self._path = folder / TABLE_NAME
        self._map_bytes = max(map_bytes, self._path.stat().st_size if self._path.exists() else 0)
        try:
            self._environment = lmdb.open(
                str(self._path),
                map_size=self._map_bytes,
                subdir=False,
                max_dbs=8,
                mode=0o600,
                metasync=False,
            )
            self._state = self._environment.open_db(b"state")
            self._meta = self._environment.open_db(b"meta")
            self._places = self._environment.open_db(b"places")
            self._transactions = self._environment.open_db(b"transactions")
            self._kept = self._environment.open_db(b"kept")
        except lmdb.Error as error:
            raise self._translate(error) from error
        try:
            self._claim(owner)
        except HansaError:
            self.close()
            raise

    def _claim(self, owner: bytes) -> None:
        marks = {_FORMAT_KEY: FORMAT.to_bytes(4, "big"), _OWNER_KEY: owner}
        with self._environment.begin(db=self._meta) as reader:
            found = {key: reader.get(key) for key in marks}
        if not any(found.values()):
            self._write_durably(
                lambda txn: [txn.put(key, mark, db=self._meta) for key, mark in marks.items()]
            )
        elif found[_FORMAT_KEY] != marks[_FORMAT_KEY]:
            raise ConflictError(
                f"{self._path} was written by another version of Hansa.",
                remedy="Remove it: it is made again from the blocks.",
            )
        elif found[_OWNER_KEY] != owner:
            raise ConflictError(
                f"{self._path} belongs to another alliance.",
                remedy="Give each alliance a node folder of its own.",
            )

    def height(self) -> Height:
        """Return the height the state stands at; 0 before the first block."""
        with self._environment.begin(db=self._meta) as reader:
            return Height(int.from_bytes(reader.get(_HEIGHT_KEY) or b"", "big"))

    def first(self) -> Height:
        """Return the height from which on every block is here; 1 unless older ones were left out."""
        return Height(self._number(_FIRST_KEY, 1))

    def first_segment(self) -> int:
        """Return the number of the first file of blocks that is not given up."""
        return self._number(_FIRST_SEGMENT_KEY, 1)

    def _number(self, key: bytes, default: int) -> int:
        with self._environment.begin(db=self._meta) as reader:
            found = reader.get(key)
        return default if found is None else int.from_bytes(found, "big")

    def kept(self, height: int) -> bytes | None:
        """Return a block that was kept when its file was given up, or None."""
        with self._environment.begin(db=self._kept) as reader:
            found = reader.get(height.to_bytes(8, "big"))
        return bytes(found) if found is not None else None

    def place(self, height: int) -> Place | None:
        """Return where the block of a height lies, or None."""
        with self._environment.begin(db=self._places) as reader:
            found = reader.get(height.to_bytes(8, "big"))
        return Place(*_PLACE.unpack(found)) if found is not None else None

    def locate(self, transaction: bytes) -> tuple[Height, int] | None:
        """Return height and index in its block of a transaction, by digest; None if not there."""
        with self._environment.begin(db=self._transactions) as reader:
            found = reader.get(transaction)
        if found is None:
            return None
        height, index = _WHERE.unpack(found)
        return Height(height), index

    def commit(
        self,
        height: Height,
        place: Place,
        transactions: Iterable[tuple[Digest, bool]],
        writes: Iterable[tuple[bytes, bytes | None]],
    ) -> None:
        """Write a block's changes, its place and the height in one atomic step.

        A crash of the machine may undo the last one whole, never a part of it and none before it.

        Args:
            height: the block's.
            place: where the block lies.
            transactions: digest of each in the block's order, and whether it was accepted.
            writes: the state's puts and (None) deletes.

        Raises:
            DiskFullError, UnavailableError, CorruptError: nothing of it is there.
        """
        changes = tuple(writes)
        outcomes = tuple(transactions)

        def change(txn: lmdb.Transaction) -> None:
            for key, value in changes:
                if value is None:
                    txn.delete(key, db=self._state)
                else:
                    txn.put(key, value, db=self._state)
            for index, (digest, accepted) in enumerate(outcomes):
                # One refused may come again and be accepted; one accepted, only as a replay.
                where = _WHERE.pack(height, index)
                txn.put(digest, where, db=self._transactions, overwrite=accepted)
            txn.put(height.to_bytes(8, "big"), _PLACE.pack(*place), db=self._places)
            txn.put(_HEIGHT_KEY, height.to_bytes(8, "big"), db=self._meta)

        self._write(change)

    def install(
        self,
        height: Height,
        blocks: Iterable[tuple[Height, Place, Iterable[tuple[Digest, bool]]]],
        first: Height,
        items: Iterable[tuple[bytes, bytes]],
    ) -> None:
        """Put a whole state and some blocks into an empty table, in one atomic, durable step.

        Args:
            height: of the state.
            blocks: height, place and transactions of each, oldest first.
            first: the height from which on every block is among them.
            items: all pairs of the state.

        Raises:
            DiskFullError, UnavailableError, CorruptError: nothing of it is there.
        """
        listed = [(at, place, tuple(outcomes)) for at, place, outcomes in blocks]
        pairs = tuple(items)

        def change(txn: lmdb.Transaction) -> None:
            for key, value in pairs:
                txn.put(key, value, db=self._state)
            for at, place, outcomes in listed:
                txn.put(at.to_bytes(8, "big"), _PLACE.pack(*place), db=self._places)
                for index, (digest, accepted) in enumerate(outcomes):
                    txn.put(
                        digest, _WHERE.pack(at, index), db=self._transactions, overwrite=accepted
                    )
            txn.put(_FIRST_KEY, first.to_bytes(8, "big"), db=self._meta)
            txn.put(_HEIGHT_KEY, height.to_bytes(8, "big"), db=self._meta)

        self._write_durably(change)

    def give_up(
        self, segment: int, heights: Iterable[Height], kept: Iterable[tuple[Height, bytes]]
    ) -> None:
        """Forget where the blocks of a file lie, and keep some of them here; atomic and durable.

        Args:
            segment: number of the file, the first that is left.
            heights: of all its blocks.
            kept: height and bytes of those that stay.
        """
        gone, staying = sorted(heights), tuple(kept)

        def change(txn: lmdb.Transaction) -> None:
            for height, data in staying:
                txn.put(height.to_bytes(8, "big"), data, db=self._kept)
            for height in gone:
                txn.delete(height.to_bytes(8, "big"), db=self._places)
            if gone:
                first = max(gone[-1] + 1, self.first())
                txn.put(_FIRST_KEY, first.to_bytes(8, "big"), db=self._meta)
            txn.put(_FIRST_SEGMENT_KEY, (segment + 1).to_bytes(8, "big"), db=self._meta)

        self._write_durably(change)

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        """Yield all state pairs in key order, a page at a time.

        Raises:
            ConflictError: a block was committed meanwhile; begin again.
        """
        height = self.height()
        last: bytes | None = None
        while True:
            page: list[tuple[bytes, bytes]] = []
            with self._environment.begin(db=self._state) as reader, reader.cursor() as cursor:
                found = cursor.first() if last is None else cursor.set_range(last)
                if found and last is not None and cursor.key() == last:
                    found = cursor.next()
                if found:
                    for pair in cursor.iternext():
                        page.append(pair)
                        if len(page) == _PAGE_ITEMS:
                            break
            if self.height() != height:
                raise ConflictError("The state moved on while it was read; read it again.")
            yield from page
            if len(page) < _PAGE_ITEMS:
                return
            last = page[-1][0]

    def close(self) -> None:
        """Close the table; closing twice is fine."""
        self._environment.close()

    def _write_durably(self, change: Callable[[lmdb.Transaction], object]) -> None:
        """As `_write`, and nothing undoes it any more."""
        self._write(change)
        try:
            self._environment.sync(True)  # noqa: FBT003 - the library's own form
        except lmdb.Error as error:
            raise self._translate(error) from error

    def _write(self, change: Callable[[lmdb.Transaction], T]) -> T:
        """Run `change` in one write transaction; a full map is doubled and the change run again."""
        while True:
            try:
                with self._environment.begin(write=True) as txn:
                    return change(txn)
            except lmdb.MapFullError as error:
                if 2 * self._map_bytes > limits.STATE_MAP_BYTES_MAX:
                    raise self._translate(error) from error
                self._map_bytes *= 2
                self._environment.set_mapsize(self._map_bytes)
            except lmdb.Error as error:
                raise self._translate(error) from error

    def _translate(self, error: lmdb.Error) -> HansaError:
        what = f"{self._path}: {error}."
        if isinstance(error, (lmdb.DiskError, lmdb.MapFullError)):
            return DiskFullError(what, remedy="Free disk space, then start the node again.")
        if isinstance(
            error, (lmdb.CorruptedError, lmdb.InvalidError, lmdb.PageNotFoundError, lmdb.PanicError)
        ):
            return CorruptError(
                what, remedy="Stop the node and remove that file: it is made again from the blocks."
            )
        return UnavailableError(what, remedy="Check the disk, then start the node again.")
