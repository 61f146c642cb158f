"""Tests of hansa.storage.version_store: attest, lease, bind, serve."""

import hashlib
import itertools
import shutil
import tempfile
import threading
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from hansa import limits
from hansa.data import pipeline
from hansa.data.hash_index_table import VersionRef
from hansa.data.known import KnownChunk
from hansa.data.layout import ContentLayout
from hansa.data.manifest import Contents, Directory, build_manifest, decode_manifest
from hansa.errors import CorruptError, InvalidError, MissingError
from hansa.storage.check import check
from hansa.storage.chunk_store import ChunkStore
from hansa.storage.journal import Journal
from hansa.storage.local import LocalStore
from hansa.storage.manifests import BUNDLE_CLUSTER
from hansa.storage.memory import MemoryStore
from hansa.storage.names import name_pack
from hansa.storage.table import MemoryTable
from hansa.storage.version_store import VersionStore
from hansa.testing.doubles import FixedClock, SeededEntropy
from hansa.testing.versions import DATA_KEY, DIRECTORY_KEY, build_version

V1, V2 = VersionRef(b"d" * 16, 1), VersionRef(b"d" * 16, 2)
NOISE = hashlib.shake_256(b"versions").digest(700_000)
OPENINGS = itertools.count()
FILES = {"a": NOISE, "b/text": b"text," * 30_000, "zeros": bytes(600_000)}


def open_versions(folder, store=None, table=None):
    """Return an open version store."""
    entropy = SeededEntropy(f"{folder} {next(OPENINGS)}")
    journal = Journal(folder / "journal")
    chunks = ChunkStore(
        store or MemoryStore(),
        journal,
        table or MemoryTable(),
        DIRECTORY_KEY,
        entropy,
        clock=FixedClock(),
    )
    return VersionStore(chunks, DIRECTORY_KEY, FixedClock())


def pack_of_chunks(versions):
    """Return the root of the one pack that is no bundle."""
    (root,) = [root for root, row in versions.chunks.packs() if row.cluster != BUNDLE_CLUSTER]
    return root


def publish(versions, built, version, cluster=0):
    """Do what a client and its node do: chunks, manifest, attest, and the block."""
    versions.chunks.put(built.uploads, cluster)
    assert versions.put_manifest(built.manifest) == built.root
    facts = versions.attest(built.root, 5_000)
    versions.bind(built.root, version)
    return facts


def known_from(versions, *built):
    """Return a lookup as a client makes it: ask the node, then open the manifest it names."""
    by_chunk = {
        entry.chunk: KnownChunk(entry, chunk.key)
        for one in built
        for entry, chunk in zip(one.directory.entries, one.contents.chunks, strict=True)
    }

    def lookup(ids):
        answers = zip(ids, versions.lookup(ids), strict=True)
        return [by_chunk[chunk_id] if version else None for chunk_id, version in answers]

    return lookup


def read_all(versions, built):
    """Return all files as a reader gets them."""
    layout = ContentLayout(built.contents)
    return {
        file.name: b"".join(
            layout.read_file(index, lambda at, n: versions.read_content(built.root, at, n))
        )
        for index, file in enumerate(built.contents.files)
    }


@pytest.fixture
def versions(tmp_path):
    """Return an empty version store."""
    return open_versions(tmp_path)


@pytest.fixture
def built():
    """Return a version that is nowhere yet."""
    return build_version(FILES, SeededEntropy("built"))


def test_publish_then_read(versions, built):
    """The facts attested are those of the version; content is served from journal and pack."""
    facts = publish(versions, built, V1)
    assert facts.manifest_root == built.root
    assert facts.manifest_bytes == len(built.manifest)
    assert facts.content_bytes == sum(map(len, FILES.values()))
    assert facts.stored_bytes == sum(entry.sealed_bytes for entry in built.directory.entries)
    assert (facts.files, facts.chunks) == (3, len(built.directory.entries))
    assert read_all(versions, built) == FILES
    versions.chunks.flush()
    assert read_all(versions, built) == FILES
    assert versions.content_bytes(built.root) == facts.stored_bytes


