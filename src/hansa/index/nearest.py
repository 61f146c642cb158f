"""Find the nearest rows exactly: pages and leaves by lower bound until none can hold a nearer row.

Upon a point: the pages whose boxes of features lie nearest give a first answer; every other page that
its box does not exclude is parted into leaves of 16 rows, and those are looked at whose own boxes do
not exclude them. Equal distances are ordered by id, so what may tie is still looked at.

All sums are integers below 2^24 in single precision, and so exact in whatever order they are added.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hansa.index.bits import Rows, is_in
from hansa.index.cluster_index import Point, Squares, bound_boxes
from hansa.index.columns import Reader, windows_of
from hansa.index.data_index import DataIndex
from hansa.index.features import FEATURE_MAX, FEATURES
from hansa.index.pages import ROWS_PER_LEAF

_FIRST_PAGES = 2
_PAGES_AT_ONCE = 64
"""Of the pages that are left, as many at first, then ever more: each look may rule out the others."""
_NEVER = 1 << 30
_FURTHEST = FEATURES * (2 * FEATURE_MAX) ** 2
Numbers = npt.NDArray[np.int64]
_STEPS = np.arange(ROWS_PER_LEAF)
_MINUS_TWO = np.float32(-2)
_NONE: Numbers = np.zeros(0, dtype=np.int64)


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
    away = (base.column("features").gather(rows, read) - point).astype(np.float32)
    squares: Numbers = np.einsum("ij,ij->i", away, away).astype(np.int64)
    return squares


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
    search = _Search(base, np.array(features, dtype=np.int8), best, out, read)
    if not base.rows:
        return search.found()
    bounds = base.cluster_index.box_bounds(search.point)
    count = min(len(bounds), _FIRST_PAGES + best // ROWS_PER_LEAF)
    first = bounds.argpartition(count - 1)[:count]
    first.sort()
    search.look_at_all(first)
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
        self._rows: Numbers = _NONE
        self._squares: Squares = np.zeros(0, dtype=np.float32)
        self._pages: list[Numbers] = []
        self._examined = 0
        wide = point.astype(np.float32)
        self._twice = wide * _MINUS_TWO
        self._own = wide.dot(wide)

    def look_at_all(self, pages: Numbers) -> None:
        """Take in all rows of some pages, which rise."""
        self._pages.append(pages)
        spans = self._base.cluster_index.spans_of_pages(pages)
        rows = np.concatenate([np.arange(first, end) for first, end in spans])
        self._examined += len(rows)
        features = self._base.column("features").kept()
        norms = self._base.norms(self._read) if features is not None else None
        if features is None or norms is None:
            self._take(rows, self._squares_of(rows))
            return
        held = np.concatenate([features[first:end] for first, end in spans])
        squares = np.concatenate([norms[first:end] for first, end in spans])
        self._take(rows, self._from_norms(held, squares))

    def look(self, pages: Numbers) -> None:
        """Take in the rows of some pages, which rise, but leaves that are too far away."""
        self._pages.append(pages)
        index = self._base.cluster_index
        leaves = index.leaves_of(pages)
        boxes = self._base.column("leaves").gather_fields(leaves, self._read, ("low", "high"))
        bounds = bound_boxes(boxes["low"], boxes["high"], self.point)
        firsts, ends = index.rows_of_leaves(leaves[bounds <= self.reach])
        if not len(firsts):
            return
        rows, squares = self._measure(firsts, ends)
        self._examined += int((ends - firsts).sum())
        near = (squares <= min(self.reach, _FURTHEST)).nonzero()[0]
        self._take(rows.take(near), squares.take(near))

    def _take(self, rows: Numbers, squares: Squares) -> None:
        """Keep of more rows, and those kept, what can be among the nearest."""
        if len(self._out):
            stay = ~is_in(rows, self._out)
            rows, squares = rows[stay], squares[stay]
        if len(self._rows):
            rows = np.concatenate((self._rows, rows))
            squares = np.concatenate((self._squares, squares))
        if len(rows) > self._best:
            # Of many rows only those as near as the k-th can stay; ties are kept for the ids.
            last = self._best - 1
            ordered = squares.copy()
            ordered.partition(last)
            self.reach = int(ordered[last])
            close = (squares <= self.reach).nonzero()[0]
            rows, squares = rows[close], squares[close]
        elif len(rows) == self._best:
            self.reach = int(squares.max())
        self._rows, self._squares = rows, squares

    def _measure(self, firsts: Numbers, ends: Numbers) -> tuple[Numbers, Squares]:
        """Return rows and squared distances, (n,) each, of leaves; never where there is no row."""
        rows = firsts[:, None] + _STEPS
        beyond = rows >= ends[:, None]
        held = self._base.column("features").windows(firsts, ROWS_PER_LEAF, self._read)
        norms = self._base.norms(self._read) if held is not None else None
        if held is None or norms is None:
            rows = rows[~beyond]
            return rows, self._squares_of(rows)
        squares = windows_of(norms, firsts, ROWS_PER_LEAF).reshape(-1)
        squares = self._from_norms(held.reshape(-1, FEATURES), squares)
        squares[beyond.reshape(-1)] = _NEVER
        return rows.reshape(-1), squares

    def _from_norms(self, features: npt.NDArray[np.int8], norms: Squares) -> Squares:
        """Return the squared distances of features (n, d) whose |x|² are known, (n,)."""
        # |x - p|² = |x|² - 2 x·p + |p|²
        squares: Squares = features.astype(np.float32).dot(self._twice)
        squares += norms
        squares += self._own
        return squares

    def _squares_of(self, rows: Numbers) -> Squares:
        """Return the squared distances of rows that are read for it, (n,)."""
        features = self._base.column("features").gather(rows, self._read)
        away = (features - self.point.astype(np.int16)).astype(np.float32)
        squares: Squares = np.einsum("ij,ij->i", away, away)
        return squares

    def found(self) -> Nearest:
        """Return the nearest in order."""
        rows, squares = self._rows, self._squares
        rank = self._base.column("rank")
        if not rank.is_kept():
            order = rows.argsort()
            rows, squares = rows[order], squares[order]
        distances = squares.astype(np.int64)
        best = ((distances << 32) + rank.gather(rows, self._read)).argsort()[: self._best]
        pages = np.sort(np.concatenate(self._pages)) if self._pages else _NONE
        return Nearest(rows[best].astype(np.uint32), distances[best], pages, self._examined)
