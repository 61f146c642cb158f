"""Collection beside uploads, retirements, crashes and time, against a model of what was promised.

The model is a dictionary of versions: a version that was attested may be registered until the chain's
time passes its lease, one that is registered lives until it is retired. Whatever happens in between,
both must be whole. In the end, once all is quiet, nothing else must be left.
"""

import contextlib
import hashlib
import random
import shutil

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from hansa.errors import CorruptError, MissingError, UnavailableError
from hansa.storage.memory import MemoryStore
from tests.unit.storage.keeping import DAY, HOUR, City

NOISE = hashlib.shake_256(b"machine").digest(600_000)
MINUTE = 60_000


class Frail(MemoryStore):
    """A store that fails at the n-th call from now, or hides one name when it lists."""

    def __init__(self):
        super().__init__()
        self.fails_in = None
        self.hides = 0

    def _count(self):
        if self.fails_in is not None:
            self.fails_in -= 1
            if self.fails_in < 0:
                raise UnavailableError("The store is away.")

    def list(self, prefix):
        """List, perhaps short."""
        self._count()
        names = list(super().list(prefix))
        if self.hides and names:
            names.pop(self.hides % len(names))
        return iter(names)

    def get(self, name, offset=0, length=None):
        """Read."""
        self._count()
        return super().get(name, offset, length)

    def put(self, name, parts):
        """Write."""
        self._count()
        return super().put(name, parts)

    def delete(self, name):
        """Delete."""
        self._count()
        super().delete(name)