@pytest.mark.slow
@settings(max_examples=40)
@given(st.integers(0, 800_000), st.integers(0, 300_000))
def test_any_range_of_content(tmp_path_factory, offset, length):
    """A range of the content is what the joined sealed chunks hold there."""
    built = build_version(FILES, SeededEntropy("built"))
    versions = open_versions(tmp_path_factory.mktemp("v"))
    publish(versions, built, V1)
    if offset % 2:
        versions.chunks.flush()
    sealed = {upload.chunk: upload.sealed for upload in built.uploads}
    content = b"".join(sealed[entry.chunk] for entry in built.directory.entries)
    if offset + length > len(content):
        with pytest.raises(InvalidError):
            versions.read_content(built.root, offset, length)
    else:
        assert versions.read_content(built.root, offset, length) == content[offset:][:length]


def test_neighbours_are_read_at_once(tmp_path, built):
    """A run of chunks that lie together in a pack is one positioned read."""
    reads = []

    class Counting(MemoryStore):
        def get(self, name, offset=0, length=None):
            if name.startswith("packs"):
                reads.append((offset, length))
            return super().get(name, offset, length)

    versions = open_versions(tmp_path, Counting())
    publish(versions, built, V1)
    versions.chunks.flush()
    reads.clear()
    versions.read_content(built.root, 0, versions.content_bytes(built.root))
    assert len(reads) == 2, "the manifest in its bundle, and the run"
    versions.manifests.read(built.root, 0, 10)
    versions.read_content(built.root, 0, versions.content_bytes(built.root))
    assert len(reads) == 3, "the manifest is still in memory"


def test_nothing_is_attested_that_is_not_whole(versions, built):
    """A missing chunk, or a lost pack, and the node does not sign; sent anew, it does."""
    versions.chunks.put(built.uploads[:-1], 0)
    versions.put_manifest(built.manifest)
    with pytest.raises(MissingError, match="1 of"):
        versions.attest(built.root, 1)
    versions.chunks.put(built.uploads[-1:], 0)
    versions.attest(built.root, 1)
    versions.chunks.flush()
    versions.chunks.store.delete(name_pack(pack_of_chunks(versions)))
    with pytest.raises(MissingError):
        versions.attest(built.root, 1)
    versions.chunks.put(built.uploads, 0)
    assert versions.attest(built.root, 1).chunks == len(built.directory.entries)
    (bundle,) = versions.manifests.bundles()
    versions.chunks.store.delete(name_pack(bundle))
    with pytest.raises(MissingError, match="Manifest"):
        versions.attest(built.root, 1)
    versions.put_manifest(built.manifest)
    assert versions.attest(built.root, 1).chunks == len(built.directory.entries)


def test_directory_that_lies_is_not_attested(versions, built):
    """A manifest whose lengths are not those stored, or that names others' chunks, is refused."""
    first = built.directory.entries[0]
    versions.chunks.put(built.uploads, 0)
    for change in ({"sealed_bytes": first.sealed_bytes + 1}, {"chunk": b"x" * 32}):
        bad = msgspec.structs.replace(first, **change)
        chunk = msgspec.structs.replace(
            built.contents.chunks[0], chunk=bad.chunk, sealed_bytes=bad.sealed_bytes
        )
        manifest = build_manifest(
            Contents.of(
                built.contents.files,
                (chunk, *built.contents.chunks[1:]),
                built.contents.sequence,
            ),
            Directory.of(
                built.directory.content_bytes,
                built.directory.files,
                (bad, *built.directory.entries[1:]),
            ),
            data_key=DATA_KEY,
            directory_key=DIRECTORY_KEY,
            salt=b"s" * 32,
            nonces=(b"1" * 12, b"2" * 12),
        )
        root = versions.put_manifest(manifest)
        with pytest.raises(MissingError):
            versions.attest(root, 1)


def test_foreign_manifests_are_refused(versions, built):
    """A manifest sealed to another organisation, or malformed, is not stored."""
    foreign = build_manifest(
        built.contents,
        built.directory,
        data_key=DATA_KEY,
        directory_key=b"x" * 32,
        salt=b"s" * 32,
        nonces=(b"1" * 12, b"2" * 12),
    )
    for data in (foreign, b"", built.manifest[:-1]):
        with pytest.raises(InvalidError):
            versions.put_manifest(data)
    assert list(versions.chunks.store.list("")) == []


