"""Tests of hansa.storage.check: every kind of damage is found, and nothing is changed."""

import os

import pytest

from hansa import limits
from hansa.data.hash_index_table import VersionRef
from hansa.errors import CorruptError, MissingError
from hansa.storage.check import check
from hansa.storage.chunk_store import ChunkStore
from hansa.storage.journal import Journal
from hansa.storage.manifests import BUNDLE_CLUSTER
from hansa.storage.memory import MemoryStore
from hansa.storage.names import PACKS, name_manifest, name_pack
from hansa.storage.pack import HEADER
from hansa.storage.table import MemoryTable
from hansa.storage.version_store import VersionStore
from hansa.testing.doubles import FixedClock, SeededEntropy
from hansa.testing.versions import DIRECTORY_KEY, build_version
from tests.unit.storage.keeping import spoil_manifest

V1, V2 = VersionRef(b"d" * 16, 1), VersionRef(b"d" * 16, 2)


@pytest.fixture
def versions(tmp_path):
    """Return a store with one version packed and one in the journal."""
    chunks = ChunkStore(
        MemoryStore(),
        Journal(tmp_path),
        MemoryTable(),
        DIRECTORY_KEY,
        SeededEntropy("c"),
        clock=FixedClock(),
    )
    found = VersionStore(chunks, DIRECTORY_KEY, FixedClock())
    for label, version in (("one", V1), ("two", V2)):
        chunks.flush()
        built = build_version({label: label.encode() * 90_000}, SeededEntropy(label))
        chunks.put(built.uploads, 0)
        found.put_manifest(built.manifest)
        found.bind(built.root, version)
    return found


def sealed_bytes(label):
    """Return the sealed bytes of one of the versions."""
    built = build_version({label: label.encode() * 90_000}, SeededEntropy(label))
    return b"".join(upload.sealed for upload in built.uploads)


def run(versions, *, read_data=True):
    """Check and return the report."""
    return check(versions, DIRECTORY_KEY, read_data=read_data)


def hurt(report):
    """Return the versions a report names."""
    return {one.version for one in report.hurt}


def only_pack(versions):
    """Return the name of the one pack of chunks."""
    (root,) = [root for root, row in versions.chunks.packs() if row.cluster != BUNDLE_CLUSTER]
    return name_pack(root)


def test_sound_store(versions):
    """Nothing wrong is found in a sound store, all of it is read, and progress is told."""
    before = dict(versions.chunks.store.objects)
    seen = []
    report = check(
        versions, DIRECTORY_KEY, read_data=True, progress=lambda *step: seen.append(step)
    )
    assert report.is_sound
    assert report.read_data
    assert (report.packs, report.manifests) == (2, 2)
    assert report.bytes_read >= sum(map(len, before.values()))
    packed = sum(len(data) for name, data in before.items() if name.startswith(PACKS))
    ends = {phase: (done, total) for phase, done, total in seen}
    manifests = {root: row.manifest_bytes for root, row in versions.versions() if row.version == V2}
    assert ends.pop("journal")[0] == len(sealed_bytes("two")) + sum(manifests.values())
    assert ends == {"packs": (packed, packed), "manifests": (2, 2), "versions": (2, 2)}
    assert versions.chunks.store.objects == before


def test_flip_in_a_pack(versions):
    """A flipped byte is found by reading, with the chunk and the version it hurts; not by lengths."""
    objects, name = versions.chunks.store.objects, only_pack(versions)
    data = bytearray(objects[name])
    data[len(HEADER) + 20] ^= 1
    objects[name] = bytes(data)
    assert run(versions, read_data=False).is_sound
    report = run(versions)
    assert {damage.kind for damage in report.damages} == {"pack", "chunk"}
    assert hurt(report) == {V1}
    assert report.hurt[0].chunks_missing == 1
    assert objects[name] == bytes(data)


def test_flip_in_a_footer(versions):
    """A damaged footer is found; chunks that are sound are not called lost."""
    objects, name = versions.chunks.store.objects, only_pack(versions)
    data = bytearray(objects[name])
    data[-60] ^= 1
    objects[name] = bytes(data)
    report = run(versions)
    assert {damage.kind for damage in report.damages} == {"pack"}
    assert hurt(report) == set()


def test_cut_pack(versions):
    """A pack cut short loses chunks, told through the table."""
    objects, name = versions.chunks.store.objects, only_pack(versions)
    objects[name] = objects[name][:40]
    report = run(versions)
    assert {damage.kind for damage in report.damages} >= {"pack", "chunk"}
    assert hurt(report) == {V1}


def test_missing_pack(versions):
    """A missing pack names the versions it hurts, without reading data."""
    versions.chunks.store.delete(only_pack(versions))
    assert hurt(run(versions, read_data=False)) == {V1}


