"""Tests of hansa.storage.collect: what is needed stays, what is dead goes, and doubt stops it all."""

import dataclasses
import hashlib

import pytest

from hansa import limits
from hansa.errors import ConflictError, CorruptError, MissingError, UnavailableError
from hansa.storage import collect as module
from hansa.storage.collect import collected_ms
from hansa.storage.manifests import BUNDLE_CLUSTER
from hansa.storage.memory import MemoryStore
from hansa.storage.names import MANIFESTS, PACKS, name_manifest, name_pack
from hansa.storage.table import MemoryTable
from tests.unit.storage.keeping import DAY, HOUR, City, spoil_manifest

NOISE = hashlib.shake_256(b"collect").digest(1_200_000)
SHARED, ONE, TWO = NOISE[:400_000], NOISE[400_000:700_000], NOISE[700_000:]


@pytest.fixture
def city(tmp_path):
    """A store without anything in it."""
    return City(folder=tmp_path)


def digests(upload):
    """Return the sealed digests of a version."""
    return {entry.sealed_digest for entry in upload.built.directory.entries}


def sealed_bytes(city):
    """Return all bytes of the store and the journal."""
    files = [path.read_bytes() for path in city.folder.rglob("*") if path.is_file()]
    return b"".join([*city.store.objects.values(), *files])


def settle(city, **options):
    """Collect in both phases, with all leases and freshness over."""
    city.pass_time(2 * DAY)
    city.collect(**options)
    city.pass_time(2 * DAY)
    return city.collect(**options)


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
    upload = city.begin({"a": ONE})
    city.send(upload)
    city.attest(upload)
    city.chunks.flush()
    city.pass_time(2 * DAY)
    city.collect(0)

    def progress(phase, done, total):
        if phase == "mark" and done == total:
            city.attest(upload)

    report = city.collect(0, progress=progress)
    assert (0, 0) == (report.chunks_forgotten, report.manifests_deleted)
    assert city.commit(upload) is not None
    assert city.read(upload) == upload.files


def test_a_collection_between_the_look_and_the_signature_takes_nothing(city, monkeypatch):
    """The lease is there before the node looks whether all is stored, not after."""
    upload = city.begin({"a": ONE})
    city.send(upload)
    city.attest(upload)
    city.chunks.flush()
    city.pass_time(2 * DAY)
    city.collect(0)
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


# --- packs --------------------------------------------------------------------------------------


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
    assert [] == list(city.table.scan(module._CHUNK_ROW))
    city.retire(upload)
    city.chunks.flush()
    settle(city)
    settle(city)
    assert [] == list(city.table.scan(module._CHUNK_ROW))
    assert [] == list(city.table.scan(module._MANIFEST_ROW))


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
