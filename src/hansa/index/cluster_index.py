"""Cluster index: the second layer. For each cluster where its rows lie, its centre and its bounds.

Kept in memory. Bounds only ever rule out: those of a page are never above the true distance, so the
nearest are found exactly.
"""

import zlib
from collections.abc import Sequence

import msgspec
import numpy as np
import numpy.typing as npt

from hansa.index.clusters import Clusters
from hansa.index.features import FEATURES
from hansa.index.pages import CLUSTER, PAGE, ROWS_PER_LEAF, leaf_rows, ranges

Point = npt.NDArray[np.int8]
"""(d,): features."""
Squares = npt.NDArray[np.float32]
"""Squared distances of features: integers below 2^24."""


_ONES = np.ones(FEATURES, dtype=np.float32)


class ClusterIndex:
    """The clusters on disk, in the order of their rows."""

    def __init__(
        self,
        entries: npt.NDArray[np.void],
        pages: npt.NDArray[np.void],
        clusters: Clusters,
        words: bytes,
    ) -> None:
        """Take entries of `CLUSTER`, pages of `PAGE`, and what `pack_words` gave."""
        assert entries.dtype == CLUSTER
        assert pages.dtype == PAGE
        self.entries = entries
        self._clusters = clusters
        self._words = words
        self._firsts = pages["first"].astype(np.uint32)
        self._cluster_of_page = pages["cluster"].astype(np.uint16 if len(entries) < 1 << 16 else np.uint32)  # fmt: skip
        self._counts = pages["rows"].astype(np.uint16)
        leaves = -(-pages["rows"].astype(np.int64) // ROWS_PER_LEAF)
        self._leaves = np.concatenate(([0], np.cumsum(leaves))).astype(np.uint32)
        starts = leaf_rows(pages["first"], pages["rows"])
        self._leaf_rows = np.append(starts, pages["rows"].sum()).astype(np.uint32)
        # Feature by feature: then all pages are compared with one number at a time.
        self._low = np.ascontiguousarray(pages["low"].T)
        self._high = np.ascontiguousarray(pages["high"].T)

    @property
    def memory_bytes(self) -> int:
        """Return the memory of entries, centres, bounds and telling words."""
        arrays = (self.entries, self._firsts, self._cluster_of_page, self._counts, self._leaves)
        bounds = (self._low, self._high, self._leaf_rows, self._clusters.centres)
        return sum(part.nbytes for part in (*arrays, *bounds)) + len(self._words)

    def label(self, place: int) -> str:
        """Return the label of the cluster at a place."""
        return self._clusters.label(int(self.entries["number"][place]))

    def words(self) -> list[list[str]]:
        """Return for each cluster what tells its rows from others, for people."""
        return msgspec.msgpack.decode(zlib.decompress(self._words), type=list[list[str]])

    def page_of(self, rows: npt.NDArray[np.uint32]) -> npt.NDArray[np.int64]:
        """Return the page of each row, (n,)."""
        return np.asarray(self._firsts.searchsorted(rows, side="right") - 1, dtype=np.int64)

    def cluster_of(self, rows: npt.NDArray[np.uint32]) -> npt.NDArray[np.int64]:
        """Return the place of each row's cluster, (n,)."""
        return self._cluster_of_page[self.page_of(rows)].astype(np.int64)

    def clusters_of_pages(self, pages: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return the places of the clusters that have one of these pages, rising."""
        return np.unique(self._cluster_of_page[pages]).astype(np.int64)

    def rows_of_pages(self, pages: npt.NDArray[np.int64]) -> npt.NDArray[np.uint32]:
        """Return all rows of some pages; `pages` rise."""
        return ranges(self._firsts[pages], self._counts[pages]).astype(np.uint32)

    def spans_of_pages(self, pages: npt.NDArray[np.int64]) -> list[tuple[int, int]]:
        """Return for each of a few pages its first row, and one more than its last."""
        firsts, counts = self._firsts[pages].tolist(), self._counts[pages].tolist()
        return [(first, first + count) for first, count in zip(firsts, counts, strict=True)]

    def box_bounds(self, point: Point) -> Squares:
        """Return for each page a squared distance that none of its rows falls below, (pages,)."""
        gaps = _gaps(self._low, self._high, point[:, None])
        gaps *= gaps
        squares: Squares = np.add.reduce(gaps, axis=0)
        return squares

    def leaves_of(self, pages: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return the numbers of the leaves of some pages, which rise."""
        starts = self._leaves.take(pages)
        return ranges(starts, self._leaves.take(pages + 1) - starts)

    def rows_of_leaves(
        self, leaves: npt.NDArray[np.int64]
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Return for some leaves their first row, and one more than their last."""
        bounds = self._leaf_rows
        return bounds.take(leaves).astype(np.int64), bounds.take(leaves + 1).astype(np.int64)


def bound_boxes(low: npt.NDArray[np.int8], high: npt.NDArray[np.int8], point: Point) -> Squares:
    """Return the squared distance of a point (d,) from boxes (n, d), exact in single precision."""
    gaps = _gaps(low, high, point)
    gaps *= gaps
    squares: Squares = gaps @ _ONES
    return squares


def _gaps(low: npt.NDArray[np.int8], high: npt.NDArray[np.int8], point: Point) -> Squares:
    """Return how far a point lies outside of boxes, feature by feature."""
    # At most 254: the difference is right as a byte without sign, in an eighth of the time.
    gaps = np.maximum(low, point) - np.minimum(high, point)
    return gaps.view(np.uint8).astype(np.float32)


def pack_words(words: Sequence[Sequence[str]]) -> bytes:
    """Return the telling words of clusters as few bytes as may be."""
    return zlib.compress(msgspec.msgpack.encode([list(part) for part in words]), 9)