def test_leases(versions, built):
    """A lease is bounded, never shortened by another."""
    versions.chunks.put(built.uploads, 0)
    versions.put_manifest(built.manifest)
    assert versions.leases.attested_until(built.root) == 0
    now = FixedClock().now_ms()
    assert versions.attest(built.root, 9_000).leased_until_ms == now + 9_000
    assert versions.attest(built.root, 1).leased_until_ms == now + 9_000
    assert versions.attest(built.root, 1 << 60).leased_until_ms == now + limits.LEASE_MS_MAX


def test_a_look_up_leases_the_version_it_names(versions, built):
    """What an upload in flight is told to reuse stays leased, also when it is retired meanwhile."""
    publish(versions, built, V1)
    versions.leases.drop_expired(1 << 60)
    ids = [entry.chunk for entry in built.directory.entries]
    assert set(versions.lookup(ids)) == {V1}
    versions.unbind(built.root)
    assert built.root in versions.leases.active(1 << 60)
    assert set(versions.lookup(ids)) == {None}


def test_duplicates_of_a_living_version(versions, built):
    """The next version uploads what is new only, and both stay readable; plain repeats cost nothing."""
    publish(versions, built, V1)
    files = FILES | {"a": NOISE[:300_000] + b"new" + NOISE[300_000:]}
    second = build_version(files, SeededEntropy("second"), known_from(versions, built))
    assert 1 <= len(second.uploads) <= 2
    publish(versions, second, V2)
    assert read_all(versions, second) == files
    assert read_all(versions, built) == FILES
    rows = {row.version: row for _, row in versions.versions()}
    assert rows[V1].chunks_new == len(built.directory.entries)
    assert rows[V2].chunks_new == len(second.uploads)


def test_unpublished_chunks_are_never_duplicates(versions, built):
    """What was uploaded without a block is asked for again: its keys may be lost."""
    versions.chunks.put(built.uploads, 0)
    versions.put_manifest(built.manifest)
    versions.attest(built.root, 1)
    ids = [entry.chunk for entry in built.directory.entries]
    assert set(versions.lookup(ids)) == {None}
    versions.bind(built.root, V1)
    assert set(versions.lookup(ids)) == {V1}
    versions.unbind(built.root)
    assert set(versions.lookup(ids)) == {None}
    versions.unbind(built.root)


def test_two_uploads_of_one_content(versions, built):
    """Two clients seal the same content at once, each with its own keys: both versions read."""
    other = build_version(FILES, SeededEntropy("other"))
    versions.chunks.put(built.uploads, 0)
    versions.chunks.put(other.uploads, 0)
    publish(versions, built, V1)
    publish(versions, other, V2)
    assert read_all(versions, built) == read_all(versions, other) == FILES


def test_equal_fingerprints_never_merge(versions, monkeypatch):
    """With a fingerprint that is the same for all chunks every version still reads as published."""
    monkeypatch.setattr(
        pipeline, "compute_fingerprints", lambda _, chunks, *__: [b"f" * 36] * len(chunks)
    )
    built = build_version(FILES, SeededEntropy("built"))
    publish(versions, built, V1)
    files = {"other": NOISE[::-1], "again": NOISE}
    second = build_version(files, SeededEntropy("2"), known_from(versions, built))
    publish(versions, second, V2)
    assert read_all(versions, built) == FILES
    assert read_all(versions, second) == files
    assert versions.chunks.index.collisions() == len(built.uploads) + len(second.uploads) - 1


def test_dead_chunks_are_no_duplicates(versions, built):
    """When a pack is lost its chunks are asked for again instead of being promised."""
    publish(versions, built, V1)
    versions.chunks.flush()
    versions.chunks.store.delete(name_pack(pack_of_chunks(versions)))
    ids = [entry.chunk for entry in built.directory.entries]
    assert set(versions.lookup(ids)) == {None}
    with pytest.raises(MissingError):
        versions.read_content(built.root, 0, 10)
    healed = build_version(FILES, SeededEntropy("healed"), known_from(versions, built))
    publish(versions, healed, V2)
    assert set(versions.lookup(ids)) == {V2}


