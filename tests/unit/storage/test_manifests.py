"""Tests of hansa.storage.manifests: bundled or not, a manifest is there once acknowledged, or told."""

import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from hansa import limits
from hansa.data.manifest import compute_root
from hansa.data.pipeline import UploadChunk
from hansa.errors import CorruptError, InvalidError, MissingError, UnavailableError
from hansa.storage.manifests import BUNDLE_CLUSTER
from hansa.storage.memory import MemoryStore
from hansa.storage.names import MANIFESTS, PACKS, name_manifest, name_pack
from hansa.storage.pack import read_footer
from hansa.storage.table import MemoryTable
from hansa.testing.versions import DIRECTORY_KEY
from tests.unit.storage.keeping import DAY, HOUR, City, spoil_manifest


class Counting(MemoryStore):
    """Counts reads, and fails at the n-th change from now."""

    def __init__(self):
        super().__init__()
        self.reads = 0
        self.changes_left = None

    def get(self, name, offset=0, length=None):
        """Read."""
        self.reads += 1
        return super().get(name, offset, length)

    def put(self, name, parts):
        """Write, unless it is away."""
        self._change()
        return super().put(name, parts)

    def delete(self, name):
        """Delete, unless it is away."""
        self._change()
        super().delete(name)

    def _change(self):
        if self.changes_left is not None:
            self.changes_left -= 1
            if self.changes_left < 0:
                raise UnavailableError("The store is away.")


@pytest.fixture
def city(tmp_path):
    """An empty store."""
    return City(Counting(), tmp_path)


def publish(city, count, **options):
    """Publish small versions; return root → manifest."""
    uploads = [city.publish({"f": b"%d" % n * 50}, **options) for n in range(count)]
    return {upload.built.root: upload.built.manifest for upload in uploads}


def test_many_small_manifests_are_one_object(city):
    """Durable in the journal first, then one bundle, of which the footer says what lies where."""
    wanted = publish(city, 40)
    assert city.store.objects == {}
    assert {root: city.versions.get_manifest(root) for root in wanted} == wanted
    city.chunks.flush()
    assert list(city.store.list(MANIFESTS)) == []
    (bundle,) = city.versions.manifests.bundles()
    footer = read_footer(city.store, name_pack(bundle), DIRECTORY_KEY)
    assert footer.cluster == BUNDLE_CLUSTER
    assert {entry.chunk for entry in footer.entries} == set(wanted)
    assert {root: city.versions.get_manifest(root) for root in wanted} == wanted
    assert city.stored_manifests() == set(wanted)


def test_neighbours_in_a_bundle_are_read_at_once(city):
    """All of them with one positioned read, in the order asked for; a repeated question too."""
    wanted = publish(city, 40)
    city.chunks.flush()
    asked = [*wanted, next(iter(wanted))]
    city.store.reads = 0
    assert list(city.versions.manifests.each(asked)) == [(root, wanted[root]) for root in asked]
    assert city.store.reads == 1


def test_what_was_read_for_a_reader_is_in_memory(city, monkeypatch):
    """Manifest, then content: one read of it; memory is bounded, and an end is an end."""
    manifests = city.versions.manifests
    wanted = publish(city, 6)
    city.chunks.flush()
    city.store.reads = 0
    for root, data in wanted.items():
        assert manifests.read(root, 0, 0) == (len(data), b"")
        assert manifests.recall(root) == data
        assert manifests.read(root, 3, 5) == (len(data), data[3:8])
    assert city.store.reads == len(wanted)
    root, data = next(iter(wanted.items()))
    with pytest.raises(InvalidError):
        manifests.read(root, 1, len(data))
    monkeypatch.setattr(limits, "MANIFESTS_RECENT_BYTES_MAX", 2 * len(data) + 1)
    city.crash()
    manifests = city.versions.manifests
    for root in wanted:
        manifests.recall(root)
        assert manifests._recent_bytes == sum(map(len, manifests._recent.values()))
        assert manifests._recent_bytes <= limits.MANIFESTS_RECENT_BYTES_MAX
    assert list(manifests._recent) == list(wanted)[-2:]
    for root in wanted:
        manifests.forget(root)
    assert (manifests._recent, manifests._recent_bytes) == ({}, 0)