class CollectMachine(RuleBasedStateMachine):
    """Uploads in any stage, blocks, retirements, collections that fail or are cut short, crashes."""

    def __init__(self):
        super().__init__()
        self.city = City(Frail())
        self.uploads = []
        self.days = 0

    def teardown(self):
        """Once all is quiet only what lives is left."""
        city = self.city
        city.crash()
        city.chunks.flush()
        for _ in range(3):
            city.pass_time(2 * DAY)
            city.collect(0, compact=True)
        living = [row[1] for row in city.living.values()]
        expected = {entry.sealed_digest for built in living for entry in built.directory.entries}
        assert expected == city.stored_digests()
        assert set(city.living) == city.stored_manifests()
        assert set(city.keys.kept) == set(city.living)
        for _, built, files in city.living.values():
            assert files == city.read(type("U", (), {"built": built}))
        city.chunks.close()
        shutil.rmtree(city.folder)

    # --- uploads --------------------------------------------------------------------------------

    @rule(parts=st.lists(st.integers(0, 5), min_size=1, max_size=3))
    def begin(self, parts):
        files = {f"{n}": NOISE[part * 90_000 :][:90_000] for n, part in enumerate(parts)}
        self.uploads.append(self.city.begin(files))

    def choose(self, pick, *, attested):
        """Return an upload in that stage."""
        found = [u for u in self.uploads if (u.attested_until >= 0) == attested]
        return found[pick % len(found)] if found else None

    @rule(pick=st.integers(0, 9), count=st.integers(1, 5), cluster=st.integers(0, 1))
    def send_some(self, pick, count, cluster):
        upload = self.choose(pick, attested=False)
        if upload:
            self.city.send(upload, count, cluster)

    @rule(pick=st.integers(0, 9))
    def put_manifest(self, pick):
        upload = self.choose(pick, attested=False)
        if upload:
            self.city.versions.put_manifest(upload.built.manifest)
            self.city.keys.kept[upload.built.root] = b"wrap"

    @rule(pick=st.integers(0, 9))
    def attest(self, pick):
        """The node signs only what is whole; else the client gives up and begins again."""
        upload = self.choose(pick, attested=False)
        if upload:
            self.city.send(upload)
            try:
                self.city.attest(upload)
            except MissingError:
                self.uploads.remove(upload)

    @rule(pick=st.integers(0, 9))
    def attest_again(self, pick):
        """A client whose answer was lost asks once more."""
        upload = self.choose(pick, attested=True)
        if upload:
            try:
                self.city.attest(upload)
            except MissingError:
                assert upload.attested_until < self.city.chain_ms
                self.uploads.remove(upload)

    @rule(pick=st.integers(0, 9), bind=st.booleans())
    def commit(self, pick, bind):
        """A block comes, perhaps late; the node may follow it later."""
        upload = self.choose(pick, attested=True)
        if upload:
            self.uploads.remove(upload)
            self.city.commit(upload, bind=bind)

    @rule(pick=st.integers(0, 9), unbind=st.booleans())
    @precondition(lambda self: self.city.living)
    def retire(self, pick, unbind):
        root = sorted(self.city.living)[pick % len(self.city.living)]
        version, built, _ = self.city.living.pop(root)
        self.city.chain_ms += 1
        if unbind:
            self.city.versions.unbind(root)
        assert built.root == root, version

    @rule()
    def follow(self):
        assert self.city.follow() == []

    # --- the node -------------------------------------------------------------------------------

    @rule()
    def seal(self):
        self.city.chunks.flush()

    @rule()
    def crash(self):
        self.city.crash()

    @rule(
        grace=st.sampled_from([0, HOUR, DAY]),
        compact=st.booleans(),
        between=st.integers(0, 12),
        seed=st.integers(0, 1 << 30),
    )
    def collect(self, grace, compact, between, seed):
        """A run, with other things happening after one of its pieces."""
        left = [between]
        chance = random.Random(seed)

        def progress(*_):
            left[0] -= 1
            if left[0] == 0:
                for _ in range(2):
                    self.meanwhile(chance)

        self.city.collect(grace, compact=compact, progress=progress)

    def meanwhile(self, chance):
        """Do what a client may do at any moment."""
        pick = chance.randrange(10)
        action = chance.choice([
            lambda: self.begin([chance.randrange(6)]),
            lambda: self.send_some(pick, 3, 0),
            lambda: self.put_manifest(pick),
            lambda: self.attest(pick),
            lambda: self.attest_again(pick),
            lambda: self.commit(pick, chance.random() < 0.5),
            lambda: self.retire(pick, True) if self.city.living else None,
            self.seal,
        ])  # fmt: skip
        action()

    @rule(grace=st.sampled_from([0, DAY]), after=st.integers(0, 40), compact=st.booleans())
    def collect_with_a_failing_store(self, grace, after, compact):
        """The store fails at any call of the run."""
        self.city.store.fails_in = after
        with contextlib.suppress(UnavailableError):
            self.city.collect(grace, compact=compact)
        self.city.store.fails_in = None

    @rule(hides=st.integers(1, 20))
    def collect_with_a_short_listing(self, hides):
        self.city.store.hides = hides
        with contextlib.suppress(UnavailableError):
            self.city.collect(0)
        self.city.store.hides = 0

    @rule(pieces=st.integers(0, 8), compact=st.booleans(), crash=st.booleans())
    def collect_cut_short(self, pieces, compact, crash):
        left = [pieces]

        def progress(*_):
            left[0] -= 1
            if left[0] < 0:
                raise UnavailableError("stopped")

        with contextlib.suppress(UnavailableError):
            self.city.collect(0, compact=compact, progress=progress)
        if crash:
            self.city.crash()

    # --- time -----------------------------------------------------------------------------------

    @rule(ms=st.sampled_from([MINUTE, 20 * MINUTE, HOUR, 5 * HOUR, DAY]), chain=st.booleans())
    @precondition(lambda self: self.days < 14 * DAY)
    def pass_time(self, ms, chain):
        """Up to fourteen days; the chain may stand still or the node be cut off from it."""
        self.days += ms
        self.city.clock.time_ms += ms
        if chain:
            self.city.chain_ms = self.city.clock.time_ms

    # --- what was promised ----------------------------------------------------------------------

    @invariant()
    def promises_hold(self):
        versions = self.city.versions
        kept = [row[1] for row in self.city.living.values()]
        kept += [u.built for u in self.uploads if u.attested_until >= self.city.chain_ms]
        for built in kept:
            try:
                directory = versions.open_directory(built.root)
            except (MissingError, CorruptError) as error:
                raise AssertionError("a manifest that was promised is gone") from error
            assert [] == versions.missing(directory)
            entry = directory.entries[0]
            got = versions.read_content(built.root, 0, entry.sealed_bytes)
            assert len(got) == entry.sealed_bytes


CollectMachine.TestCase.settings = settings(
    max_examples=60,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
TestCollectMachine = pytest.mark.slow(CollectMachine.TestCase)
