"""Writing: the file follows from the rows alone, memory budgets are kept, nothing is lost."""

import pytest

from hansa.index import rowsum
from hansa.index.clusters import Clusters
from hansa.index.data_index import DataIndex
from hansa.index.files import MemoryIndexFiles
from hansa.index.pages import Row
from hansa.index.writing import budget, write_data_index


def rows_of(made, count):
    clusters = Clusters.none()
    rows = []
    for number in range(count):
        record = made.make_record(number)
        cluster, clusters = clusters.join(record.features)
        rows.append(Row(record, cluster, record.digest()))
    return rows, clusters


def written(rows, clusters, height=7):
    files = MemoryIndexFiles()
    total = rowsum.to_bytes(rowsum.sum_rows((r.record.dataset, r.digest, r.cluster) for r in rows))
    write_data_index(
        files, "base", rows, clusters, height=height, registered=400, feature_model=1,
        rows_sum=total,
    )  # fmt: skip
    return files.files["base"][1]


@pytest.mark.parametrize("count", [0, 1, 300])
def test_the_bytes_follow_from_the_rows(made, count):
    """Rows in another order give the same file."""
    rows, clusters = rows_of(made, count)
    assert written(rows, clusters) == written(list(reversed(rows)), clusters)


def test_every_row_comes_back(made):
    """What was written is read, whatever came first."""
    rows, clusters = rows_of(made, 300)
    files = MemoryIndexFiles()
    files.write("base", (written(rows, clusters),))
    index = DataIndex(files.open("base"))
    key = lambda row: row.record.dataset  # noqa: E731
    nothing = index.column("rank").slice(0, 0, index.read)
    assert sorted(rows, key=key) == sorted(index.living(nothing), key=key)


def test_budgets_grow_more_slowly_past_65536_rows():
    """So many bytes for each of the first rows, fewer for each further one."""
    assert 4 * 1_000 == budget(1_000, 4.0, 1.0)
    assert 4 * 65_536 + 1_000_000 - 65_536 == budget(1_000_000, 4.0, 1.0)
