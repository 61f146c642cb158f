"""Pages: every row is on one, near ones together, bounds hold all of them."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from hansa.index.pages import (
    COLUMNS,
    DAY_MS,
    HAS_BOX,
    HAS_INTERVAL,
    NOWHERE,
    ROWS_PER_LEAF,
    ROWS_PER_PAGE,
    WHERE,
    arrange,
    bound_leaves,
    bound_pages,
    clip_day,
    leaf_rows,
)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 1_500), st.integers(1, 4), st.integers(0, 99))
def test_bounds_hold_every_row(count, clusters, seed):
    """Rows are permuted cluster by cluster; no row lies outside of its page's bounds."""
    draw = np.random.default_rng(seed)
    features = draw.integers(-127, 128, (count, 20)).astype(np.int8)
    labels = np.sort(draw.integers(0, clusters, count)) * 3
    order = arrange(features, draw.permutation(labels))
    assert list(range(count)) == sorted(order.tolist())
    where = np.zeros(count, dtype=WHERE)
    where["flags"] = draw.integers(0, 4, count)
    where["box"] = draw.integers(-80_000_000, 80_000_000, (count, 1)) + np.array([0, 0, 5, 5])
    where["interval"] = draw.integers(-(1 << 60), 1 << 60, (count, 1)) + np.array([0, 9])
    pages = bound_pages(labels, where, features)
    assert count == pages["rows"].sum()
    leaves, starts = bound_leaves(pages, features), leaf_rows(pages["first"], pages["rows"])
    assert set(pages["first"].tolist()) <= set(starts.tolist())
    for leaf, low, high in zip(leaves, starts, np.append(starts[1:], count), strict=False):
        assert 1 <= high - low <= ROWS_PER_LEAF
        assert (features[low:high] >= leaf["low"]).all()
        assert (features[low:high] <= leaf["high"]).all()
    for page in pages:
        rows = slice(page["first"], page["first"] + page["rows"])
        assert 1 <= page["rows"] <= ROWS_PER_PAGE
        assert len(set(labels[rows])) == 1
        assert (features[rows] >= page["low"]).all()
        assert (features[rows] <= page["high"]).all()
        boxes = where["box"][rows][where["flags"][rows] & HAS_BOX > 0]
        assert not len(boxes) or (boxes[:, :2] >= page["box"][:2]).all()
        assert not len(boxes) or (boxes[:, 2:] <= page["box"][2:]).all()
        times = where["interval"][rows][where["flags"][rows] & HAS_INTERVAL > 0]
        for start, end in times.tolist():
            assert page["days"][0] <= clip_day(start // DAY_MS)
            assert page["days"][1] >= clip_day(end // DAY_MS)
        if not len(boxes):
            assert (NOWHERE, -NOWHERE) == (page["box"][0], page["box"][2])


def test_near_rows_share_a_page():
    """Two heaps of one cluster come apart though they arrive mixed."""
    features = np.zeros((512, 20), dtype=np.int8)
    features[::2, 7] = 90
    order = arrange(features, np.zeros(512, dtype=np.int64))
    assert {0} == set(features[order[:256], 7].tolist())
    assert {90} == set(features[order[256:], 7].tolist())


def test_columns_have_fixed_forms():
    """The sizes that the format names."""
    sizes = {name: dtype.itemsize for name, dtype in COLUMNS.items()}
    assert {"names": 48, "where": 33, "features": 20, "records": 16, "rank": 4, "order": 4,
            "facets": 8, "facet_values": 4, "facet_names": 16, "cells": 16,
            "cell_rows": 4, "leaves": 40} == sizes  # fmt: skip
