"""What the upper layers know of the data index without reading it: pages, clusters, columns' forms.

A page is up to 256 neighbouring rows of one cluster; its bounds of place, time and features lie in
memory, about 90 bytes each. Rows of a cluster are split where they differ most, so that what is alike
lies on one page and bounds are narrow.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from hansa.index.features import FEATURES
from hansa.index.records import IndexRecord
from hansa.types import Digest

ROWS_PER_PAGE = 256
ROWS_PER_LEAF = 16
"""A page is parted further, for nearness alone."""
DAY_MS = 86_400_000
NOWHERE = (1 << 31) - 1
"""Bounds of a page without boxes or intervals are inside out: from this to minus this."""

PAGE = np.dtype(
    [
        ("cluster", "<u4"),
        ("first", "<u4"),
        ("rows", "<u4"),
        ("box", "<i4", (4,)),
        ("days", "<i4", (2,)),
        ("low", "i1", (FEATURES,)),
        ("high", "i1", (FEATURES,)),
    ]
)
"""cluster: its place among the clusters with rows; first: its first row; days: since 1970, clipped."""
CLUSTER = np.dtype(
    [
        ("number", "<u4"),
        ("first_page", "<u4"),
        ("pages", "<u4"),
        ("first", "<u4"),
        ("rows", "<u4"),
    ]
)
"""number: its place among the centres."""
NAMES = np.dtype([("dataset", "u1", (16,)), ("digest", "u1", (32,))])
WHERE = np.dtype([("flags", "u1"), ("box", "<i4", (4,)), ("interval", "<i8", (2,))])
HAS_BOX, HAS_INTERVAL = 1, 2
FEATURE = np.dtype(("i1", (FEATURES,)))
PLACE = np.dtype([("offset", "<u8"), ("length", "<u4"), ("checksum", "<u4")])
RANK = np.dtype("<u4")
FACETS = np.dtype([("start", "<u4"), ("count", "<u4")])
CELL = np.dtype([("code", "<u8"), ("start", "<u8")])
LEAF = np.dtype([("low", "i1", (FEATURES,)), ("high", "i1", (FEATURES,))])
COLUMNS = {
    "names": NAMES,
    "where": WHERE,
    "features": FEATURE,
    "records": PLACE,
    "rank": RANK,
    "order": RANK,
    "facets": FACETS,
    "facet_values": RANK,
    "facet_names": PLACE,
    "cells": CELL,
    "cell_rows": RANK,
    "leaves": LEAF,
}
"""rank: a row's place in the order of ids; order: the row at each place; cells: of place and time."""


@dataclass(frozen=True, slots=True)
class Row:
    """One living dataset in its cluster."""

    record: IndexRecord
    cluster: int
    digest: Digest
    """Of the record."""


def arrange(features: npt.NDArray[np.int8], clusters: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:  # fmt: skip
    """Return rows (n,) cluster by cluster, near ones on one page.

    A cluster is halved at the feature in which its rows differ most, at a multiple of a page, until
    what is left is a page, and so on to leaves. Ties keep the given order.
    """
    order = np.argsort(clusters, kind="stable")
    bounds = np.flatnonzero(np.diff(clusters[order], prepend=-1, append=-1))
    for start, end in pairwise(bounds):
        stack = [(int(start), int(end))]
        while stack:
            low, high = stack.pop()
            step = ROWS_PER_PAGE if high - low > ROWS_PER_PAGE else ROWS_PER_LEAF
            parts = -(-(high - low) // step)
            if parts < 2:
                continue
            rows = order[low:high]
            part = features[rows]
            column = part[:, _widest(part)]
            order[low:high] = rows[column.argsort(kind="stable")]
            middle = low + parts // 2 * step
            stack += [(low, middle), (middle, high)]
    return order


def _widest(part: npt.NDArray[np.int8]) -> int:
    """Return the feature that varies most, the first of equals."""
    # Integers below 2^53: the same on every machine. n² times the variance.
    wide = part.astype(np.int64)
    sums = wide.sum(axis=0)
    return int((len(part) * np.einsum("ij,ij->j", wide, wide) - sums * sums).argmax())


def bound_leaves(
    pages: npt.NDArray[np.void], features: npt.NDArray[np.int8]
) -> npt.NDArray[np.void]:
    """Return the bounds of the leaves of pages, (leaves,) of `LEAF`; each page begins a leaf."""
    starts = leaf_rows(pages["first"], pages["rows"])
    leaves = np.zeros(len(starts), dtype=LEAF)
    if len(starts):
        leaves["low"] = np.minimum.reduceat(features, starts, axis=0)
        leaves["high"] = np.maximum.reduceat(features, starts, axis=0)
    return leaves


def leaf_rows(firsts: npt.NDArray[Any], rows: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """Return the first row of each leaf of pages, given by first row and number of rows."""
    counts = -(-rows.astype(np.int64) // ROWS_PER_LEAF)
    return ranges(firsts, counts, ROWS_PER_LEAF)


def ranges(
    firsts: npt.NDArray[Any], counts: npt.NDArray[Any], step: int = 1
) -> npt.NDArray[np.int64]:
    """Return the numbers from each first in steps, so many each, side by side."""
    sizes = counts.astype(np.int64)
    ends = sizes.cumsum()
    total = int(ends[-1]) if len(ends) else 0
    # What each stretch is ahead of counting on from nought.
    shifts = ends - sizes
    shifts *= -step
    shifts += firsts
    numbers = shifts.repeat(sizes)
    numbers += np.arange(0, step * total, step)
    return numbers


def bound_pages(
    clusters: npt.NDArray[np.int64],
    where: npt.NDArray[np.void],
    features: npt.NDArray[np.int8],
) -> npt.NDArray[np.void]:
    """Return the pages of rows that are in order, (pages,) of `PAGE`."""
    spans = list(_page_spans(clusters))
    pages = np.zeros(len(spans), dtype=PAGE)
    for number, (cluster, low, high) in enumerate(spans):
        page = pages[number]
        page["cluster"], page["first"], page["rows"] = cluster, low, high - low
        part = where[low:high]
        boxes = part["box"][part["flags"] & HAS_BOX > 0]
        page["box"] = (NOWHERE, NOWHERE, -NOWHERE, -NOWHERE)
        if len(boxes):
            page["box"] = (*boxes[:, :2].min(axis=0), *boxes[:, 2:].max(axis=0))
        times = part["interval"][part["flags"] & HAS_INTERVAL > 0] // DAY_MS
        page["days"] = (NOWHERE, -NOWHERE)
        if len(times):
            page["days"] = (clip_day(int(times[:, 0].min())), clip_day(int(times[:, 1].max())))
        page["low"] = features[low:high].min(axis=0)
        page["high"] = features[low:high].max(axis=0)
    return pages


def clip_day(day: int) -> int:
    """Return a day that fits in a page's bounds; a clipped one still rules nothing out wrongly."""
    return max(1 - NOWHERE, min(NOWHERE - 1, day))


def _page_spans(clusters: npt.NDArray[np.int64]) -> Iterator[tuple[int, int, int]]:
    """Yield the place of the cluster, first row and end of each page."""
    bounds = np.flatnonzero(np.diff(clusters, prepend=-1, append=-1)).tolist()
    for place, (start, end) in enumerate(pairwise(bounds)):
        for low in range(start, end, ROWS_PER_PAGE):
            yield place, low, min(end, low + ROWS_PER_PAGE)
