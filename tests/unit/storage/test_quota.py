"""Tests of hansa.storage.quota: the bound holds, and nothing of what is refused is written."""

import hashlib

import pytest

from hansa import limits
from hansa.errors import StoreQuotaError
from hansa.storage.quota import Quota, used_bytes
from tests.unit.storage.keeping import City

NOISE = hashlib.shake_256(b"quota").digest(600_000)


@pytest.fixture
def city(tmp_path):
    """An empty store."""
    return City(folder=tmp_path)


def everything(city):
    """Return all that is stored."""
    files = {p: p.read_bytes() for p in city.folder.rglob("*") if p.is_file()}
    return dict(city.table.rows), dict(city.store.objects), files


def test_no_bound(city):
    """Without a quota everything passes."""
    Quota(city.versions, 0)
    city.publish({"a": NOISE})


def test_uploads_beyond_the_quota_are_refused_before_anything_is_written(city):
    """Chunks and manifest alike; what was stored stays readable and can be sent again."""
    first = city.publish({"a": NOISE[:300_000]})
    quota = Quota(city.versions, used_bytes(city.versions) + 1_000)
    second = city.begin({"b": NOISE})
    before = everything(city)
    with pytest.raises(StoreQuotaError, match="nothing of this upload") as caught:
        city.send(second)
    assert before == everything(city)
    assert (507, "store-quota", False) == (
        caught.value.http_status, caught.value.code, caught.value.retryable,
    )  # fmt: skip
    assert "collect" in caught.value.remedy
    assert city.read(first) == first.files
    city.chunks.put(first.built.uploads, 1)
    quota.quota_bytes += 700_000
    second.sent = 0
    city.send(second)
    quota.quota_bytes = quota.used_bytes()
    with pytest.raises(StoreQuotaError):
        city.attest(second)
    assert second.built.root not in city.stored_manifests()
    quota.quota_bytes += 100_000
    city.attest(second)
    assert city.commit(second) is not None


@pytest.mark.parametrize("bundled_max", [0, limits.BUNDLED_MANIFEST_BYTES_MAX])
def test_used_bytes_are_those_on_disk(city, bundled_max, monkeypatch):
    """Packs, journal and living large manifests, through sealing, retiring and a restart."""
    monkeypatch.setattr(limits, "BUNDLED_MANIFEST_BYTES_MAX", bundled_max)
    one, two = city.publish({"a": NOISE[:200_000]}), city.publish({"b": NOISE[200_000:]})

    def expected():
        packed = sum(len(data) for name, data in city.store.objects.items() if "packs" in name)
        living = [row[1] for row in city.living.values()]
        large = [len(b.manifest) for b in living if len(b.manifest) > bundled_max]
        return packed + city.chunks.waiting_bytes() + sum(large)

    assert expected() == used_bytes(city.versions)
    city.chunks.flush()
    assert expected() == used_bytes(city.versions)
    city.retire(one)
    assert expected() == used_bytes(city.versions)
    city.crash()
    assert expected() == used_bytes(city.versions)
    city.versions.bind(two.built.root, city.living[two.built.root][0])
    assert expected() == used_bytes(city.versions)


def test_sizes_are_readable(city):
    """The message is for people."""
    quota = Quota(city.versions, 5 << 30)
    with pytest.raises(StoreQuotaError, match=r"5\.0 GiB, and holds 0 B"):
        quota.admit(6 << 30)
