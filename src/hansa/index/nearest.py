"""Find the nearest rows exactly: pages by rising lower bound until none can hold a nearer row.

Upon a point: the ball of each cluster bounds the distance of its rows from below; the pages of the
nearest cluster give a first answer; then every page whose cluster's ball and own box of features do not
exclude it is looked at, nearest first. Equal distances are ordered by id, so a page that may tie is
still looked at.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from hansa.index.columns import Reader
from hansa.index.data_index import DataIndex
from hansa.index.mean_shift import SCALE
from hansa.index.selecting import Rows, is_in

_FIRST_PAGES = 2
_PAGES_AT_ONCE = 16
_NEVER = np.int64(1) << 62
Keys = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Nearest:
    """What was found."""

    rows: Rows
    distances: npt.NDArray[np.int64]
    """Squared, (n,)."""
    pages: npt.NDArray[np.int64]
    """Pages looked at, rising."""
    examined: int
    """Rows on them."""


def measure(
    base: DataIndex, rows: Rows, features: Sequence[int], read: Reader
) -> npt.NDArray[np.int64]:
    """Return the squared distance of the features of some rows, (n,)."""
    return _squares(base.column("features").gather(rows, read), features)


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
    index = base.cluster_index
    search = _Search(base, features, best, out, read)
    if not base.rows:
        return search.found()
    balls = index.ball_bounds(features) // (SCALE * SCALE)
    entries = index.entries
    nearest = int(balls.argmin())
    first, count = int(entries["first_page"][nearest]), int(entries["pages"][nearest])
    boxes = index.box_bounds(features, np.arange(first, first + count))
    search.look(first + np.argsort(boxes, kind="stable")[:_FIRST_PAGES])
    left = np.flatnonzero(balls <= search.reach)
    pages = _ranges(entries["first_page"][left], entries["pages"][left])
    fresh = np.ones(base.pages, dtype=np.bool_)
    fresh[search.pages] = False
    pages = pages[fresh[pages]]
    bounds = index.box_bounds(features, pages)
    order = np.argsort(bounds, kind="stable")
    for start in range(0, len(order), _PAGES_AT_ONCE):
        part = order[start : start + _PAGES_AT_ONCE]
        part = part[bounds[part] <= search.reach]
        if not len(part):
            break
        search.look(pages[part])
    return search.found()


class _Search:
    """The nearest rows so far."""

    def __init__(
        self, base: DataIndex, features: Sequence[int], best: int, out: Rows, read: Reader
    ) -> None:
        self._base = base
        self._features = features
        self._best = best
        self._out = out
        self._read = read
        self._rows: Rows = np.zeros(0, dtype=np.uint32)
        self._keys: Keys = np.zeros(0, dtype=np.int64)
        self.pages: npt.NDArray[np.int64] = np.zeros(0, dtype=np.int64)
        self.examined = 0

    @property
    def reach(self) -> int:
        """Return the distance beyond which no row can be among the nearest."""
        return int(self._keys.max() >> 32) if len(self._keys) == self._best else int(_NEVER)

    def look(self, pages: npt.NDArray[np.int64]) -> None:
        """Take the rows of some pages in."""
        pages = np.sort(pages)
        rows = self._base.cluster_index.rows_of_pages(pages)
        self.pages = np.concatenate((self.pages, pages))
        self.examined += len(rows)
        squares = measure(self._base, rows, self._features, self._read)
        near = squares <= self.reach
        if len(self._out):
            near &= ~is_in(rows, self._out)
        rows, squares = rows[near], squares[near]
        if len(rows) > 4 * self._best:
            # Of many rows only those as near as the k-th can stay; ties are kept for the ids.
            worst = np.partition(squares, self._best - 1)[self._best - 1]
            close = squares <= worst
            rows, squares = rows[close], squares[close]
        ranks = self._base.column("rank").gather(rows, self._read)
        keys = np.concatenate((self._keys, (squares << 32) + ranks))
        rows = np.concatenate((self._rows, rows))
        if len(keys) > self._best:
            chosen = np.argpartition(keys, self._best - 1)[: self._best]
            keys, rows = keys[chosen], rows[chosen]
        self._keys, self._rows = keys, rows

    def found(self) -> Nearest:
        """Return the nearest in order."""
        order = np.argsort(self._keys)
        distances = self._keys[order] >> 32
        return Nearest(self._rows[order], distances, np.sort(self.pages), self.examined)


def _squares(table: npt.NDArray[Any], features: Sequence[int]) -> npt.NDArray[np.int64]:
    away = (table - np.array(features, dtype=np.int16)).astype(np.int32)
    return np.asarray(np.einsum("ij,ij->i", away, away), dtype=np.int64)


def _ranges(firsts: npt.NDArray[Any], counts: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """Return the numbers from each first, so many each, side by side."""
    sizes = counts.astype(np.int64)
    shifts = np.repeat(
        firsts.astype(np.int64) - np.concatenate(([0], np.cumsum(sizes)[:-1])), sizes
    )
    return np.asarray(shifts + np.arange(len(shifts)), dtype=np.int64)
