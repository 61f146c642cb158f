"""Tests of hansa.storage.repair: sound chunks are saved, nothing is deleted, a sound store stays as it is."""

import hashlib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hansa.errors import MissingError, UnavailableError
from hansa.storage.check import check
from hansa.storage.manifests import BUNDLE_CLUSTER
from hansa.storage.names import PACKS, name_pack
from hansa.storage.pack import HEADER
from hansa.storage.repair import repair
from hansa.storage.table import MemoryTable
from hansa.testing.versions import DIRECTORY_KEY
from tests.unit.storage.keeping import DAY, City, spoil_manifest

NOISE = hashlib.shake_256(b"repair").digest(900_000)


@pytest.fixture
def city(tmp_path):
    """An empty store."""
    return City(folder=tmp_path)


def run(city, **options):
    """Repair."""
    living = {root: row[0] for root, row in city.living.items()}
    return repair(city.versions, DIRECTORY_KEY, living, **options)


def everything(city):
    """Return all bytes of store and journal, and all rows of the table."""
    files = {p: p.read_bytes() for p in city.folder.rglob("*") if p.is_file()}
    return dict(city.store.objects), files, dict(city.table.rows)


def flip(city, name, at):
    """Change one byte of an object."""
    data = bytearray(city.store.objects[name])
    data[at] ^= 1
    city.store.objects[name] = bytes(data)


def only_pack(city):
    """Return the name of the one pack of chunks."""
    (root,) = [root for root, row in city.chunks.packs() if row.cluster != BUNDLE_CLUSTER]
    return name_pack(root)


def only_segment(city):
    """Return the file of the one segment of chunks, and let go of the store."""
    (found,) = [one for one in city.chunks.journal.list() if one.cluster != BUNDLE_CLUSTER]
    city.chunks.close()
    return found.path


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(st.integers(0, 8), st.booleans(), st.booleans(), st.integers(0, 1)), max_size=6
    ),
    st.booleans(),
)
def test_a_sound_store_stays_byte_for_byte(tmp_path_factory, steps, rebuild):
    """Whatever was published, sealed, retired or collected: a repair writes nothing."""
    city = City(folder=tmp_path_factory.mktemp("r"))
    for part, seals, retires, cluster in steps:
        upload = city.publish({"f": NOISE[part * 90_000 :][: 90_000 + part]}, cluster)
        if seals:
            city.chunks.flush()
        if retires:
            city.retire(upload)
            city.pass_time(2 * DAY)
            city.collect(0)
    before = everything(city)
    report = run(city, rebuild_table=rebuild)
    after = everything(city)
    assert before[:2] == after[:2]
    if not rebuild:
        assert before == after
    assert (0, 0, 0, (), ()) == (
        report.packs_rewritten, report.chunks_saved, report.chunks_lost, report.damages, report.hurt,
    )  # fmt: skip
    for row in city.living.values():
        assert [] == city.versions.missing(row[1].directory)
    city.chunks.close()


def test_sound_chunks_of_a_damaged_pack_are_saved(city):
    """One chunk is lost and named with its dataset; the others move; the old pack is not deleted."""
    hurt, whole = city.publish({"a": NOISE[:300_000]}), city.publish({"b": NOISE[300_000:]})
    city.chunks.flush()
    name = only_pack(city)
    flip(city, name, len(HEADER) + 5)
    before = dict(city.store.objects)
    report = run(city)
    chunks = len(hurt.built.uploads) + len(whole.built.uploads)
    assert (1, chunks - 1, 1) == (report.packs_rewritten, report.chunks_saved, report.chunks_lost)
    assert [city.living[hurt.built.root][0]] == [one.version for one in report.hurt]
    assert any(damage.name == name for damage in report.damages)
    assert before.items() <= city.store.objects.items()
    assert len(list(city.store.list(PACKS))) == 3
    assert city.read(whole) == whole.files
    again = run(city)
    assert (0, 0) == (again.packs_rewritten, again.chunks_saved)
    assert len(list(city.store.list(PACKS))) == 3
    healed = city.publish({"a": NOISE[:300_000]})
    assert len(healed.built.uploads) == 1
    assert city.read(healed) == healed.files
    city.retire(hurt)
    city.chunks.flush()
    for _ in range(2):
        city.pass_time(2 * DAY)
        city.collect()
    assert name not in city.store.objects
    assert (city.read(healed), city.read(whole)) == (healed.files, whole.files)


@pytest.mark.parametrize("what", ["trailer", "cut", "header"])
def test_a_lost_footer_is_rebuilt_from_the_table(city, what):
    """The new pack has one, so the table may be lost afterwards."""
    upload = city.publish({"a": NOISE})
    city.chunks.flush()
    name = only_pack(city)
    if what == "trailer":
        flip(city, name, len(city.store.objects[name]) - 20)
    elif what == "header":
        flip(city, name, 3)
    else:
        city.store.objects[name] = city.store.objects[name][:-100]
    report = run(city)
    assert (1, 0, ()) == (report.packs_rewritten, report.chunks_lost, report.hurt)
    city.chunks.close()
    city.table = MemoryTable()
    city.open()
    assert city.follow() == []
    assert city.read(upload) == upload.files


