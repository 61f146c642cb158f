"""Data index file: sorted by cluster, read back, every kind of damage found."""

import numpy as np
import pytest

from hansa.errors import CorruptError
from hansa.index.clusters import Clusters
from hansa.index.data_index import DataIndex, stack_features, write_data_index
from hansa.index.files import MemoryIndexFile, MemoryIndexFiles
from hansa.index.pages import Row


@pytest.fixture(scope="module")
def rows(made):
    clusters = Clusters.none()
    rows = []
    for number in range(400):
        record = made.make_record(number)
        cluster, clusters = clusters.join(record.features)
        rows.append(Row(record, cluster, record.digest()))
    return rows, clusters


@pytest.fixture(scope="module")
def contents(rows):
    files = MemoryIndexFiles()
    write_data_index(files, "base", *rows, height=7, registered=400, feature_model=1)
    return files.files["base"][1]


def test_rows_come_back_sorted_by_cluster(rows, contents):
    """Nothing is lost; pages of one cluster lie together, in the order of the cluster index."""
    index = DataIndex(MemoryIndexFile(contents))
    found = [page.row(number) for page in index.pages() for number in range(page.entry.rows)]
    key = lambda row: row.record.dataset  # noqa: E731
    assert sorted(rows[0], key=key) == sorted(found, key=key)
    numbers = [page.cluster for page in index.footer.pages]
    assert sorted(numbers) == numbers
    for entry in index.footer.clusters:
        pages = index.footer.pages[entry.first_page : entry.first_page + entry.pages]
        assert {entry.number} == {page.cluster for page in pages}
        assert entry.rows == sum(page.rows for page in pages)
        assert entry.words
    assert (7, 400, 400) == (index.footer.height, index.footer.registered, index.rows)
    assert np.array_equal(rows[1].centres, index.clusters.centres)


def test_find_by_id(rows, contents):
    """Each dataset is found, others are not."""
    index = DataIndex(MemoryIndexFile(contents))
    for row in rows[0][::17]:
        page, number = index.find(row.record.dataset)
        assert row == page.row(number)
    assert index.find(bytes(16)) is None


def test_the_bytes_follow_from_the_rows(rows, contents):
    """Rows in another order give the same file."""
    files = MemoryIndexFiles()
    shuffled = list(reversed(rows[0]))
    write_data_index(files, "base", shuffled, rows[1], height=7, registered=400, feature_model=1)
    assert contents == files.files["base"][1]


def test_an_index_without_rows(rows):
    """All retired: a file with clusters and no rows."""
    files = MemoryIndexFiles()
    write_data_index(files, "base", [], rows[1], height=9, registered=400, feature_model=1)
    index = DataIndex(files.open("base"))
    assert (0, rows[1].count) == (index.rows, index.clusters.count)
    assert index.find(bytes(16)) is None
    assert (0, 20) == stack_features([]).shape


@pytest.mark.parametrize("kept", [0, 10, 44, 60, 5_000])
def test_a_cut_file_is_corrupt(contents, kept):
    """Wherever a file is cut it does not open."""
    with pytest.raises(CorruptError):
        DataIndex(MemoryIndexFile(contents[:kept]))


def test_no_flipped_byte_outside_the_pages_opens(contents):
    """Footer, filters and tail are checked at opening; pages when they are read."""
    index = DataIndex(MemoryIndexFile(contents))
    first = index.footer.whole_filter.offset
    for position in range(first, len(contents), 997):
        damaged = bytearray(contents)
        damaged[position] ^= 0x10
        with pytest.raises(CorruptError):
            DataIndex(MemoryIndexFile(bytes(damaged)))
