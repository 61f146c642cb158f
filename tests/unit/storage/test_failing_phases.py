"""Calls to store, table and disk fail, one at a time, in every phase of a store's life, against a model.

The phases: publish (also of a next version, in full packs, with the table's runs merging), sealing,
collection in both runs, compaction, repair, rebuilding the table, migration, a restart. Whichever call
fails and however (away, full, or done with its answer lost): what was promised is readable at once, after
a restart and after the phase was done again; nothing is half registered; in the end nothing else is left.
"""

import contextlib
import errno
import hashlib
import itertools
import os

import pytest

from hansa import limits
from hansa.data import chunk_index
from hansa.errors import DiskFullError, HansaError, StoreQuotaError, UnavailableError
from hansa.storage.memory import MemoryStore
from hansa.storage.migrate import migrate
from hansa.storage.names import name_pack
from hansa.storage.quota import Quota, used_bytes
from hansa.storage.repair import repair
from hansa.storage.table import MemoryTable
from hansa.testing.versions import DIRECTORY_KEY
from tests.unit.storage.disk_images import DiskRecorder
from tests.unit.storage.keeping import DAY, City

NOISE = hashlib.shake_256(b"phases").digest(1_200_000)
HOW = ("away", "full", "lost answer")
FEW = 6
"""Calls that fail in the quick run of each phase."""
STRIDE = "5"
"""The slow run lets one call in so many fail; HANSA_STRIDE=1 each."""


class Fault:
    """Lets one call fail: the n-th of those that are counted while it is armed."""

    def __init__(self):
        self.seen = 0
        self.at = 0
        self.how = ""
        self.is_armed = False

    def strikes(self):
        """Count a call; tell whether it is the one."""
        if not self.is_armed:
            return False
        self.seen += 1
        return self.seen == self.at

    def error(self):
        """Return what the call raises."""
        if self.how == "full":
            return DiskFullError("The disk is full.")
        return UnavailableError("It is away.")

    def disk(self, _kind):
        """Fail as a disk does."""
        if self.strikes():
            raise OSError(errno.ENOSPC if self.how == "full" else errno.EIO, "injected")

    @contextlib.contextmanager
    def armed(self, at, how):
        """Count, and let the n-th call fail."""
        self.seen, self.at, self.how, self.is_armed = 0, at, how, True
        try:
            yield
        finally:
            self.is_armed = False

    def around(self, call):
        """Return a call that may fail before it is done, or have its answer lost."""

        def failing(*arguments, **named):
            is_struck = self.strikes()
            if is_struck and self.how != "lost answer":
                raise self.error()
            answer = call(*arguments, **named)
            if is_struck:
                raise self.error()
            return answer

        return failing


def frail(made, fault, names):
    """Have calls of an object fail; return it."""
    for name in names:
        setattr(made, name, fault.around(getattr(made, name)))
    return made


def frail_store(fault):
    """Return a store of which every call may fail."""
    names = ("put", "put_file", "get", "size", "exists", "list", "delete")
    return frail(MemoryStore(), fault, names)


def frail_table(fault):
    """Return a table of which every call may fail; a commit is done or not."""
    table = MemoryTable()
    write = table.write

    def note(changes):
        if fault.strikes():
            raise fault.error()
        write(changes)

    table.write = table.note = note
    return frail(table, fault, ("get", "get_many", "scan"))


class World:
    """A city whose every part may fail, and what it promised."""

    def __init__(self, folder):
        folder.mkdir()
        self.fault = Fault()
        self.recorder = DiskRecorder(folder)
        self.recorder.fail = self.fault.disk
        self.folder = folder
        self.target = frail_store(self.fault)

    def open(self):
        """Make the city."""
        self.city = City(frail_store(self.fault), self.folder)
        self.city.chunks.close()
        self.city.table = frail_table(self.fault)
        self.city.open()

    def check(self):
        """Check what was promised, and that nothing is half registered."""
        city = self.city
        for root, (_, built, files) in city.living.items():
            assert files == city.read(type("U", (), {"built": built})), root.hex()[:8]
        bound = {root for root, _ in city.versions.versions()}
        assert bound <= set(city.living)

    def settle(self):
        """Once all is quiet only what lives is left, and it takes no more room than counted."""
        city = self.city
        city.chunks.flush()
        for _ in range(3):
            city.pass_time(limits.LEASE_MS_MAX + 2 * DAY)
            city.collect(0, compact=True)
        expected = {
            entry.sealed_digest
            for _, built, _ in city.living.values()
            for entry in built.directory.entries
        }
        assert expected == city.stored_digests()
        assert set(city.keys.kept) == set(city.living)
        assert city.chunks.waiting_bytes() == 0
        stored = sum(len(data) for data in city.store.objects.values())
        assert stored == used_bytes(city.versions)
        self.check()


# --- phases: what is there before, and what is done -----------------------------------------------


def one_version(world):
    """Publish a first version, in a pack."""
    world.city.publish({"a": NOISE[:200_000], "b": NOISE[:60_000]})
    world.city.chunks.flush()


def a_dead_one(world):
    """Two versions that share, one of them retired, two clusters, and time passed."""
    first = world.city.publish({"a": NOISE[:200_000]}, cluster=1)
    world.city.chunks.flush()
    world.city.publish({"a": NOISE[:150_000], "c": NOISE[500_000:600_000]}, cluster=2)
    world.city.chunks.flush()
    world.city.retire(first)
    world.city.pass_time(2 * DAY)


