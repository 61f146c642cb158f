"""A store with its chain in miniature: what collection, repair and check are tested on."""

import dataclasses
import tempfile
from pathlib import Path

from hansa import limits
from hansa.data.hash_index_table import VersionRef
from hansa.data.known import KnownChunk
from hansa.data.layout import ContentLayout
from hansa.storage.chunk_store import ChunkStore
from hansa.storage.collect import collect
from hansa.storage.collection import CollectOptions
from hansa.storage.journal import Journal
from hansa.storage.marking import ChainView
from hansa.storage.memory import MemoryStore
from hansa.storage.names import name_manifest, name_pack
from hansa.storage.table import MemoryTable
from hansa.storage.version_store import VersionStore
from hansa.testing.doubles import FixedClock, SeededEntropy
from hansa.testing.versions import DIRECTORY_KEY, BuiltVersion, build_version

HOUR = 3_600_000
DAY = 24 * HOUR


class Keys:
    """A keyring in memory."""

    def __init__(self):
        self.kept = {}
        self.destroyed = []

    def key_roots(self):
        """Yield whose keys are kept."""
        return iter(sorted(self.kept))

    def destroy_keys(self, roots):
        """Destroy keys."""
        found = [root for root in roots if self.kept.pop(root, None) is not None]
        self.destroyed += found
        return len(found)


@dataclasses.dataclass
class Upload:
    """One publish in flight."""

    built: BuiltVersion
    files: dict
    sent: int = 0
    attested_until: int = -1


def spoil_manifest(versions, root, *, gone):
    """Take away what holds a manifest, or change its last byte: object, bundle or segment."""
    objects, found = versions.chunks.store.objects, versions.chunks.index.find([root])[0]
    name, end = name_manifest(root), -1
    if found:
        address = found[0][1].address
        segment = versions.chunks.journal.segments.get(address.pack)
        end = address.offset + address.length - 1
        if segment is not None:
            data = bytearray(segment.path.read_bytes())
            data[end] ^= 1
            segment.path.write_bytes(data)
            return
        name = name_pack(address.pack)
    if gone:
        del objects[name]
    else:
        data = bytearray(objects[name])
        data[end] ^= 1
        objects[name] = bytes(data)


class City:
    """One organisation's node store, its chain, a clock and a keyring."""

    def __init__(self, store=None, folder=None):
        self.folder = Path(folder or tempfile.mkdtemp())
        self.store = store or MemoryStore()
        self.table = MemoryTable()
        self.clock = FixedClock(100 * DAY)
        self.chain_ms = self.clock.time_ms
        self.keys = Keys()
        self.living = {}
        """Root → (version, built, files): what the chain says."""
        self.count = self.openings = 0
        self.reason = ""
        self.open()

    def open(self):
        """Open the store, as a node does at its start."""
        self.openings += 1
        entropy = SeededEntropy(f"opening {self.openings}")
        self.chunks = ChunkStore(
            self.store, Journal(self.folder / "journal"), self.table, DIRECTORY_KEY, entropy,
            clock=self.clock,
        )  # fmt: skip
        self.versions = VersionStore(self.chunks, DIRECTORY_KEY, self.clock)

    def crash(self):
        """Open anew what is on disk, and follow the chain."""
        self.chunks.close()
        self.open()
        self.follow()

    def follow(self):
        """Bind and unbind what the chain says."""
        return self.versions.rebuild([(root, row[0]) for root, row in self.living.items()])

    def view(self):
        """Return what the node knows of the chain."""
        living = {root: row[0] for root, row in self.living.items()}
        return ChainView(7, self.chain_ms, living, self.reason)

    def collect(self, grace_ms=limits.COLLECT_GRACE_MS, **options):
        """Run a collection."""
        more = {key: options.pop(key) for key in ("cluster_of", "progress") if key in options}
        return collect(
            self.versions, self.keys, self.view, self.clock,
            options=CollectOptions(grace_ms, **options), **more,
        )  # fmt: skip

    def pass_time(self, ms):
        """Let the clock go on, and the chain with it."""
        self.clock.time_ms += ms
        self.chain_ms = self.clock.time_ms

    # --- a client -------------------------------------------------------------------------------

    def look_up(self, ids):
        """Answer as a client does: from the manifest of the version that the node names."""
        by_version = {row[0]: row[1] for row in self.living.values()}
        answers = []
        for chunk_id, version in zip(ids, self.versions.lookup(ids), strict=True):
            known = {}
            if version is not None and version in by_version:
                built = by_version[version]
                pairs = zip(built.directory.entries, built.contents.chunks, strict=True)
                known = {entry.chunk: KnownChunk(entry, chunk.key) for entry, chunk in pairs}
            answers.append(known.get(chunk_id))
        return answers

    def begin(self, files):
        """Look up and seal."""
        self.count += 1
        return Upload(build_version(files, SeededEntropy(f"{self.count}"), self.look_up), files)

    def send(self, upload, count=1 << 30, cluster=1):
        """Put the next chunks."""
        part = upload.built.uploads[upload.sent : upload.sent + count]
        upload.sent += len(part)
        self.chunks.put(part, cluster)

    def attest(self, upload):
        """Put the manifest and have it attested."""
        root = self.versions.put_manifest(upload.built.manifest)
        self.keys.kept[root] = b"wrap"
        facts = self.versions.attest(root, limits.UPLOAD_LEASE_MS)
        upload.attested_until = facts.leased_until_ms

    def commit(self, upload, *, bind=True, dataset=None):
        """Have a block register it; return its version, or None if the lease is over."""
        self.chain_ms = max(self.chain_ms + 1, self.clock.time_ms)
        if upload.attested_until < self.chain_ms:
            return None
        number = sum(row[0].dataset == dataset for row in self.living.values()) + 1
        version = VersionRef(dataset or b"%016d" % self.count, number)
        self.living[upload.built.root] = (version, upload.built, upload.files)
        if bind:
            self.versions.bind(upload.built.root, version)
        return version

    def publish(self, files, cluster=1, dataset=None):
        """Do all of it; return the upload."""
        upload = self.begin(files)
        self.send(upload, cluster=cluster)
        self.attest(upload)
        assert self.commit(upload, dataset=dataset) is not None
        return upload

    def retire(self, upload, *, unbind=True):
        """Have a block retire it."""
        self.chain_ms += 1
        del self.living[upload.built.root]
        if unbind:
            self.versions.unbind(upload.built.root)

    def read(self, upload):
        """Return all files as a reader gets them."""
        layout = ContentLayout(upload.built.contents)

        def fetch(at, length):
            return self.versions.read_content(upload.built.root, at, length)

        return {
            file.name: b"".join(layout.read_file(index, fetch))
            for index, file in enumerate(upload.built.contents.files)
        }

    def stored_digests(self):
        """Return the sealed digests of all chunks that are stored."""
        is_bundle = self.versions.manifests.is_bundle
        found = self.chunks.index.stored()
        return {digest for digest, stored in found if not is_bundle(stored.address.pack)}

    def stored_manifests(self):
        """Return the roots of all manifests, wherever they lie."""
        return self.versions.manifests.objects() | self.versions.manifests.bundled().keys()


def digests(upload):
    """Return the sealed digests of a version."""
    return {entry.sealed_digest for entry in upload.built.directory.entries}


def settle(city, **options):
    """Collect in both phases, with all leases and freshness over."""
    city.pass_time(2 * DAY)
    city.collect(**options)
    city.pass_time(2 * DAY)
    return city.collect(**options)
