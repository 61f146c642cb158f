"""Crash at every operation, in every way a disk may: what was acknowledged is there, and nothing false.

Three workloads over chunk store, journal and local store, recorded operation by operation. The images
after each operation are opened: all acknowledged chunks are readable, what is offered reads soundly, no
damage is told, and work goes on. Then each operation in turn fails with each error a disk has.
"""

import errno
import hashlib
import itertools
import random
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from hansa import limits
from hansa.data.chunk import compute_sealed_digest
from hansa.data.pipeline import UploadChunk
from hansa.errors import HansaError
from hansa.storage.addresses import Alive
from hansa.storage.chunk_store import ChunkStore
from hansa.storage.journal import Journal
from hansa.storage.local import LocalStore
from hansa.storage.table import MemoryTable
from hansa.testing.doubles import FixedClock, SeededEntropy
from hansa.types import ChunkId

from .disk_images import VARIANTS, DiskImage, DiskRecorder, ShortWrite

KEY = b"e" * 32
OPENINGS = itertools.count()
IMAGES_FAST = 12
"""Images of each workload in the quick run; the slow one takes all."""


def upload(label, size=300):
    """Return a chunk that no other label has."""
    blob = hashlib.shake_256(f"{label}".encode()).digest(size + 68)
    return UploadChunk(ChunkId(blob[:32]), blob[32:68], blob[68:])


@dataclass
class Node:
    """A store under test, and what it promised."""

    root: Path
    table: MemoryTable
    recorder: DiskRecorder | None = None
    promised: list[tuple[int, str, bool]] = field(default_factory=list)
    """Operations done when a promise was made (True) or taken back (False), and for which label."""
    clock: FixedClock = field(default_factory=FixedClock)

    def open(self):
        """Open, as at a start of the node."""
        self.store = LocalStore(self.root / "store", "o")
        try:
            self.chunks = ChunkStore(
                self.store,
                Journal(self.root / "journal"),
                self.table,
                KEY,
                SeededEntropy(str(next(OPENINGS))),
                clock=self.clock,
            )
        except HansaError:
            self.store.close()
            raise

    def close(self):
        """Close."""
        self.chunks.close()
        self.store.close()

    def put(self, *labels, cluster=0):
        """Put chunks; once that returns they are promised."""
        self.chunks.put([upload(label) for label in labels], cluster)
        self.promise(labels)

    def promise(self, labels, *, holds=True):
        """Note that from now on chunks must be there, or may go."""
        done = len(self.recorder.operations) if self.recorder else 0
        self.promised += [(done, label, holds) for label in labels]

    def promised_at(self, done):
        """Return the labels that had to be there after so many operations."""
        found = {}
        for at, label, holds in self.promised:
            if holds and at <= done:
                found[label] = True
            elif not holds:
                # It may go from the moment its end was decided, so before it was noted as done.
                found.pop(label, None)
        return set(found)


def digests(labels):
    """Return sealed digests."""
    return [compute_sealed_digest(upload(label).sealed) for label in labels]


def flush(node):
    """Seal what was begun; a store that is opened anew has another object for it."""
    node.chunks.flush()


def put_and_seal(node):
    """Uploads to two clusters, shared packs, full packs, a flush, repeated uploads."""
    yield lambda: node.put("a", "b")
    yield lambda: node.put("c", cluster=1)
    yield lambda: node.chunks.flush(0)
    yield lambda: node.put("a", "d")
    for label in range(6):
        yield lambda label=label: node.put(label)
    yield lambda: flush(node)
    yield lambda: node.put("e")


def rewrite_and_drop(node):
    """Packs whose chunks are forgotten in part, copied, and deleted."""
    yield lambda: node.put("a", "b", "c")
    yield lambda: flush(node)
    yield lambda: node.put("d", "e")
    yield lambda: flush(node)
    roots = []
    yield lambda: roots.extend(root for root, _ in node.chunks.packs())
    wanted = set(digests("abd"))
    yield lambda: node.chunks.rewrite(roots, wanted.__contains__, 3)
    yield lambda: node.chunks.flush(3)

    def forget():
        node.promise("ce", holds=False)
        node.clock.time_ms += limits.UPLOAD_LEASE_MS + 1
        node.chunks.forget(digests("ce"))

    yield forget
    for at in (0, 1):
        yield lambda at=at: roots[at:] and node.chunks.drop_pack(roots[at])
    yield lambda: node.put("f")


def restart_and_heal(node):
    """A node that restarts in the middle, seals what it finds, and takes damaged chunks again."""
    yield lambda: node.put("a", "b")

    def restart():
        node.close()
        try:
            node.open()
        except HansaError:
            node.open()
            raise

    yield restart
    yield lambda: node.put("c")

    def mark():
        node.promise("b", holds=False)
        node.chunks.mark_damaged(digests("b"))

    yield mark
    yield lambda: node.put("d")
    yield restart
    yield lambda: flush(node)
    yield lambda: node.put("e")
    yield restart


WORKLOADS = [put_and_seal, rewrite_and_drop, restart_and_heal]


