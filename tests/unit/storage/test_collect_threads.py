"""Collection beside uploads in real threads, on a real disk: no promise is broken by any interleaving."""

import hashlib
import threading
from functools import partial

import pytest

from hansa import limits
from hansa.data.hash_index_table import VersionRef
from hansa.data.known import KnownChunk
from hansa.errors import MissingError
from hansa.storage.local import LocalStore
from hansa.storage.table import LmdbTable
from hansa.testing.doubles import SeededEntropy
from hansa.testing.versions import build_version
from tests.unit.storage.keeping import DAY, City, Upload

NOISE = hashlib.shake_256(b"threads").digest(800_000)
ROUNDS = 12


class BusyCity(City):
    """On a local store and an LMDB table, with clients in threads; `chain` is held for each block."""

    def __init__(self, folder):
        self.disk_table = LmdbTable(folder / "table.mdb", 64 << 20)
        self.chain = threading.Lock()
        self.done = threading.Event()
        self.wrong = []
        super().__init__(LocalStore(folder / "store", "o"), folder)

    def open(self):
        """Open with the table on disk."""
        self.table = self.disk_table
        super().open()

    def view(self):
        """Return the chain as of one moment."""
        with self.chain:
            return super().view()

    def known(self, living, ids):
        """Answer from the manifests of the versions that the node names."""
        by_version = {row[0]: row[1] for row in living.values()}
        answers = []
        for chunk_id, version in zip(ids, self.versions.lookup(ids), strict=True):
            built = by_version.get(version)
            pairs = (
                zip(built.directory.entries, built.contents.chunks, strict=True) if built else ()
            )
            mine = (KnownChunk(entry, one.key) for entry, one in pairs if entry.chunk == chunk_id)
            answers.append(next(mine, None))
        return answers

    def publish_once(self, label, files):
        """Publish as a client does; None if the node said to send again, or the lease was over."""
        with self.chain:
            living = dict(self.living)
        built = build_version(files, SeededEntropy(label), partial(self.known, living))
        upload = Upload(built, files)
        self.chunks.put(built.uploads, 1)
        try:
            self.attest(upload)
        except MissingError:
            return None
        version = VersionRef(label.ljust(16).encode(), 1)
        with self.chain:
            self.chain_ms += 1
            if upload.attested_until < self.chain_ms:
                return None
            self.living[built.root] = (version, built, files)
        self.versions.bind(built.root, version)
        return upload

    def client(self, name):
        """Publish what others have too, read it, retire most of it."""
        for number in range(ROUNDS):
            files = {str(n): NOISE[((number + n) % 8) * 90_000 :][:90_000] for n in range(3)}
            tries = (self.publish_once(f"{name}{number}.{n}", files) for n in range(50))
            upload = next(upload for upload in tries if upload is not None)
            assert self.read(upload) == files
            if number % 3:
                with self.chain:
                    self.chain_ms += 1
                    del self.living[upload.built.root]
                self.versions.unbind(upload.built.root)

    def jump(self):
        """Let the leases of clients pass now and then: they must be told to send again."""
        while not self.done.wait(0.05):
            with self.chain:
                self.clock.time_ms += DAY
                self.chain_ms = self.clock.time_ms

    def sweep(self, *, compact):
        """Collect without grace, without end."""
        while not self.done.is_set():
            self.collect(0, compact=compact)

    def guarded(self, work):
        """Run a thread's work; what it raises is kept for the test."""
        try:
            work()
        except BaseException as error:
            self.wrong.append(repr(error))
            raise


@pytest.mark.slow
@pytest.mark.parametrize("compact", [False, True])
def test_uploads_and_retirements_beside_collections(tmp_path, monkeypatch, compact):
    """Three clients publish what they share and retire it; collections without grace never end."""
    monkeypatch.setattr(limits, "COLLECT_BATCH_CHUNKS", 4)
    city = BusyCity(tmp_path)
    work = [partial(city.client, name) for name in "abc"]
    work += [partial(city.sweep, compact=compact), city.jump]
    threads = [threading.Thread(target=city.guarded, args=(one,)) for one in work]
    for thread in threads:
        thread.start()
    for thread in threads[:3]:
        thread.join()
    city.done.set()
    for thread in threads[3:]:
        thread.join()
    assert city.wrong == []
    for _version, built, files in city.living.values():
        assert files == city.read(Upload(built, files))
    city.chunks.flush()
    for _ in range(3):
        city.pass_time(2 * DAY)
        city.collect(0, compact=True)
    living = [row[1] for row in city.living.values()]
    expected = {entry.sealed_digest for built in living for entry in built.directory.entries}
    assert expected == city.stored_digests()
    city.chunks.close()
    city.disk_table.close()
    city.store.close()
