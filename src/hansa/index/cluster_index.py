"""Cluster index: the second layer. For each cluster where its pages lie, its centre and its bounds.

Kept in memory. Bounds only ever rule out: a page's box bound and a cluster's ball bound are never
above the true distance, so the nearest are found exactly.
"""

from collections.abc import Sequence
from math import isqrt

import msgspec
import numpy as np
import numpy.typing as npt

from hansa.index.mean_shift import SCALE, Integers
from hansa.index.pages import PageEntry


class ClusterEntry(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """One cluster with rows on disk."""

    number: int
    """Its place among the centres."""
    label: str
    first_page: int
    pages: int
    rows: int
    radius: int
    """No row is further from the centre, in units of 1/256, rounded up."""
    words: tuple[str, ...]
    """What tells its rows from others, for people."""


class ClusterIndex:
    """The clusters on disk, in order of their pages."""

    def __init__(
        self, entries: Sequence[ClusterEntry], pages: Sequence[PageEntry], centres: Integers
    ) -> None:
        self.entries = tuple(entries)
        self._starts = np.array([entry.first_page for entry in entries], dtype=np.int64)
        self._centres = centres[np.array([entry.number for entry in entries], dtype=np.int64)]
        self._radii = [entry.radius for entry in entries]
        self._page_counts = [entry.pages for entry in entries]
        low = b"".join(page.features_low for page in pages)
        high = b"".join(page.features_high for page in pages)
        width = centres.shape[1]
        self._low = np.frombuffer(low, dtype=np.int8).reshape(-1, width).astype(np.int16)
        self._high = np.frombuffer(high, dtype=np.int8).reshape(-1, width).astype(np.int16)

    @property
    def memory_bytes(self) -> int:
        """Return the memory of centres and bounds."""
        return int(self._centres.nbytes + self._low.nbytes + self._high.nbytes)

    def clusters_with(self, pages: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
        """Return for each cluster whether one of its pages is left, (clusters,)."""
        if not len(self._starts):
            return np.zeros(0, dtype=np.bool_)
        return np.logical_or.reduceat(pages, self._starts)

    def lower_bounds(self, features: Sequence[int]) -> Integers:
        """Return for each page a squared distance that none of its rows falls below, (pages,)."""
        point = np.array(features, dtype=np.int64)
        gaps = np.maximum(0, np.maximum(self._low - point, point - self._high))
        boxes = np.asarray((gaps * gaps).sum(axis=1), dtype=np.int64)
        away = self._centres - point * SCALE
        balls: list[int] = []
        for square, radius in zip((away * away).sum(axis=1), self._radii, strict=True):
            gap = max(0, isqrt(int(square)) - radius)
            balls.append(gap * gap // (SCALE * SCALE))
        return np.maximum(boxes, np.repeat(np.array(balls, dtype=np.int64), self._page_counts))


def measure_radius(features: Integers, centre: Integers) -> int:
    """Return the distance of the furthest row (n, d) from a centre (d,), in 1/256, rounded up."""
    away = features * SCALE - centre
    return isqrt(int((away * away).sum(axis=1).max())) + 1
