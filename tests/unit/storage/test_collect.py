"""Tests of hansa.storage.collect: what is needed stays, what is dead goes, and doubt stops it all."""

import dataclasses
import hashlib

import pytest

from hansa import limits
from hansa.errors import ConflictError, CorruptError, UnavailableError
from hansa.storage.collect import collected_ms
from hansa.storage.memory import MemoryStore
from hansa.storage.names import MANIFESTS, PACKS, name_manifest, name_pack
from hansa.storage.table import MemoryTable
from tests.unit.storage.keeping import DAY, City, digests, settle, spoil_manifest

NOISE = hashlib.shake_256(b"collect").digest(1_200_000)
SHARED, ONE, TWO = NOISE[:400_000], NOISE[400_000:700_000], NOISE[700_000:]


@pytest.fixture
def city(tmp_path):
    """A store without anything in it."""
    return City(folder=tmp_path)


def sealed_bytes(city):
    """Return all bytes of the store and the journal."""
    files = [path.read_bytes() for path in city.folder.rglob("*") if path.is_file()]
    return b"".join([*city.store.objects.values(), *files])


def snapshot(city):
    """Return everything that a run could change but leases, condemnations and damage marks."""
    rows = {key: row for key, row in city.table.rows.items() if key[:1] not in b"dgGult"}
    return rows, dict(city.store.objects), dict(city.keys.kept)


def test_a_retired_version_goes_in_two_phases_after_the_grace(city):
    """Condemned first, kept for the grace period, then gone; what is shared stays readable."""
    first = city.publish({"shared": SHARED, "one": ONE})
    second = city.publish({"shared": SHARED, "two": TWO})
    assert digests(first) & digests(second)
    city.chunks.flush()
    city.retire(first)
    only_first = digests(first) - digests(second)
    city.pass_time(2 * DAY)
    report = city.collect()
    assert (len(only_first), 1) == (report.chunks_condemned, report.manifests_condemned)
    assert (0, 0) == (report.chunks_forgotten, report.manifests_deleted)
    city.pass_time(DAY - 1)
    report = city.collect()
    assert (len(only_first), 1) == (report.chunks_waiting, report.manifests_waiting)
    assert city.stored_digests() == digests(first) | digests(second)
    assert first.built.root in city.keys.kept
    city.pass_time(1)
    report = city.collect()
    assert len(only_first) == report.chunks_forgotten
    assert (1, 1) == (report.manifests_deleted, report.keys_destroyed)
    assert city.stored_digests() == digests(second)
    assert {second.built.root} == set(city.keys.kept)
    assert city.stored_manifests() == {second.built.root}
    assert city.read(second) == second.files
    assert city.clock.time_ms == collected_ms(city.table)


def test_what_is_collected_leaves_the_disk(city):
    """No sealed byte of a dead chunk is left once its pack is written anew."""
    first = city.publish({"shared": SHARED, "one": ONE})
    second = city.publish({"shared": SHARED, "two": TWO})
    city.chunks.flush()
    city.retire(first)
    gone = [u.sealed for u in first.built.uploads if u.chunk not in
            {entry.chunk for entry in second.built.directory.entries}]  # fmt: skip
    assert all(sealed in sealed_bytes(city) for sealed in gone)
    report = settle(city, compact=True)
    assert report.packs_deleted == 1
    assert report.bytes_freed > sum(map(len, gone)) - 10_000
    assert not any(sealed in sealed_bytes(city) for sealed in gone)
    assert city.read(second) == second.files
    city.crash()
    assert city.read(second) == second.files


def test_a_wholly_dead_store_becomes_empty(city):
    """Nothing is left but rows that say so."""
    uploads = [city.publish({"f": NOISE[n * 99_000 :][:99_000]}) for n in range(3)]
    for upload in uploads:
        city.retire(upload)
    city.chunks.flush()
    settle(city)
    assert city.store.objects == {}
    assert city.stored_digests() == set()
    city.crash()
    assert city.stored_digests() == set()


