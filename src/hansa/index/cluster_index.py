"""Cluster index: the second layer. For each cluster where its rows lie, its centre and its bounds.

Kept in memory. Bounds only ever rule out: a page's box bound and a cluster's ball bound are never
above the true distance, so the nearest are found exactly.
"""

import zlib
from collections.abc import Sequence
from math import isqrt

import msgspec
import numpy as np
import numpy.typing as npt

from hansa.index.clusters import Clusters
from hansa.index.mean_shift import SCALE, Integers
from hansa.index.pages import CLUSTER, PAGE


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
        # Held in half the memory; widened when a question asks for distances.
        self._centres = clusters.centres[entries["number"]].astype(np.int32)
        wide = self._centres.astype(np.float64)
        self._centre_squares = (wide * wide).sum(axis=1)
        self._radii = entries["radius"].astype(np.float64)
        self._counts = pages["rows"].astype(np.uint16)
        self._low = np.ascontiguousarray(pages["low"])
        self._high = np.ascontiguousarray(pages["high"])

    @property
    def memory_bytes(self) -> int:
        """Return the memory of entries, centres, bounds and telling words."""
        arrays = (self.entries, self._centres, self._firsts, self._cluster_of_page)
        bounds = (self._counts, self._low, self._high, self._centre_squares, self._radii)
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
        firsts = self._firsts[pages].astype(np.int64)
        counts = self._counts[pages].astype(np.int64)
        shifts = np.repeat(firsts - np.concatenate(([0], np.cumsum(counts)[:-1])), counts)
        return (shifts + np.arange(len(shifts))).astype(np.uint32)

    def ball_bounds(self, features: Sequence[int]) -> Integers:
        """Return for each cluster a squared distance that none of its rows falls below, (k,).

        In units of 1/65,536, rounded down.
        """
        # Every sum is an integer below 2^53, so floats hold it exactly; one less than a root is below it.
        point = np.array(features, dtype=np.float64) * SCALE
        squares = (
            self._centre_squares
            - 2.0 * (self._centres.astype(np.float64) @ point)
            + float(point @ point)
        )
        gaps = np.maximum(0.0, np.floor(np.sqrt(squares)) - 1.0 - self._radii)
        return np.asarray(gaps * gaps, dtype=np.int64)

    def box_bounds(self, features: Sequence[int], pages: npt.NDArray[np.int64]) -> Integers:
        """Return for some pages a squared distance that none of their rows falls below."""
        point = np.array(features, dtype=np.int16)
        low, high = self._low[pages], self._high[pages]
        gaps = np.maximum(low - point, point - high)
        np.maximum(gaps, 0, out=gaps)
        wide = gaps.astype(np.int32)
        return np.asarray(np.einsum("ij,ij->i", wide, wide), dtype=np.int64)


def measure_radius(features: Integers, centre: Integers) -> int:
    """Return the distance of the furthest row (n, d) from a centre (d,), in 1/256, rounded up."""
    away = features * SCALE - centre
    return isqrt(int((away * away).sum(axis=1).max())) + 1


def pack_words(words: Sequence[Sequence[str]]) -> bytes:
    """Return the telling words of clusters as few bytes as may be."""
    return zlib.compress(msgspec.msgpack.encode([list(part) for part in words]), 9)
