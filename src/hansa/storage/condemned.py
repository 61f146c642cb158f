"""What collections found dead: a durable row for each, with the time and its bytes; nothing is deleted yet."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Final, Self, TypeVar

import numpy as np
import numpy.typing as npt

from hansa import limits
from hansa.ports import Table
from hansa.storage.marking import Ids, Marks, ids_of

CHUNK_ROW: Final = b"g"
MANIFEST_ROW: Final = b"G"
T = TypeVar("T")


def condemned(table: Table) -> tuple[int, int, int, int]:
    """Return chunks and their bytes, manifests and their bytes, that collections found dead."""
    chunks = [decode_row(row)[1] for _, row in table.scan(CHUNK_ROW)]
    manifests = [decode_row(row)[1] for _, row in table.scan(MANIFEST_ROW)]
    return len(chunks), sum(chunks), len(manifests), sum(manifests)


@dataclass(slots=True)
class CondemnedChunks:
    """The chunks condemned by earlier runs, by mark."""

    ids: Ids
    times: npt.NDArray[np.int64]
    seen: npt.NDArray[np.bool_] = field(init=False)

    def __post_init__(self) -> None:
        self.seen = np.zeros(len(self.ids), np.bool_)

    def since(self, ids: Ids) -> npt.NDArray[np.int64]:
        """Return since when each is condemned, −1 if it is not."""
        times = np.full(len(ids), -1, np.int64)
        places = np.searchsorted(self.ids, ids)
        inside = places < len(self.ids)
        inside[inside] = self.ids[places[inside]] == ids[inside]
        times[inside] = self.times[places[inside]]
        self.seen[places[inside]] = True
        return times

    @classmethod
    def load(cls, table: Table) -> Self:
        """Return what the table says."""
        ids: list[Ids] = []
        times: list[int] = []
        for batch in in_batches(table.scan(CHUNK_ROW)):
            ids.append(ids_of([key[1:] for key, _ in batch]))
            times += [decode_row(row)[0] for _, row in batch]
        joined = np.concatenate(ids) if ids else np.empty(0, np.uint64)
        order = np.argsort(joined, kind="stable")
        return cls(joined[order], np.array(times, np.int64)[order])

    def drop_unseen(self, table: Table) -> None:
        """Drop the rows of chunks that nobody asked about: they are not stored any more."""
        stale = Marks()
        stale.add(self.ids[~self.seen], 0)
        if not len(stale):
            return
        for batch in in_batches(table.scan(CHUNK_ROW)):
            gone = stale.contain(ids_of([key[1:] for key, _ in batch]))
            rows = [key for (key, _), is_gone in zip(batch, gone, strict=True) if is_gone]
            if rows:
                table.write((key, None) for key in rows)


def in_batches(rows: Iterator[tuple[bytes, T]]) -> Iterator[list[tuple[bytes, T]]]:
    """Yield rows so many at a time as one write to the table takes."""
    while batch := list(islice(rows, limits.COLLECT_BATCH_CHUNKS)):
        yield batch


def encode_row(time_ms: int, size: int) -> bytes:
    """Return a row of what is condemned: since when, and its bytes."""
    return time_ms.to_bytes(8, "big") + size.to_bytes(8, "big")


def decode_row(row: bytes) -> tuple[int, int]:
    """Return the time and the bytes of such a row."""
    return int.from_bytes(row[:8], "big"), int.from_bytes(row[8:], "big")