def test_a_bundle_is_sealed_long_before_it_is_full(city, monkeypatch):
    """By who puts, or by whom the node has for it; a store that is away refuses no manifest."""
    monkeypatch.setattr(limits, "BUNDLE_BYTES_WAITING_MAX", 1_000)
    wanted = publish(city, 4)
    assert len(city.versions.manifests.bundles()) == 1
    city.store.changes_left = 0
    wanted |= publish(city, 8)
    assert city.chunks.trouble
    city.store.changes_left = None
    woken = []
    city.chunks.when_full = lambda: woken.append(1)
    wanted |= publish(city, 4)
    assert woken
    assert city.chunks.seal_full() >= 2
    assert {root: city.versions.get_manifest(root) for root in wanted} == wanted


def test_a_large_manifest_is_an_object_of_its_own(city, monkeypatch):
    """At the bound it is bundled, one byte above it is not; both are read alike."""
    first = city.publish({"a": b"a" * 100})
    monkeypatch.setattr(limits, "BUNDLED_MANIFEST_BYTES_MAX", len(first.built.manifest))
    same, larger = city.publish({"a": b"b" * 100}), city.publish({"a": b"c", "b": b"d"})
    city.chunks.flush()
    name = name_manifest(larger.built.root)
    assert list(city.store.list(MANIFESTS)) == [name]
    manifests, data = city.versions.manifests, larger.built.manifest
    for upload in (first, same, larger):
        assert city.versions.get_manifest(upload.built.root) == upload.built.manifest
        assert city.read(upload) == upload.files
    assert manifests.read(larger.built.root, 0, 0) == (len(data), b"")
    assert manifests.read(larger.built.root, 5, 6) == (len(data), data[5:11])
    manifests.recall(larger.built.root)
    assert larger.built.root not in manifests._recent
    city.store.objects[name] = data[:-1] + b"!"
    with pytest.raises(CorruptError):
        manifests.get(larger.built.root)


@pytest.mark.parametrize("sealed", [True, False])
def test_a_lost_table_finds_them_again(city, sealed):
    """From the footers of bundles, or from the journal; then the living versions are bound."""
    wanted = publish(city, 5)
    if sealed:
        city.chunks.flush()
    city.table = MemoryTable()
    city.chunks.close()
    city.open()
    assert city.follow() == []
    assert {root: city.versions.get_manifest(root) for root in wanted} == wanted
    for _, built, files in city.living.values():
        assert files == city.read(type("U", (), {"built": built}))


@pytest.mark.parametrize("sealed", [True, False])
def test_a_damaged_manifest_is_told_and_comes_again(city, sealed):
    """Its neighbours are read; what is put anew lies at another place and is sound."""
    wanted = publish(city, 3)
    bad, *others = wanted
    if sealed:
        city.chunks.flush()
    spoil_manifest(city.versions, bad, gone=False)
    found = dict(city.versions.manifests.each(wanted))
    assert isinstance(found[bad], CorruptError)
    assert [found[root] for root in others] == [wanted[root] for root in others]
    city.versions.put_manifest(wanted[bad])
    assert city.versions.get_manifest(bad) == wanted[bad]


def test_a_missing_bundle_is_told_for_each(city):
    """The others, in the journal, are read."""
    lost = publish(city, 2)
    city.chunks.flush()
    kept = publish(city, 1)
    (bundle,) = city.versions.manifests.bundles()
    city.store.delete(name_pack(bundle))
    found = dict(city.versions.manifests.each([*lost, *kept]))
    assert all(isinstance(found[root], MissingError) for root in lost)
    assert {root: found[root] for root in kept} == kept
    assert isinstance(dict(city.versions.manifests.each([b"?" * 32]))[b"?" * 32], MissingError)


def test_a_bundle_that_was_just_sealed_is_looked_for_again(city, monkeypatch):
    """Between look-up and read a segment becomes a pack."""
    (root, data), *_ = publish(city, 1).items()
    find = city.chunks.index.find

    def slow(roots):
        found = find(roots)
        city.chunks.flush()
        return found

    monkeypatch.setattr(city.chunks.index, "find", slow)
    assert city.versions.get_manifest(root) == data


