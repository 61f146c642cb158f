"""Tests of hansa.storage.collection: what is counted to which pack."""

import msgspec
import pytest

from hansa.storage.collection import Collection, CollectOptions
from hansa.storage.marking import NO_CLUSTER
from hansa.storage.progress import no_progress
from hansa.storage.repacking import PackUse
from tests.unit.storage.keeping import DAY, City


@pytest.fixture
def city(tmp_path):
    """A store with one sealed pack."""
    made = City(folder=tmp_path)
    made.publish({"a": b"x" * 5_000}, cluster=3)
    made.chunks.flush()
    return made


def begin(city):
    """Return a run that knows no pack yet."""
    return Collection(city.versions, city.keys, CollectOptions(), no_progress, city.clock.now_ms())


def test_what_lives_is_counted_to_its_cluster_or_to_its_pack(city):
    """Without a cluster of its own a chunk counts for the one its pack was gathered for."""
    run = begin(city)
    ((_, stored),) = [
        item for item in city.chunks.index.stored()
        if not city.versions.manifests.is_bundle(item[1].address.pack)
    ]  # fmt: skip
    use = run.uses[stored.address.pack] = PackUse(stored.address.pack, 3, 9_000, is_fresh=False)
    run.count(stored, NO_CLUSTER)
    run.count(stored, 8)
    length = stored.address.length
    assert (2, 2 * length) == (use.living_chunks, use.living_bytes)
    assert use.by_cluster == {3: length, 8: length}
    strange = msgspec.structs.replace(stored.address, pack=bytes(32))
    run.count(msgspec.structs.replace(stored, address=strange), 8)
    assert list(run.uses) == [stored.address.pack]


def test_a_pack_is_fresh_or_not_for_a_whole_run(city):
    """What is told once holds until the run ends, whatever the clock says meanwhile."""
    pack = next(root for root, _ in city.chunks.packs())
    run = begin(city)
    assert run.is_fresh(pack)
    city.pass_time(2 * DAY)
    assert run.is_fresh(pack)
    assert not begin(city).is_fresh(pack)