def test_an_idle_chain_ends_no_attested_lease(city):
    """The clock alone does not: a block of an earlier time may still come."""
    upload = city.begin({"a": ONE})
    city.send(upload)
    city.attest(upload)
    city.chunks.flush()
    city.clock.time_ms += 1_000 * DAY
    for _ in range(3):
        city.collect(0)
    assert city.stored_digests() == digests(upload)
    assert city.versions.attest(upload.built.root, 0).chunks == len(digests(upload))


def test_a_dry_run_changes_nothing(city):
    """It says what would go, in both phases."""
    upload = city.publish({"a": ONE})
    city.chunks.flush()
    city.retire(upload)
    city.pass_time(2 * DAY)
    before = dict(city.table.rows)
    report = city.collect(dry_run=True)
    assert (before, len(digests(upload))) == (city.table.rows, report.chunks_condemned)
    city.collect()
    city.pass_time(2 * DAY)
    before, objects = dict(city.table.rows), dict(city.store.objects)
    report = city.collect(dry_run=True)
    assert (len(digests(upload)), 1, 1) == (
        report.chunks_forgotten, report.manifests_deleted, report.packs_deleted,
    )  # fmt: skip
    assert (before, objects) == (city.table.rows, city.store.objects)


# --- doubt stops it -----------------------------------------------------------------------------


@dataclasses.dataclass
class Doubt(MemoryStore):
    """A store that can be told to fail or to lie about what it holds."""

    def __init__(self):
        super().__init__()
        self.fails = ""
        self.hides = ""

    def list(self, prefix):
        """List, unless told otherwise."""
        if self.fails == prefix:
            raise UnavailableError("The listing failed.")
        names = [name for name in super().list(prefix) if name != self.hides]
        if self.fails == f"late {prefix}":
            return self._break(names)
        return iter(names)

    @staticmethod
    def _break(names):
        yield from names[:1]
        raise UnavailableError("The listing broke off.")


@pytest.fixture(params=[0, limits.BUNDLED_MANIFEST_BYTES_MAX])
def doubtful(tmp_path, monkeypatch, request):
    """A store with ripe garbage, and one living version, that can be told to misbehave."""
    monkeypatch.setattr(limits, "BUNDLED_MANIFEST_BYTES_MAX", request.param)
    city = City(Doubt(), tmp_path)
    dead, living = city.publish({"a": ONE}), city.publish({"b": TWO})
    city.chunks.flush()
    city.retire(dead)
    city.pass_time(2 * DAY)
    city.collect()
    city.pass_time(2 * DAY)
    city.survivor = living
    return city


@pytest.mark.parametrize("fails", [MANIFESTS, PACKS, f"late {MANIFESTS}", f"late {PACKS}"])
def test_a_listing_that_fails_deletes_nothing(doubtful, fails):
    """At once or in the middle; the next run, with a sound listing, collects."""
    before = snapshot(doubtful)
    doubtful.store.fails = fails
    with pytest.raises(UnavailableError):
        doubtful.collect()
    assert before == snapshot(doubtful)
    doubtful.store.fails = ""
    assert doubtful.collect().chunks_forgotten > 0


@pytest.mark.parametrize("prefix", [MANIFESTS, PACKS])
def test_a_listing_that_is_short_deletes_nothing(doubtful, prefix):
    """What is known to be there and is not listed shows that the listing lies."""
    if prefix == MANIFESTS:
        doubtful.store.hides = name_manifest(doubtful.survivor.built.root)
        if not doubtful.store.exists(doubtful.store.hides):
            (bundle,) = doubtful.versions.manifests.bundles()
            doubtful.store.hides = name_pack(bundle)
    else:
        doubtful.store.hides = next(doubtful.store.list(PACKS))
    before = snapshot(doubtful)
    with pytest.raises(UnavailableError, match="does not list"):
        doubtful.collect()
    assert before == snapshot(doubtful)