def test_another_chunk_under_its_root_hides_nothing(city):
    """An own user may upload what they like under any id: the root judges."""
    wanted = publish(city, 2)
    for root in wanted:
        city.chunks.put([UploadChunk(root, b"", b"no manifest" + root)], 1)
    assert dict(city.versions.manifests.each(wanted)) == wanted
    assert city.stored_manifests() == set(wanted)
    city.chunks.flush()
    assert dict(city.versions.manifests.each(wanted)) == wanted
    only = b"x" * 32
    city.chunks.put([UploadChunk(only, b"", b"none at all")], 1)
    with pytest.raises(CorruptError):
        city.versions.get_manifest(only)
    assert only not in city.stored_manifests()


def test_a_table_that_names_another_place_is_not_believed(city, monkeypatch):
    """What lies there has not this root."""
    first, second = publish(city, 2)
    find = city.chunks.index.find

    def swapped(roots):
        return find([{first: second, second: first}[root] for root in roots])

    monkeypatch.setattr(city.chunks.index, "find", swapped)
    for root in (first, second):
        with pytest.raises(CorruptError):
            city.versions.get_manifest(root)
    assert not list(city.table.scan(b"d")), "the bytes there are sound"


def test_a_forgotten_manifest_leaves_its_bundle(city):
    """Not from the journal; then at once for who asks, and from the disk with the compaction."""
    manifests = city.versions.manifests
    gone, kept = publish(city, 2)
    data = manifests.get(gone)
    city.pass_time(2 * DAY)
    assert not manifests.forget(gone), "the journal would tell it again"
    city.versions.put_manifest(data)
    city.chunks.flush()
    assert not manifests.forget(gone), "fresh"
    city.pass_time(2 * DAY)
    assert manifests.forget(gone)
    assert city.stored_manifests() == {kept}
    with pytest.raises(MissingError):
        manifests.get(gone)
    del city.living[gone]
    city.versions.unbind(gone)
    assert any(data in held for held in city.store.objects.values())
    for _ in range(3):
        city.collect(0, compact=True)
        city.pass_time(2 * DAY)
    assert not any(data in held for held in city.store.objects.values())
    assert len(manifests.get(kept)) > 0


@pytest.mark.parametrize("sealed", [True, False])
def test_what_was_attested_outlives_a_lost_table(city, sealed):
    """The leases went with the table: whatever has a manifest may be registered, and is held."""
    upload = city.begin({"a": b"a" * 300})
    city.send(upload)
    city.attest(upload)
    if sealed:
        city.chunks.flush()
    city.chunks.close()
    city.table = MemoryTable()
    city.open()
    city.chunks.flush()
    for _ in range(3):
        city.pass_time(3 * limits.UPLOAD_LEASE_MS)
        city.collect(0)
    upload.attested_until = city.chain_ms + HOUR
    assert city.commit(upload) is not None
    assert city.read(upload) == upload.files


# --- stores of a release before bundles -----------------------------------------------------------


@pytest.fixture
def old(city, monkeypatch):
    """A store whose manifests are objects; `city.wanted` has them, the first is of no version."""
    with monkeypatch.context() as patch:
        patch.setattr(limits, "BUNDLED_MANIFEST_BYTES_MAX", 0)
        city.wanted = publish(city, 4)
    city.chunks.flush()
    assert len(list(city.store.list(MANIFESTS))) == 4
    return city


def test_an_old_store_is_read_and_gathered(old):
    """As it is; a collection moves the living manifests to a bundle, and deletes the dead."""
    dead = next(iter(old.wanted))
    old.crash()
    assert {root: old.versions.get_manifest(root) for root in old.wanted} == old.wanted
    assert old.collect(dry_run=True).manifests_gathered == 4
    del old.living[dead]
    old.versions.unbind(dead)
    for _ in range(2):
        old.pass_time(2 * DAY)
        gathered = old.collect(0).manifests_gathered
    assert (gathered, list(old.store.list(MANIFESTS))) == (0, [])
    assert old.stored_manifests() == old.wanted.keys() - {dead}
    old.crash()
    for root in old.wanted.keys() - {dead}:
        assert old.versions.get_manifest(root) == old.wanted[root]
    for _, built, files in old.living.values():
        assert files == old.read(type("U", (), {"built": built}))