def test_damage_is_never_served(versions, built):
    """A changed byte in a pack or manifest is found before anything is answered."""
    publish(versions, built, V1)
    versions.chunks.flush()
    objects = versions.chunks.store.objects
    name = name_pack(pack_of_chunks(versions))
    middle = len(objects[name]) // 2
    objects[name] = objects[name][:middle] + b"!!!" + objects[name][middle + 3 :]
    with pytest.raises(CorruptError):
        versions.read_content(built.root, 0, versions.content_bytes(built.root))
    (bundle,) = map(name_pack, versions.manifests.bundles())
    middle = len(objects[bundle]) // 2
    objects[bundle] = objects[bundle][:middle] + b"!!!" + objects[bundle][middle + 3 :]
    with pytest.raises(CorruptError):
        versions.get_manifest(built.root)


def test_rebuild_from_the_chain(tmp_path, versions, built):
    """With a lost table the living versions of the chain bring everything back; others go."""
    publish(versions, built, V1)
    second = build_version({"x": b"x" * 100_000}, SeededEntropy("x"))
    publish(versions, second, V2)
    store = versions.chunks.store
    again = open_versions(tmp_path, store)
    assert again.rebuild([(built.root, V1), (second.root, V2), (b"r" * 32, V2)]) == [b"r" * 32]
    assert {row.version for _, row in again.versions()} == {V1, V2}
    assert set(again.lookup([entry.chunk for entry in built.directory.entries])) == {V1}
    assert again.rebuild([(built.root, V1)]) == []
    assert again.lookup([second.directory.entries[0].chunk]) == [None]
    assert read_all(again, built) == FILES


def test_lookup_is_bounded(versions):
    """Absurd questions are refused."""
    with pytest.raises(InvalidError):
        versions.lookup([b"x" * 32] * (limits.LOOKUP_DIGESTS_MAX + 1))
    with pytest.raises(InvalidError):
        versions.lookup([b"short"])


def test_reads_are_bounded(versions, built):
    """Absurd ranges are refused; none at all is fine."""
    publish(versions, built, V1)
    for offset, length in ((-1, 1), (0, -1), (0, limits.CONTENT_RANGE_BYTES_MAX + 1), (1 << 60, 1)):
        with pytest.raises(InvalidError):
            versions.read_content(built.root, offset, length)
    assert versions.read_content(built.root, 5, 0) == b""
    with pytest.raises(MissingError):
        versions.read_content(b"x" * 32, 0, 1)
    with pytest.raises(MissingError):
        versions.get_manifest(b"x" * 32)


def test_few_directories_stay_in_memory(versions, monkeypatch):
    """Serving many versions keeps only the last few open."""
    monkeypatch.setattr(limits, "OPEN_DIRECTORIES_MAX", 2)
    for n in range(4):
        built = build_version({"a": b"%d" % n}, SeededEntropy(str(n)))
        publish(versions, built, VersionRef(b"%016d" % n, 1))
        versions.read_content(built.root, 0, 1)
    assert len(versions._maps) == 2


def test_reading_while_packs_are_sealed(versions, built):
    """A reader never fails because a segment just became a pack."""
    publish(versions, built, V1)
    wrong, done = [], threading.Event()

    def read():
        while not done.is_set():
            if len(versions.read_content(built.root, 0, 300_000)) != 300_000:
                wrong.append(1)

    reader = threading.Thread(target=read)
    reader.start()
    for n in range(10):
        versions.chunks.put(build_version({"n": b"%d" % n * 500}, SeededEntropy(f"{n}")).uploads, 0)
        versions.chunks.flush()
    done.set()
    reader.join()
    assert wrong == []


def test_plaintext_is_nowhere(tmp_path):
    """No plain byte, name or key of a version is in any file of the node."""
    marker = b"PLAINTEXT-MARKER-7"
    files = {"secret-name": marker * 3, "long": b"x" * 100_000 + marker + NOISE[:90_000]}
    built = build_version(files, SeededEntropy("plain"))
    store = LocalStore(tmp_path / "store", "o")
    versions = open_versions(tmp_path, store)
    publish(versions, built, V1)
    for flushed in (False, True):
        if flushed:
            versions.chunks.flush()
        blobs = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
        blobs.append(repr(versions.chunks.table.rows).encode())
        blobs += versions.chunks.table.rows.values()
        assert sum(map(len, blobs)) > 90_000
        hidden = [marker, b"secret-name", DATA_KEY, NOISE[1_000:1_040]]
        hidden += [chunk.key for chunk in built.contents.chunks]
        assert not any(secret in blob for secret in hidden for blob in blobs)
    assert decode_manifest(versions.get_manifest(built.root), built.root)
    store.close()


