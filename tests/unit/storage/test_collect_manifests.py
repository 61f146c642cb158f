"""Tests of hansa.storage.collect_manifests: what has no version goes, with its data key."""

import hashlib

import pytest

from hansa import limits
from tests.unit.storage.keeping import DAY, City

NOISE = hashlib.shake_256(b"collect").digest(1_200_000)
SHARED, ONE, TWO = NOISE[:400_000], NOISE[400_000:700_000], NOISE[700_000:]


@pytest.fixture
def city(tmp_path):
    """A store without anything in it."""
    return City(folder=tmp_path)


def test_interrupted_publishes_are_reclaimed(city):
    """Chunks without a manifest, and a manifest without a block, go after lease and grace."""
    begun = city.begin({"a": ONE})
    city.send(begun)
    stored = city.begin({"b": TWO})
    city.send(stored)
    city.attest(stored)
    city.chunks.flush()
    city.pass_time(limits.UPLOAD_LEASE_MS // 2)
    report = city.collect(0)
    assert (0, 0) == (report.chunks_condemned, report.manifests_condemned)
    city.pass_time(limits.UPLOAD_LEASE_MS)
    city.collect(0)
    report = city.collect(0)
    assert (1, 2) == (report.manifests_deleted, report.packs_deleted)
    assert city.store.objects == {}
    assert city.keys.destroyed == [stored.built.root]


def test_a_manifest_put_anew_while_others_are_deleted_stays(city):
    """Each deletion looks at the leases of its moment, not at those of the run's begin."""
    uploads = [city.begin({"a": ONE}), city.begin({"b": TWO})]
    for upload in uploads:
        city.send(upload)
        city.attest(upload)
    city.chunks.flush()
    city.pass_time(2 * DAY)
    city.collect(0)
    second = max(uploads, key=lambda upload: upload.built.root)

    def progress(phase, done, _total):
        if (phase, done) == ("manifests", 1):
            city.versions.put_manifest(second.built.manifest)

    assert city.collect(0, progress=progress).manifests_deleted == 1
    assert city.stored_manifests() == {second.built.root}
    assert second.built.root in city.keys.kept