def a_condemned_one(world):
    """The same after a first run."""
    a_dead_one(world)
    world.city.collect()
    world.city.pass_time(2 * DAY)


def a_damaged_pack(world):
    """A pack with a flipped byte in one chunk that nothing living needs, and one begun."""
    city = world.city
    gone = city.publish({"gone": NOISE[700_000:760_000]})
    city.publish({"a": NOISE[:200_000]})
    city.chunks.flush()
    place = city.chunks.locate(gone.built.uploads and digest_of(gone)).address
    name = name_pack(place.pack)
    data = bytearray(city.store.objects[name])
    data[place.offset + 5] ^= 1
    city.store.objects[name] = bytes(data)
    city.retire(gone)
    city.publish({"b": NOISE[300_000:350_000]})


def digest_of(upload):
    """Return the sealed digest of an upload's first chunk."""
    return upload.built.directory.entries[0].sealed_digest


def publish(world):
    """Publish, with duplicates, in packs that get full."""
    city = world.city
    upload = city.begin({"a": NOISE[:200_000], "n": NOISE[800_000:1_100_000]})
    while upload.sent < len(upload.built.uploads):
        city.send(upload, 1)
    city.attest(upload)
    assert city.commit(upload) is not None


def seal(world):
    """Publish and seal what was begun."""
    world.city.publish({"s": NOISE[600_000:700_000]})
    world.city.chunks.flush()


def collect(world):
    """Collect, once."""
    world.city.collect()


def compact(world):
    """Collect and gather by the clusters of today."""
    world.city.collect(compact=True, cluster_of=lambda _dataset: 9)


def mend(world):
    """Repair."""
    living = {root: row[0] for root, row in world.city.living.items()}
    repair(world.city.versions, DIRECTORY_KEY, living, rebuild_table=True)


def lose_the_table(world):
    """Open with a new table, which is filled again from packs, journal and manifests."""
    world.city.chunks.close()
    world.city.table = frail_table(world.fault)
    world.city.open()
    assert world.city.follow() == []


def restart(world):
    """End and open again."""
    world.city.crash()


def move(world):
    """Copy all to another store, and compare."""
    before = dict(world.city.store.objects)
    migrate(world.city.store, world.target)
    assert before == world.city.store.objects == world.target.objects


PHASES = {
    "publish": (one_version, publish),
    "seal": (one_version, seal),
    "condemn": (a_dead_one, collect),
    "forget and delete": (a_condemned_one, collect),
    "compact": (a_condemned_one, compact),
    "repair": (a_damaged_pack, mend),
    "lose the table": (a_dead_one, lose_the_table),
    "restart": (a_damaged_pack, restart),
    "migrate": (a_dead_one, move),
}


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Let packs get full, runs be merged and filters be saved within one publish."""
    monkeypatch.setattr(limits, "PACK_BYTES_MAX", 300_000)
    monkeypatch.setattr(limits, "COLLECT_BATCH_CHUNKS", 2)
    monkeypatch.setattr(chunk_index, "MEMORY_ENTRIES", 4)
    monkeypatch.setattr(chunk_index, "_FILTER_SAVE_MIN", 6)


def run(folder, phase, at, how):
    """Let one call fail; return how many calls there were, and whether it was told."""
    prepare, act = PHASES[phase]
    world = World(folder)
    told = ""
    # Recorded from the beginning: nothing is really synced, which would take most of the time.
    with world.recorder.recording():
        world.open()
        prepare(world)
        with world.fault.armed(at, how):
            try:
                act(world)
            except HansaError as error:
                told = error.message
        calls = world.fault.seen
        if at:
            if phase not in ("restart", "lose the table") or not told:
                world.check()
            world.city.crash()
            world.check()
            act(world)
            world.check()
            world.settle()
    world.city.chunks.close()
    return calls, told


def run_all(folder, phase, stride):
    """Let calls fail, each in one of the ways in turn; return how often it was told."""
    calls, _ = run(folder / "plain", phase, 0, "")
    assert calls > 10
    told = 0
    for number, at in enumerate(range(1, calls + 1, stride or calls // FEW)):
        how = HOW[(number + at) % 3]
        try:
            told += bool(run(folder / f"{at}", phase, at, how)[1])
        except BaseException:
            print(f"{phase}: call {at} of {calls}, {how}")
            raise
    return told


@pytest.mark.parametrize("phase", PHASES)
def test_some_calls_fail(phase, tmp_path):
    """One call in some, spread over the phase."""
    assert run_all(tmp_path, phase, 0) > 0


@pytest.mark.slow
@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.timeout(300)
def test_many_calls_fail(phase, tmp_path):
    """Other calls, closer together; or every one."""
    assert run_all(tmp_path, phase, int(os.environ.get("HANSA_STRIDE", STRIDE))) > 0


def test_a_quota_at_any_byte(tmp_path):
    """However much is left: a publish is refused or whole; its room comes back; with more it succeeds."""
    for number in itertools.count():
        world = World(tmp_path / str(number))
        world.open()
        one_version(world)
        city = world.city
        before = used_bytes(city.versions)
        quota = Quota(city.versions, before + number * 40_000)
        try:
            publish(world)
            is_whole = True
        except StoreQuotaError:
            is_whole = False
        world.check()
        assert is_whole or len(city.living) == 1
        if not is_whole:
            quota.quota_bytes = 0
            world.settle()
            assert used_bytes(city.versions) <= before
            publish(world)
        world.settle()
        city.chunks.close()
        if is_whole:
            break
    assert number > 3