@pytest.mark.parametrize("bundled_max", [0, limits.BUNDLED_MANIFEST_BYTES_MAX])
@pytest.mark.parametrize("gone", [True, False])
def test_manifest(versions, gone, bundled_max, monkeypatch):
    """A missing or damaged manifest is found with its version, in a bundle or as its own object."""
    monkeypatch.setattr(limits, "BUNDLED_MANIFEST_BYTES_MAX", bundled_max)
    version = VersionRef(b"d" * 16, 3)
    built = build_version({"three": b"three" * 90_000}, SeededEntropy("three"))
    versions.chunks.flush()
    versions.chunks.put(built.uploads, 0)
    versions.put_manifest(built.manifest)
    versions.bind(built.root, version)
    versions.chunks.flush()
    assert run(versions).is_sound
    assert versions.chunks.store.exists(name_manifest(built.root)) == (not bundled_max)
    spoil_manifest(versions, built.root, gone=gone)
    report = run(versions, read_data=False)
    assert "manifest" in {damage.kind for damage in report.damages}
    assert [(one.version, one.chunks_missing) for one in report.hurt] == [(version, 0)]


def test_manifest_in_the_journal(versions):
    """A manifest that went bad before its bundle was sealed; published anew it is whole again."""
    root = next(root for root, row in versions.versions() if row.version == V2)
    data = versions.get_manifest(root)
    spoil_manifest(versions, root, gone=False)
    report = run(versions, read_data=False)
    assert {"chunk", "manifest"} == {damage.kind for damage in report.damages}
    assert [(one.version, one.chunks_missing) for one in report.hurt] == [(V2, 0)]
    versions.put_manifest(data)
    assert hurt(run(versions)) == set()


def test_journal(versions):
    """A chunk that went bad in the journal is found."""
    segment = next(s for s in versions.chunks.journal.list() if s.cluster != BUNDLE_CLUSTER)
    data = bytearray(segment.path.read_bytes())
    data[segment.records[0].offset + 3] ^= 1
    segment.path.write_bytes(data)
    assert hurt(run(versions)) == {V2}
    os.truncate(segment.path, 100)
    assert hurt(run(versions)) == {V2}


def test_strange_objects(versions):
    """Objects that are neither pack nor manifest are told and left alone."""
    versions.chunks.store.objects["packs/zz/strange"] = b"?"
    versions.chunks.store.objects["manifests/zz/strange"] = b"?"
    report = run(versions)
    names = {damage.name for damage in report.damages}
    assert names == {"packs/zz/strange", "manifests/zz/strange"}
    assert versions.chunks.store.exists("packs/zz/strange")


def _flipped(versions, name):
    data = bytearray(versions.chunks.store.objects[name])
    data[len(HEADER) + 20] ^= 1
    return bytes(data)


def test_what_is_damaged_comes_again(versions, tmp_path):
    """A damaged chunk is no duplicate any more and not attested; published again it is stored anew."""
    name = only_pack(versions)
    versions.chunks.store.objects[name] = _flipped(versions, name)
    first = build_version({"one": b"one" * 90_000}, SeededEntropy("one"))
    ids = [upload.chunk for upload in first.uploads]
    assert None not in versions.lookup(ids), "nobody has noticed yet"
    assert hurt(run(versions)) == {V1}
    assert None in versions.lookup(ids)
    with pytest.raises(MissingError):
        versions.attest(first.root, 1_000)

    again = build_version({"one": b"one" * 90_000}, SeededEntropy("again"))
    versions.chunks.put(again.uploads, 0)
    versions.put_manifest(again.manifest)
    versions.attest(again.root, 1_000)
    versions.bind(again.root, VersionRef(b"e" * 16, 1))
    assert None not in versions.lookup(ids)
    size = versions.content_bytes(again.root)
    assert len(versions.read_content(again.root, 0, size)) == size
    assert hurt(run(versions, read_data=False)) == {V1}, "the old version stays damaged, and listed"

    chunks = versions.chunks
    reopened = ChunkStore(
        chunks.store,
        Journal(tmp_path),
        chunks.table,
        DIRECTORY_KEY,
        SeededEntropy("r"),
        clock=FixedClock(),
    )
    found = VersionStore(reopened, DIRECTORY_KEY, FixedClock())
    with pytest.raises(MissingError):
        found.attest(first.root, 1_000)


def test_a_failed_read_is_remembered(versions):
    """Whoever meets the damage first, it is no duplicate from then on."""
    name = only_pack(versions)
    versions.chunks.store.objects[name] = _flipped(versions, name)
    first = build_version({"one": b"one" * 90_000}, SeededEntropy("one"))
    with pytest.raises(CorruptError, match="owner"):
        versions.read_content(first.root, 0, versions.content_bytes(first.root))
    assert None in versions.lookup([upload.chunk for upload in first.uploads])
    versions.chunks.store.objects[name] = _flipped(versions, name)
    assert run(versions).is_sound, "the disk was put back"
    assert None not in versions.lookup([upload.chunk for upload in first.uploads])