def test_a_dry_run_says_the_same_and_changes_nothing(city):
    """Also no mark is set."""
    city.publish({"a": NOISE})
    city.chunks.flush()
    flip(city, only_pack(city), len(HEADER) + 5)
    before = everything(city)
    dry = run(city, dry_run=True)
    assert before == everything(city)
    real = run(city)
    assert (dry.packs_rewritten, dry.chunks_saved, dry.chunks_lost) == (
        real.packs_rewritten, real.chunks_saved, real.chunks_lost,
    )  # fmt: skip


def test_a_damaged_segment_gives_its_sound_chunks(city):
    """A flipped byte in the journal costs one chunk; what was put aside is kept."""
    upload, other = city.publish({"a": NOISE[:300_000]}), city.publish({"b": NOISE[300_000:]})
    body = only_segment(city)
    data = bytearray(body.read_bytes())
    data[len(HEADER) + 7] ^= 1
    body.write_bytes(data)
    city.open()
    city.follow()
    city.chunks.flush()
    report = run(city)
    assert [city.living[upload.built.root][0]] == [one.version for one in report.hurt]
    assert city.read(other) == other.files
    assert list((city.folder / "journal").glob("*.pack.damaged"))


def test_a_segment_put_aside_and_mended_is_taken_up(city):
    """The operator puts the file back from elsewhere: its chunks are stored again, once."""
    upload = city.publish({"a": NOISE[:300_000]})
    body = only_segment(city)
    sound = body.read_bytes()
    data = bytearray(sound)
    data[len(HEADER) + 7] ^= 1
    body.write_bytes(data)
    city.open()
    city.follow()
    city.chunks.flush()
    with pytest.raises(MissingError):
        city.read(upload)
    run(city)
    (aside,) = (city.folder / "journal").glob("*.pack.damaged")
    aside.write_bytes(sound)
    report = run(city)
    assert (1, 1, ()) == (report.segments_adopted, report.chunks_saved, report.hurt)
    assert city.read(upload) == upload.files
    assert run(city).segments_adopted == 0


def test_rebuilding_the_table(city):
    """Rows that are missing or wrong come back from footers and manifests."""
    upload, other = city.publish({"a": NOISE[:500_000]}), city.publish({"b": NOISE[500_000:]})
    city.chunks.flush()
    digests = [entry.sealed_digest for entry in upload.built.directory.entries]
    city.chunks.index.forget(digests)
    assert {one.version for one in run(city).hurt} == {city.living[upload.built.root][0]}
    assert run(city, rebuild_table=True).hurt == ()
    assert (city.read(upload), city.read(other)) == (upload.files, other.files)


def test_versions_the_table_does_not_know_are_bound(city):
    """As at a start of the node."""
    upload = city.begin({"a": NOISE[:99_000]})
    city.send(upload)
    city.attest(upload)
    city.commit(upload, bind=False)
    assert run(city).versions_bound == 1
    assert city.read(upload) == upload.files


def test_a_lost_manifest_is_told(city):
    """It cannot be made again; the dataset is named."""
    upload = city.publish({"a": NOISE[:99_000]})
    city.chunks.flush()
    spoil_manifest(city.versions, upload.built.root, gone=True)
    (hurt,) = run(city).hurt
    assert (city.living[upload.built.root][0], 0) == (hurt.version, hurt.chunks_missing)
    assert hurt.bytes_missing == sum(len(chunk.sealed) for chunk in upload.built.uploads)


def test_sound_manifests_of_a_damaged_bundle_are_saved(city):
    """One is lost and named; the others move to a bundle of their own and outlive the table."""
    uploads = [city.publish({"a": NOISE[n * 90_000 :][:90_000]}) for n in range(4)]
    city.chunks.flush()
    hurt, *whole = uploads
    spoil_manifest(city.versions, hurt.built.root, gone=False)
    (damaged,) = city.versions.manifests.bundles()
    report = run(city)
    assert (1, 3, 1) == (report.packs_rewritten, report.chunks_saved, report.chunks_lost)
    assert [city.living[hurt.built.root][0]] == [one.version for one in report.hurt]
    again = run(city)
    assert (0, 0) == (again.packs_rewritten, again.chunks_saved)
    assert city.store.exists(name_pack(damaged))
    city.store.delete(name_pack(damaged))
    city.chunks.close()
    city.table = MemoryTable()
    city.open()
    assert city.follow() == [hurt.built.root]
    for upload in whole:
        assert city.read(upload) == upload.files


def test_a_repair_cut_short_is_taken_up(city):
    """After each piece in turn; in the end it is as if it had never been cut."""
    upload = city.publish({"a": NOISE})
    city.chunks.flush()
    flip(city, only_pack(city), len(HEADER) + 5)
    for pieces in range(6):
        left = [pieces]

        def progress(*_, left=left):
            left[0] -= 1
            if left[0] < 0:
                raise UnavailableError("stopped")

        try:
            run(city, progress=progress)
        except UnavailableError:
            city.crash()
    report = run(city)
    assert (0, 1) == (report.chunks_saved, len(report.hurt))
    missing = city.versions.missing(upload.built.directory)
    assert len(missing) == 1
    found = check(city.versions, DIRECTORY_KEY, read_data=True)
    assert found.hurt[0].chunks_missing == 1
