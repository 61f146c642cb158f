"""Sets of rows as bits: one for each row of a file, 64 to a word, the lowest first.

Where a list has more than one row in some hundred, bits are joined, counted and asked in a fraction of
the time of a list: a million rows are 15,625 words.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.uint32]
Words = npt.NDArray[np.uint64]
Mask = npt.NDArray[np.bool_]

_MARKS = (1 << np.arange(8)).astype(np.uint8)


def words_of(rows: npt.NDArray[Any], count: int) -> Words:
    """Return the bits of some rows below `count`."""
    marks = np.zeros(-(-count // 64) * 64, dtype=np.bool_)
    marks[rows] = True
    return np.packbits(marks, bitorder="little").view(np.uint64)


def count_rows(words: Words) -> int:
    """Return how many rows a set has."""
    return int(np.bitwise_count(words).sum(dtype=np.int64))


def rows_of(words: Words) -> Rows:
    """Return the rows of a set, rising; the fewer there are the less it costs."""
    some = words.nonzero()[0]
    marks = np.unpackbits(words[some].view(np.uint8), bitorder="little").view(np.bool_)
    places = marks.nonzero()[0]
    rows: Rows = ((some[places >> 6] << 6) | (places & 63)).astype(np.uint32)
    return rows


def has_rows(words: Words, rows: npt.NDArray[Any]) -> Mask:
    """Return which of some rows are in a set, (n,)."""
    found = words.view(np.uint8).take(rows >> 3) & _MARKS.take(rows & 7)
    return np.asarray(found, dtype=np.bool_)


def among_bits(marks: npt.NDArray[np.uint8], rows: Rows) -> Rows:
    """Return those of some rows that are in a set, given by the bytes of its words."""
    found = marks.take(rows >> 3)
    found &= _MARKS.take(rows & 7)
    return rows.take(found.nonzero()[0])


def is_in(rows: npt.NDArray[Any], members: Rows) -> Mask:
    """Return which rows are among rising members, (n,)."""
    if not len(members):
        return np.zeros(len(rows), dtype=np.bool_)
    at = members.searchsorted(rows)
    return np.asarray(members.take(at, mode="clip") == rows, dtype=np.bool_)


def distinct(rows: npt.NDArray[Any]) -> Rows:
    """Return each row once, rising."""
    # Sorting beats a set of hashes by far.
    ordered = np.sort(rows)
    fresh = np.ones(len(ordered), dtype=np.bool_)
    fresh[1:] = ordered[1:] != ordered[:-1]
    return np.asarray(ordered[fresh], dtype=np.uint32)
