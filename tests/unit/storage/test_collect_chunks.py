"""Tests of hansa.storage.collect_chunks: what an upload rests on stays, whenever it was told so."""

import hashlib

import pytest

from hansa import limits
from hansa.errors import MissingError
from tests.unit.storage.keeping import DAY, City, digests, settle

NOISE = hashlib.shake_256(b"collect").digest(1_200_000)
SHARED, ONE, TWO = NOISE[:400_000], NOISE[400_000:700_000], NOISE[700_000:]


@pytest.fixture
def city(tmp_path):
    """A store without anything in it."""
    return City(folder=tmp_path)


def attested_and_condemned(city):
    """Return an upload whose lease is over and whose chunks one collection found dead."""
    upload = city.begin({"a": ONE})
    city.send(upload)
    city.attest(upload)
    city.chunks.flush()
    city.pass_time(2 * DAY)
    city.collect(0)
    return upload


def test_what_an_upload_was_told_to_reuse_stays_through_retirement(city):
    """Look-up, retirement, two collections without grace, then the manifest: whole."""
    first = city.publish({"shared": SHARED})
    city.chunks.flush()
    city.pass_time(2 * DAY)
    second = city.begin({"shared": SHARED, "two": TWO})
    assert len(second.built.uploads) < len(second.built.directory.entries)
    city.retire(first)
    for _ in range(3):
        city.collect(0)
    city.send(second)
    city.attest(second)
    assert city.commit(second) is not None
    settle(city)
    assert city.read(second) == second.files


def test_a_slow_upload_is_told_to_send_again(city):
    """Beyond its lease what it reuses may be gone: then nothing is attested."""
    first = city.publish({"shared": SHARED})
    city.chunks.flush()
    second = city.begin({"shared": SHARED, "two": TWO})
    city.retire(first)
    settle(city)
    city.send(second)
    with pytest.raises(MissingError, match="Publish again"):
        city.attest(second)
    again = city.publish({"shared": SHARED, "two": TWO})
    assert city.read(again) == again.files


@pytest.mark.parametrize("phase", ["mark", "chunks"])
def test_a_look_up_while_a_collection_runs_is_kept(city, monkeypatch, phase):
    """A version named in the middle of a run, then retired at once, stays for who was told of it."""
    monkeypatch.setattr(limits, "COLLECT_BATCH_CHUNKS", 3)
    first = city.publish({"shared": SHARED})
    city.chunks.flush()
    city.pass_time(2 * DAY)
    begun = []

    def progress(now, _done, _total):
        if now == phase and not begun:
            begun.append(city.begin({"shared": SHARED, "two": TWO}))
            city.retire(first)

    city.collect(0, progress=progress)
    for _ in range(3):
        city.collect(0)
    (second,) = begun
    assert len(second.built.uploads) < len(second.built.directory.entries)
    city.send(second)
    city.attest(second)
    assert city.commit(second) is not None
    assert city.read(second) == second.files


def test_a_lease_after_the_mark_is_seen_at_the_decision(city, monkeypatch):
    """A dead version attested anew between mark and forgetting keeps its ripe chunks."""
    upload = attested_and_condemned(city)

    def progress(phase, done, total):
        if phase == "mark" and done == total:
            city.attest(upload)

    report = city.collect(0, progress=progress)
    assert (0, 0) == (report.chunks_forgotten, report.manifests_deleted)
    assert city.commit(upload) is not None
    assert city.read(upload) == upload.files


def test_a_collection_between_the_look_and_the_signature_takes_nothing(city, monkeypatch):
    """The lease is there before the node looks whether all is stored, not after."""
    upload = attested_and_condemned(city)
    look = city.versions.missing

    def slow_look(directory):
        found = look(directory)
        city.collect(0)
        return found

    monkeypatch.setattr(city.versions, "missing", slow_look)
    facts = city.versions.attest(upload.built.root, limits.UPLOAD_LEASE_MS)
    upload.attested_until = facts.leased_until_ms
    assert look(upload.built.directory) == []
    assert city.commit(upload) is not None
    assert city.read(upload) == upload.files


def test_a_clock_that_goes_back_only_delays(city):
    """What was condemned in the future begins its grace anew."""
    upload = city.publish({"a": ONE})
    city.chunks.flush()
    city.retire(upload)
    city.pass_time(900 * DAY)
    city.collect()
    city.clock.time_ms -= 800 * DAY
    assert city.collect().chunks_condemned == len(digests(upload))
    city.pass_time(DAY)
    assert city.collect().chunks_forgotten == len(digests(upload))
