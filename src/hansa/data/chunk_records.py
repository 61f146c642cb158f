"""Chunk records: what the hash index table says of each stored chunk, 116 bytes each, by ordinal.

Records are numbered in the order in which chunks came, and 35 lie in one row of the table, a page of 4 KiB:
chunks of one dataset lie together, so looking up its next version reads few pages. Packs and versions are
numbers here (`index_names`). A record is changed in place; one that is no more needed is emptied, and a
row that has only empty ones is removed. Ordinals are never given twice. That a row is what was written
is the table's to check.
"""

import struct
from collections.abc import Iterator
from typing import Protocol

import numpy as np
import numpy.typing as npt

from hansa.data.sorted_runs import REMEDY, Ordinals
from hansa.errors import CorruptError, UnavailableError

Records = npt.NDArray[np.void]
"""Array of RECORD, (n,)."""

FIELDS = struct.Struct("<32s32s36s4I")
"""Chunk id, sealed digest, fingerprint, pack, offset, length with HAS_FINGERPRINT, version."""
HAS_FINGERPRINT = 1 << 31

RECORD = np.dtype(
    [
        ("chunk", "<u8", (4,)),
        ("sealed", "<u8", (4,)),
        ("fingerprint", "<u4", (9,)),
        ("pack", "<u4"),
        ("offset", "<u4"),
        ("length", "<u4"),
        ("version", "<u4"),
    ]
)
assert RECORD.itemsize == FIELDS.size

BLOCK_RECORDS = 35
_LETTER = b"R"
_NEXT_KEY = b"Rnext"
_SCAN_BLOCKS = 256
_ORDINALS_MAX = (1 << 32) - 1

Changes = list[tuple[bytes, bytes | None]]


class Table(Protocol):
    """What is needed of a durable table; see `ports.Table`."""

    def get_many(self, keys: list[bytes], /) -> list[bytes | None]:
        """Return the value of each key, or None."""
        ...


class ChunkRecords:
    """All records of one table; changed through an `Edit`, one at a time (the caller's lock)."""

    def __init__(self, table: Table) -> None:
        """Open the records of a table; none is fine."""
        self._table = table
        row = table.get_many([_NEXT_KEY])[0]
        self.next_ordinal = int.from_bytes(row or b"", "big")
        """Of the record that comes next."""

    def load(self, ordinals: Ordinals) -> Records:
        """Return the records of some ordinals, (n,); those that are gone are empty (pack 0).

        Raises:
            CorruptError: a row is not what was written.
        """
        if not len(ordinals):
            return np.empty(0, RECORD)
        blocks, which = np.unique(ordinals // np.uint32(BLOCK_RECORDS), return_inverse=True)
        loaded = self.load_blocks(blocks.tolist())
        found: Records = loaded[which, ordinals % np.uint32(BLOCK_RECORDS)]
        return found

    def load_blocks(self, blocks: list[int]) -> Records:
        """Return whole blocks, (n, BLOCK_RECORDS), those that are gone empty. Raises as `load`."""
        loaded = np.zeros((len(blocks), BLOCK_RECORDS), RECORD)
        for at, row in enumerate(self._table.get_many([_key(block) for block in blocks])):
            if row is not None:
                records = _decode_block(row)
                loaded[at, : len(records)] = records
        return loaded

    def scan(self, first: int = 0) -> Iterator[tuple[Ordinals, Records]]:
        """Yield all records that are not empty from an ordinal on, some thousands at a time."""
        begin = first // BLOCK_RECORDS
        end = -(-self.next_ordinal // BLOCK_RECORDS)
        for block in range(begin, end, _SCAN_BLOCKS):
            blocks = list(range(block, min(block + _SCAN_BLOCKS, end)))
            records = self.load_blocks(blocks).ravel()
            numbers = np.arange(len(records), dtype=np.int64) + block * BLOCK_RECORDS
            is_wanted = (records["pack"] != 0) & (numbers >= first)
            if is_wanted.any():
                yield numbers[is_wanted].astype(np.uint32), records[is_wanted]

    def edit(self) -> "Edit":
        """Begin a change."""
        return Edit(self)


class Edit:
    """Changes of some records; `rows` must be written, then `apply` called."""

    def __init__(self, records: ChunkRecords) -> None:
        self._records = records
        self._blocks: dict[int, Records] = {}
        self._next = records.next_ordinal

    def append(self, fresh: Records) -> Ordinals:
        """Add records; return their ordinals.

        Raises:
            UnavailableError: the table has had as many chunks as it can number.
        """
        if self._next + len(fresh) > _ORDINALS_MAX:
            raise UnavailableError(
                "The hash index table cannot number more chunks.",
                remedy="Rebuild it: `hansa store repair --rebuild-table` numbers them anew.",
            )
        ordinals = np.arange(self._next, self._next + len(fresh), dtype=np.int64)
        self._next += len(fresh)
        self.put(ordinals.astype(np.uint32), fresh)
        return ordinals.astype(np.uint32)

    def put(self, ordinals: Ordinals, records: Records) -> None:
        """Replace records."""
        blocks = ordinals // np.uint32(BLOCK_RECORDS)
        wanted = np.unique(blocks)
        missing = [block for block in wanted.tolist() if block not in self._blocks]
        for block, loaded in zip(missing, self._records.load_blocks(missing), strict=True):
            self._blocks[block] = loaded
        order = np.argsort(blocks, kind="stable")
        bounds = np.searchsorted(blocks[order], wanted, side="right").tolist()
        first = 0
        for block, last in zip(wanted.tolist(), bounds, strict=True):
            some = order[first:last]
            self._blocks[block][ordinals[some] % np.uint32(BLOCK_RECORDS)] = records[some]
            first = last

    def rows(self) -> Changes:
        """Return the changed rows."""
        rows: Changes = []
        for block, records in self._blocks.items():
            count = min(self._next - block * BLOCK_RECORDS, BLOCK_RECORDS)
            is_gone = count == BLOCK_RECORDS and not records["pack"].any()
            rows.append((_key(block), None if is_gone else records[:count].tobytes()))
        if self._next != self._records.next_ordinal:
            rows.append((_NEXT_KEY, self._next.to_bytes(5, "big")))
        return rows

    def apply(self) -> None:
        """Note that the rows were written."""
        self._records.next_ordinal = self._next


def _key(block: int) -> bytes:
    return _LETTER + block.to_bytes(4, "big")


def _decode_block(row: bytes) -> Records:
    if not row or len(row) % RECORD.itemsize or len(row) > _BLOCK_BYTES:
        raise CorruptError("The hash index table is damaged.", remedy=REMEDY)
    return np.frombuffer(row, RECORD)


_BLOCK_BYTES = BLOCK_RECORDS * RECORD.itemsize