@pytest.fixture(autouse=True)
def small_packs(monkeypatch):
    """Let packs get full quickly."""
    monkeypatch.setattr(limits, "PACK_BYTES_MAX", 6_500)


def record(workload, root):
    """Run a workload on a recorded disk; return the node and the record."""
    recorder = DiskRecorder(root)
    node = Node(root, MemoryTable(), recorder)
    node.table.write = recorder.table_write(node.table.write, node.table.rows)
    with recorder.recording():
        node.open()
        for step in workload(node):
            step()
        node.close()
    return node, recorder


def check(node, labels, *, seals=True):
    """Check that a store holds what was promised, offers nothing false, and works on."""
    chunks = node.chunks
    assert chunks.damages == []
    for label, digest in zip(labels, digests(labels), strict=True):
        stored = chunks.locate(digest)
        assert chunks.is_alive(stored, Alive()), label
        assert chunks.read(stored.address) == upload(label).sealed
    for digest, stored in chunks.index.stored():
        if chunks.is_alive(stored, Alive()):
            assert compute_sealed_digest(chunks.read(stored.address)) == digest
    if seals:
        chunks.put([upload("a"), upload("new")], 0)
        chunks.flush()
        for label, digest in zip((*labels, "new"), digests((*labels, "new")), strict=True):
            assert chunks.read(chunks.locate(digest).address) == upload(label).sealed


def check_image(node, recorder, done, how, seed, folder):
    """Open what a crash after `done` operations may leave, and check it."""
    chance = random.Random(seed)
    image = DiskImage(recorder.operations[:done], recorder.root, chance, how)
    folder.mkdir()
    image.write(folder)
    table = MemoryTable()
    if chance.random() < 0.7:
        table.rows.update(image.rows)
    found = Node(folder, table)
    labels = sorted(node.promised_at(done), key=str)
    try:
        found.open()
        check(found, labels)
        found.close()
        found.open()
        check(found, labels, seals=False)
        found.close()
    except BaseException:
        print(f"image: after {done} operations, {how}, seed {seed!r}")
        raise


@pytest.mark.parametrize("workload", WORKLOADS)
def test_sampled_images(workload, tmp_path):
    """At operations spread over the workload, one image in each way."""
    node, recorder = record(workload, tmp_path / "disk")
    total = len(recorder.operations)
    assert total > 40
    for number in range(IMAGES_FAST):
        done = total * number // IMAGES_FAST
        how = VARIANTS[number % len(VARIANTS)]
        seed = f"{workload.__name__} {number}"
        check_image(node, recorder, done, how, seed, tmp_path / f"image{number}")


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("workload", WORKLOADS)
def test_all_images(workload, tmp_path):
    """After every operation, several images in each way."""
    node, recorder = record(workload, tmp_path / "disk")
    for done in range(len(recorder.operations) + 1):
        for number, how in enumerate((*VARIANTS, "random", "torn", "random")):
            seed = f"{workload.__name__} all {done} {number}"
            check_image(node, recorder, done, how, seed, tmp_path / f"image{done}-{number}")


def fail_at(step, error):
    """Return what lets the n-th operation fail."""
    count = itertools.count(1)

    def fail(kind):
        if next(count) != step:
            return
        if isinstance(error, int):
            raise OSError(error, "injected")
        if kind == "write":
            raise ShortWrite

    return fail


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("workload", WORKLOADS)
@pytest.mark.parametrize("error", [errno.EIO, errno.ENOSPC, "short"])
def test_error_at_every_operation(workload, error, tmp_path):
    """Whichever operation fails: a clear error or none, nothing promised lost, now and after a restart."""
    total = len(record(workload, tmp_path / "plain")[1].operations)
    told = 0
    for step in range(1, total + 1):
        root = tmp_path / str(step)
        recorder = DiskRecorder(root)
        node = Node(root, MemoryTable(), recorder)
        node.table.write = recorder.table_write(node.table.write, node.table.rows)
        with recorder.recording():
            recorder.fail = fail_at(step, error)
            told += run_with_failures(node, workload)
        node.table = reopened = MemoryTable()
        reopened.rows.update(next_rows(recorder))
        node.recorder = None
        node.open()
        check(node, sorted(node.promised_at(total * 2), key=str))
        node.close()
    assert (told == 0) == (error == "short")


def next_rows(recorder):
    """Return the table's rows as of its last write."""
    return next((op.rows for op in reversed(recorder.operations) if op.rows is not None), {})


def run_with_failures(node, workload):
    """Run a workload's steps, each once, whatever fails; return how many failures were told."""
    told = 0
    try:
        node.open()
    except HansaError as error:
        told += bool(error.message)
        node.open()
    for step in workload(node):
        try:
            step()
        except HansaError as error:
            told += bool(error.message)
        labels = sorted(node.promised_at(10**9), key=str)
        for label, digest in zip(labels, digests(labels), strict=True):
            stored = node.chunks.index.locate(digest)
            if stored is not None:
                assert node.chunks.read(stored.address) == upload(label).sealed
    node.close()
    return told
