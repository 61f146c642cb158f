"""Tests of hansa.storage.collect_packs: packs are merged and follow the clusters of today."""

import hashlib

import pytest

from hansa.storage.manifests import BUNDLE_CLUSTER
from tests.unit.storage.keeping import DAY, City

NOISE = hashlib.shake_256(b"collect").digest(1_200_000)
SHARED, ONE, TWO = NOISE[:400_000], NOISE[400_000:700_000], NOISE[700_000:]


@pytest.fixture
def city(tmp_path):
    """A store without anything in it."""
    return City(folder=tmp_path)


def packs(city):
    """Return cluster and number of chunks of each pack, or of manifests of each bundle."""
    return sorted((row.cluster, row.chunks) for _, row in city.chunks.packs())


def test_small_packs_are_merged_by_cluster(city):
    """Many small publishes become one pack for each cluster, and everything stays readable."""
    uploads = []
    for n in range(6):
        uploads.append(city.publish({"f": NOISE[n * 99_000 :][:99_000]}, cluster=n % 2))
        city.chunks.flush()
    assert len(packs(city)) == 12
    where = {row[0].dataset: n % 2 for n, row in enumerate(city.living.values())}
    city.pass_time(2 * DAY)
    report = city.collect(cluster_of=where.__getitem__)
    assert (12, 12) == (report.packs_rewritten, report.packs_deleted)
    assert [BUNDLE_CLUSTER, 0, 1] == [cluster for cluster, _ in packs(city)]
    for upload in uploads:
        assert city.read(upload) == upload.files
    city.pass_time(2 * DAY)
    assert city.collect(cluster_of=where.__getitem__).packs_rewritten == 0


def test_compaction_follows_the_clusters_of_today(city):
    """After the index clustered anew, what is alike lies together again."""
    first = city.publish({"f": ONE}, cluster=1)
    second = city.publish({"f": TWO}, cluster=1)
    city.chunks.flush()
    assert [BUNDLE_CLUSTER, 1] == [cluster for cluster, _ in packs(city)]
    today = {row[0].dataset: 5 if root == first.built.root else 6
             for root, row in city.living.items()}  # fmt: skip
    city.pass_time(2 * DAY)
    assert city.collect(cluster_of=today.__getitem__).packs_rewritten == 0
    assert city.collect(cluster_of=today.__getitem__, compact=True).packs_rewritten == 1
    expected = [(BUNDLE_CLUSTER, 2), (5, len(first.built.uploads)), (6, len(second.built.uploads))]
    assert expected == packs(city)
    assert (city.read(first), city.read(second)) == (first.files, second.files)