class VersionStoreMachine(RuleBasedStateMachine):
    """Random publishing, retiring, sealing and reopening against a dictionary of living versions."""

    def __init__(self):
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.store, self.table = MemoryStore(), MemoryTable()
        self.versions = open_versions(self.folder, self.store, self.table)
        self.living = {}
        self.count = 0

    def teardown(self):
        shutil.rmtree(self.folder)

    def find_known(self, ids):
        """Answer as a client does: only from the very manifest that the node names."""
        answers = []
        for chunk_id, version in zip(ids, self.versions.lookup(ids), strict=True):
            entries = {}
            if version is not None:
                built, _files = self.living[version]
                pairs = zip(built.directory.entries, built.contents.chunks, strict=True)
                entries = {entry.chunk: KnownChunk(entry, chunk.key) for entry, chunk in pairs}
                assert chunk_id in entries, "the version named does not hold the chunk"
            answers.append(entries.get(chunk_id))
        return answers

    @rule(parts=st.lists(st.integers(0, 5), min_size=1, max_size=4), knows=st.booleans())
    def publish(self, parts, knows):
        files = {f"{n}": NOISE[part * 90_000 :][:90_000] for n, part in enumerate(parts)}
        self.count += 1
        version = VersionRef(b"%016d" % self.count, 1)
        lookup = self.find_known if knows else None
        built = build_version(files, SeededEntropy(f"{self.count}"), lookup)
        publish(self.versions, built, version, cluster=self.count % 2)
        self.living[version] = (built, files)

    @rule(parts=st.lists(st.integers(0, 5), min_size=1, max_size=2))
    def abandon(self, parts):
        """A client that goes away before its transaction."""
        self.count += 1
        files = {f"{n}": NOISE[part * 90_000 :][:90_000] for n, part in enumerate(parts)}
        built = build_version(files, SeededEntropy(f"{self.count}"))
        self.versions.chunks.put(built.uploads, 0)

    @precondition(lambda self: self.living)
    @rule(data=st.data())
    def retire(self, data):
        version = data.draw(st.sampled_from(sorted(self.living, key=lambda v: v.dataset)))
        self.versions.unbind(self.living.pop(version)[0].root)

    @rule(cluster=st.one_of(st.none(), st.integers(0, 1)))
    def flush(self, cluster):
        self.versions.chunks.flush(cluster)

    @rule(loses_table=st.booleans())
    def reopen(self, loses_table):
        if loses_table:
            self.table = MemoryTable()
        self.versions = open_versions(self.folder, self.store, self.table)
        roots = [(built.root, version) for version, (built, _) in self.living.items()]
        assert self.versions.rebuild(roots) == []

    @invariant()
    def living_versions_read_whole(self):
        assert {row.version for _, row in self.versions.versions()} == set(self.living)
        for built, files in self.living.values():
            assert read_all(self.versions, built) == files

    @invariant()
    def nothing_is_damaged(self):
        assert check(self.versions, DIRECTORY_KEY, read_data=True).is_sound


def test_a_pack_that_is_gone_is_told_to_the_reader(tmp_path):
    """Not as one strange object among many, and with who can say what it hurts."""
    versions = open_versions(tmp_path)
    built = build_version({"a": NOISE[:90_000]}, SeededEntropy("gone"))
    publish(versions, built, V1)
    versions.chunks.flush()
    versions.chunks.store.delete(name_pack(pack_of_chunks(versions)))
    with pytest.raises(MissingError, match="pack of this version is gone") as told:
        read_all(versions, built)
    assert "store check" in told.value.remedy


VersionStoreMachine.TestCase.settings = settings(
    max_examples=15,
    stateful_step_count=12,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
TestVersionStoreMachine = pytest.mark.slow(VersionStoreMachine.TestCase)
