"""Tests of hansa.storage.condemned: rows come and go with what is dead."""

import hashlib

import pytest

from hansa.storage.condemned import CHUNK_ROW, MANIFEST_ROW
from tests.unit.storage.keeping import DAY, HOUR, City, digests, settle

NOISE = hashlib.shake_256(b"collect").digest(1_200_000)
SHARED, ONE, TWO = NOISE[:400_000], NOISE[400_000:700_000], NOISE[700_000:]


@pytest.fixture
def city(tmp_path):
    """A store without anything in it."""
    return City(folder=tmp_path)


def test_condemned_rows_go_with_their_chunks(city):
    """A chunk that is needed again is condemned no more, and no row is left of what is gone."""
    upload = city.begin({"a": ONE})
    city.send(upload)
    city.chunks.flush()
    city.pass_time(2 * DAY)
    assert city.collect().chunks_condemned == len(digests(upload))
    city.attest(upload)
    city.commit(upload)
    city.pass_time(HOUR)
    city.collect()
    assert [] == list(city.table.scan(CHUNK_ROW))
    city.retire(upload)
    city.chunks.flush()
    settle(city)
    settle(city)
    assert [] == list(city.table.scan(CHUNK_ROW))
    assert [] == list(city.table.scan(MANIFEST_ROW))