def test_gathering_cut_short_loses_nothing(old):
    """After each change of the store in turn, with a crash; in the end all is gathered."""
    for changes in range(20):
        old.store.changes_left = changes
        try:
            old.versions.manifests.gather(list(old.wanted))
        except UnavailableError:
            old.store.changes_left = None
            old.crash()
            for root, data in old.wanted.items():
                assert old.versions.get_manifest(root) == data
        else:
            break
    assert changes > 2
    assert list(old.store.list(MANIFESTS)) == []
    assert {root: old.versions.get_manifest(root) for root in old.wanted} == old.wanted


def test_gathering_leaves_what_it_cannot_read(old):
    """A damaged object stays, to be told; so does one whose copy in the bundle is not sound."""
    bad, worse, *_ = old.wanted
    spoil_manifest(old.versions, bad, gone=False)
    old.versions.put_manifest(old.wanted[worse])
    old.chunks.flush()
    spoil_manifest(old.versions, worse, gone=False)
    assert old.versions.get_manifest(worse) == old.wanted[worse], "the object is there"
    assert old.versions.manifests.gather(list(old.wanted)) == 3
    assert list(old.store.list(MANIFESTS)) == [name_manifest(bad)]
    for root in old.wanted.keys() - {bad}:
        assert old.versions.get_manifest(root) == old.wanted[root]


# --- against a dictionary -------------------------------------------------------------------------


class Machine(RuleBasedStateMachine):
    """Manifests put, sealed, forgotten, through crashes and lost tables."""

    def __init__(self):
        super().__init__()
        self.city = City(Counting(), Path(tempfile.mkdtemp()))
        self.built = [self.city.begin({"f": b"%d" % n}).built for n in range(6)]
        self.model = {}

    def teardown(self):
        """Let go of the files."""
        self.city.chunks.close()
        shutil.rmtree(self.city.folder)

    @rule(which=st.integers(0, 5))
    def put(self, which):
        built = self.built[which]
        assert self.city.versions.put_manifest(built.manifest) == built.root
        self.model[built.root] = built.manifest

    @rule()
    def flush(self):
        self.city.chunks.flush()

    @rule(which=st.integers(0, 5), later=st.booleans())
    def forget(self, which, later):
        root = self.built[which].root
        if later:
            self.city.pass_time(2 * DAY)
        if self.city.versions.manifests.forget(root):
            self.model.pop(root, None)

    @rule(lose_table=st.booleans())
    def crash(self, lose_table):
        if lose_table:
            # What was forgotten and is still in its bundle is known again.
            for name in self.city.store.list(PACKS):
                for entry in read_footer(self.city.store, name, DIRECTORY_KEY).entries:
                    found = [one for one in self.built if one.root == entry.chunk]
                    self.model.update({one.root: one.manifest for one in found})
            self.city.table = MemoryTable()
        self.city.crash()

    @rule()
    def collect(self):
        """Nothing lives here: what is old goes, what is leased stays."""
        self.city.chunks.flush()
        self.city.collect(compact=True)
        stored = self.city.stored_manifests()
        leased = self.city.versions.leases.active(self.city.chain_ms)
        assert leased & self.model.keys() <= stored
        self.model = {root: data for root, data in self.model.items() if root in stored}

    @invariant()
    def all_are_there(self):
        roots = [one.root for one in self.built]
        found = dict(self.city.versions.manifests.each(roots))
        assert {root: data for root, data in found.items() if isinstance(data, bytes)} == self.model
        assert self.city.stored_manifests() == self.model.keys()
        assert all(compute_root(data) == root for root, data in self.model.items())


TestMachine = Machine.TestCase
TestMachine.settings = settings(
    max_examples=25, stateful_step_count=20, deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)  # fmt: skip