@pytest.mark.parametrize("damage", ["missing", "changed"])
def test_a_living_manifest_that_cannot_be_read_deletes_nothing(doubtful, damage):
    """What is needed cannot be told."""
    spoil_manifest(doubtful.versions, doubtful.survivor.built.root, gone=damage == "missing")
    before = snapshot(doubtful)
    with pytest.raises(CorruptError, match="Nothing was collected"):
        doubtful.collect()
    assert before == snapshot(doubtful)


def test_a_node_that_is_not_at_the_tip_deletes_nothing(doubtful):
    """It may not know of a version yet."""
    before = snapshot(doubtful)
    doubtful.reason = "the node is not synced"
    with pytest.raises(UnavailableError, match="not synced"):
        doubtful.collect()
    assert before == snapshot(doubtful)


def test_a_version_the_chain_has_and_the_table_has_not_is_needed(city):
    """Its block is durable, its binding comes later: the chain's word counts."""
    upload = city.begin({"a": ONE})
    city.send(upload)
    city.attest(upload)
    assert city.commit(upload, bind=False) is not None
    city.chunks.flush()
    for _ in range(3):
        city.pass_time(3 * DAY)
        city.collect(0)
    city.follow()
    assert city.read(upload) == upload.files


def test_a_version_the_table_has_and_the_chain_has_not_is_needed(city):
    """A retirement whose block was not followed yet."""
    upload = city.publish({"a": ONE})
    city.chunks.flush()
    city.retire(upload, unbind=False)
    for _ in range(3):
        city.pass_time(3 * DAY)
        city.collect(0)
    assert city.stored_digests() == digests(upload)


def test_a_lost_table_holds_everything_until_all_leases_are_over(city):
    """What was attested before the loss can still be registered."""
    upload = city.begin({"a": ONE})
    city.send(upload)
    city.attest(upload)
    city.chunks.flush()
    city.chunks.close()
    city.table = MemoryTable()
    city.open()
    city.pass_time(limits.UPLOAD_LEASE_MS // 2)
    for _ in range(3):
        city.collect(0)
    assert city.commit(upload) is not None
    assert city.read(upload) == upload.files
    city.retire(upload)
    city.pass_time(limits.LEASE_MS_MAX + DAY)
    settle(city)
    assert city.store.objects == {}


def test_two_collections_at_once_are_refused(city):
    """The second says so and does nothing."""
    refused = []

    def progress(*_):
        with pytest.raises(ConflictError):
            city.collect()
        refused.append(1)

    city.publish({"a": ONE})
    city.collect(progress=progress)
    assert refused
    city.collect()


def test_a_run_cut_short_at_any_piece_is_taken_up(tmp_path, monkeypatch):
    """Stopped after each piece in turn, then begun again: the living stay, the dead go."""
    monkeypatch.setattr(limits, "COLLECT_BATCH_CHUNKS", 2)
    pieces = 0
    while True:
        city = City(folder=tmp_path / str(pieces))
        dead = city.publish({"shared": SHARED, "one": ONE})
        living = city.publish({"shared": SHARED, "two": TWO})
        city.chunks.flush()
        city.retire(dead)
        city.pass_time(2 * DAY)
        city.collect(compact=True)
        city.pass_time(2 * DAY)
        left = [pieces]

        def progress(*_, left=left):
            left[0] -= 1
            if left[0] < 0:
                raise UnavailableError("stopped")

        try:
            city.collect(compact=True, progress=progress)
            is_whole = True
        except UnavailableError:
            is_whole = False
        city.crash()
        assert city.read(living) == living.files
        settle(city, compact=True)
        assert city.stored_digests() == digests(living)
        assert city.read(living) == living.files
        city.chunks.close()
        pieces += 1
        if is_whole:
            break
    assert pieces > 5
