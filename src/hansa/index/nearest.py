"""Find the nearest rows exactly: pages and leaves by lower bound until none can hold a nearer row.

Upon a point: the pages whose boxes of features lie nearest give a first answer; every other page that
its box does not exclude is parted into leaves of 16 rows, and those are looked at whose own boxes do
not exclude them. Equal distances are ordered by id, so what may tie is still looked at.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hansa.index.bits import Rows, is_in
from hansa.index.cluster_index import Point, Squares, bound_boxes
from hansa.index.columns import Reader
from hansa.index.data_index import DataIndex
from hansa.index.pages import ROWS_PER_LEAF

_FIRST_PAGES = 2
_PAGES_AT_ONCE = 64
"""Of the pages that are left, as many at first, then ever more: each look may rule out the others."""
_NEVER = 1 << 30
Numbers = npt.NDArray[np.int64]
_STEPS = np.arange(ROWS_PER_LEAF)


@dataclass(frozen=True, slots=True)
class Nearest:
    """What was found."""

    rows: Rows
    distances: Numbers
    """Squared, (n,)."""
    pages: Numbers
    """Pages looked at, rising."""
    examined: int
    """Rows on them that were measured."""


def measure(base: DataIndex, rows: Rows, features: Sequence[int], read: Reader) -> Numbers:
    """Return the squared distance of the features of some rows, (n,)."""
    point = np.array(features, dtype=np.int16)
    return _measure(base, rows, point, read).astype(np.int64)


def find_nearest(
    base: DataIndex, features: Sequence[int], best: int, out: Rows, read: Reader
) -> Nearest:
    """Return the nearest rows, ordered by distance, then id.

    Args:
        base: the file.
        features: the point.
        best: how many.
        out: rows that do not count, rising.
        read: the reader.
    """
    search = _Search(base, np.array(features, dtype=np.int16), best, out, read)
    if not base.rows:
        return search.found()
    bounds = base.cluster_index.box_bounds(search.point)
    count = min(len(bounds), _FIRST_PAGES + best // ROWS_PER_LEAF)
    first = np.argpartition(bounds, count - 1)[:count]
    first.sort()
    search.look(first)
    bounds[first] = np.inf
    left = (bounds <= search.reach).nonzero()[0]
    step = _PAGES_AT_ONCE
    if len(left) > step:
        left = left[bounds[left].argsort(kind="stable")]
    while len(left):
        part, left = left[:step], left[step:]
        part.sort()
        search.look(part)
        left = left[bounds[left] <= search.reach]
        step *= 4
    return search.found()


class _Search:
    """The nearest rows so far."""

    def __init__(self, base: DataIndex, point: Point, best: int, out: Rows, read: Reader) -> None:
        self.point = point
        self.reach = _NEVER
        """Distance beyond which no row can be among the nearest."""
        self._base = base
        self._best = best
        self._out = out
        self._read = read
        self._rows: Numbers = np.zeros(0, dtype=np.int64)
        self._squares: Squares = np.zeros(0, dtype=np.float32)
        self._pages: list[Numbers] = []
        self._examined = 0

    def look(self, pages: Numbers) -> None:
        """Take the rows of some pages in, which rise."""
        self._pages.append(pages)
        base, reach = self._base, self.reach
        numbers, firsts, counts = base.cluster_index.leaves_of(pages)
        if reach < _NEVER:
            # The boxes of leaves pay where there is something to compare with.
            boxes = base.column("leaves").gather_fields(numbers, self._read, ("low", "high"))
            near = bound_boxes(boxes["low"], boxes["high"], self.point) <= reach
            firsts, counts = firsts[near], counts[near]
        rows = (firsts[:, None] + _STEPS)[counts[:, None] > _STEPS]
        self._examined += len(rows)
        squares = _measure(base, rows, self.point, self._read)
        near = squares <= reach
        if len(self._out):
            near &= ~is_in(rows, self._out)
        self._rows = np.concatenate((self._rows, rows[near]))
        self._squares = np.concatenate((self._squares, squares[near]))
        if len(self._rows) > self._best:
            # Of many rows only those as near as the k-th can stay; ties are kept for the ids.
            self.reach = int(np.partition(self._squares, self._best - 1)[self._best - 1])
            close = self._squares <= self.reach
            self._rows, self._squares = self._rows[close], self._squares[close]
        elif len(self._rows) == self._best:
            self.reach = int(self._squares.max())

    def found(self) -> Nearest:
        """Return the nearest in order."""
        order = self._rows.argsort()
        rows = self._rows[order].astype(np.uint32)
        distances = self._squares[order].astype(np.int64)
        ranks = self._base.column("rank").gather(rows, self._read)
        best = ((distances << 32) + ranks).argsort()[: self._best]
        pages = np.sort(np.concatenate(self._pages)) if self._pages else order[:0]
        return Nearest(rows[best], distances[best], pages, self._examined)


def _measure(base: DataIndex, rows: npt.NDArray[np.integer], point: Point, read: Reader) -> Squares:
    """Return squared distances, exact in single precision: integers below 2^24."""
    away = (base.column("features").gather(rows, read) - point).astype(np.float32)
    squares: Squares = np.einsum("ij,ij->i", away, away)
    return squares
