"""The store on a real HDFS whose processes die, hang, restart and rot: nothing fails that need not."""

import contextlib
import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from hansa import limits
from hansa.cli.hdfs import HdfsCluster
from hansa.errors import CorruptError, DiskFullError, UnavailableError
from hansa.storage.hdfs import HdfsStore
from tests.hdfs import (
    REPLICATION,
    begin_cluster,
    block_files,
    flip_byte,
    is_whole,
    open_hdfs_store,
    own_folder,
)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]
LARGE = random.Random(5).randbytes(72 << 20)
"""Written in some tenths of a second: time to be hit in the middle."""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HdfsCluster]:
    """A cluster of this module's own: its processes are killed."""
    with begin_cluster(tmp_path_factory.mktemp("faults")) as started:
        yield started


@pytest.fixture
def told() -> list[str]:
    """What the store told its node of outages."""
    return []


@pytest.fixture
def store(cluster: HdfsCluster, told: list[str]) -> Iterator[HdfsStore]:
    """A store in a folder of its own."""
    opened = open_hdfs_store(own_folder(cluster), tell=told.append)
    yield opened
    opened.close()


@contextlib.contextmanager
def meanwhile(work: Callable[[], object]) -> Iterator[None]:
    """Do something on another thread; what it raises is raised at the end."""
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(work)
        yield
        future.result()


def wait_until(holds: Callable[[], bool], what: str, seconds: float = 60) -> None:
    """Wait for something, a bounded time."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, what
        time.sleep(0.002)


def writing_datanode(cluster: HdfsCluster, at_least: int) -> int:
    """Wait until a block of so many bytes grows; return the number of a DataNode it grows on."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        for number in range(3):
            for path in block_files(cluster, number):
                with contextlib.suppress(FileNotFoundError):
                    if path.parent.name == "rbw" and path.stat().st_size >= at_least:
                        return number
        time.sleep(0.001)
    raise AssertionError("no block was seen growing")


def finalized(cluster: HdfsCluster, without: int) -> dict[str, int]:
    """Return on how many of the other DataNodes each complete block lies."""
    found: dict[str, int] = {}
    for number in {0, 1, 2} - {without}:
        for path in block_files(cluster, number):
            if "finalized" in path.parts and path.suffix != ".meta":
                found[path.name] = found.get(path.name, 0) + 1
    return found


# --- DataNodes ----------------------------------------------------------------------------------


@pytest.mark.parametrize("at_least", [0, 40 << 20])
def test_a_datanode_dies_in_a_write(
    cluster: HdfsCluster, store: HdfsStore, told: list[str], tmp_path: Path, at_least: int
) -> None:
    """What is acknowledged lies whole on as many living DataNodes as was asked for."""
    path = tmp_path / "pack"
    path.write_bytes(LARGE)
    before = finalized(cluster, -1).keys()
    killed: list[int] = []

    def kill() -> None:
        killed.append(writing_datanode(cluster, at_least))
        cluster.kill_datanode(killed[0])

    with meanwhile(kill):
        store.put_file("packs/aa/bb", path)
    assert store.get("packs/aa/bb") == LARGE

    def has_replicas() -> bool:
        sizes = finalized(cluster, killed[0])
        return any(sizes[name] == REPLICATION for name in sizes.keys() - before)

    wait_until(has_replicas, "replicas on the living", 10)
    assert told == [], "the NameNode was never away"
    cluster.start_datanode(killed[0])
    cluster.wait_for(partial(is_whole, cluster), "whole replication")


@pytest.mark.parametrize("how", ["kill", "pause"])
def test_a_datanode_goes_in_reads(cluster: HdfsCluster, store: HdfsStore, how: str) -> None:
    """Short and long reads, eight at a time: each gives the right bytes, from another replica."""
    data = LARGE[: 40 << 20]
    store.put("packs/aa/bb", [data])
    cluster.wait_for(partial(is_whole, cluster), "whole replication")
    gone, served = threading.Event(), [0]

    def read(seed: int) -> None:
        chance = random.Random(seed)
        left = 40
        while left:
            length = chance.choice([100, 64 << 10, 64 << 10, 6 << 20])
            offset = chance.randrange(len(data) - length)
            assert store.get("packs/aa/bb", offset, length) == data[offset : offset + length]
            served[0] += 1
            left -= gone.is_set()

    with ThreadPoolExecutor(8) as pool:
        reading = [pool.submit(read, seed) for seed in range(8)]
        wait_until(lambda: served[0] > 20, "some reads")
        number = next(
            number
            for number in range(3)
            if any(p.stat().st_size == len(data) for p in block_files(cluster, number))
        )
        cluster.kill_datanode(number) if how == "kill" else cluster.pause(number)
        gone.set()
        try:
            for future in reading:
                future.result()
        finally:
            cluster.start_datanode(number) if how == "kill" else cluster.resume(number)
    cluster.wait_for(partial(is_whole, cluster), "whole replication")


def test_a_datanode_hangs_in_a_write(cluster: HdfsCluster, store: HdfsStore) -> None:
    """It is silent for longer than is borne: the file is written anew past it, or mended."""
    held: list[int] = []

    def pause() -> None:
        held.append(writing_datanode(cluster, 8 << 20))
        cluster.pause(held[0])

    try:
        with meanwhile(pause):
            store.put("packs/aa/bb", [LARGE])
    finally:
        cluster.resume(held[0])
    assert store.get("packs/aa/bb") == LARGE
    cluster.wait_for(partial(is_whole, cluster), "whole replication")


def test_a_flipped_byte(cluster: HdfsCluster, store: HdfsStore) -> None:
    """On one disk it is read past; on all, the error says that it is damage, not an outage."""
    before = {p.name for number in range(3) for p in block_files(cluster, number)}
    data = LARGE[: 3 << 20]
    store.put("packs/aa/bb", [data])

    def replicas() -> list[Path]:
        return [
            path
            for number in range(3)
            for path in block_files(cluster, number)
            if path.name not in before and path.suffix != ".meta" and "finalized" in path.parts
        ]

    # A slow machine may have cost the pipeline a DataNode: HDFS then mends the count.
    wait_until(lambda: len(replicas()) == REPLICATION, "as many replicas as asked for")
    blocks = replicas()
    flip_byte(blocks[0], 1_000_000)
    for _ in range(6):
        assert store.get("packs/aa/bb") == data
    flip_byte(blocks[1], 1_000_000)
    with pytest.raises(CorruptError, match="no sound replica"):
        store.get("packs/aa/bb", 990_000, 20_000)
    assert store.get("packs/aa/bb", 2_000_000, 1_000) == data[2_000_000:2_001_000]
    store.delete("packs/aa/bb")


# --- the NameNode -------------------------------------------------------------------------------


def test_the_namenode_restarts(cluster: HdfsCluster, store: HdfsStore, told: list[str]) -> None:
    """Writes, reads of new files and lists wait until it is back, safe mode and all; and it is told."""
    store.put("packs/aa/00", [b"before"])
    cluster.stop_namenode()
    with meanwhile(lambda: store.put("packs/aa/01", [b"meanwhile"])):
        wait_until(lambda: "cannot be reached" in store.waiting_for, "it is told")
        with meanwhile(lambda: store.size("packs/aa/00")), meanwhile(lambda: list(store.list(""))):
            cluster.start_namenode()
    assert store.get("packs/aa/01") == b"meanwhile"
    assert store.waiting_for == ""
    assert "NameNode cannot be reached" in told[0]
    assert "answers again" in told[-1]
    cluster.wait_until_ready()


def test_safe_mode_is_waited_out(cluster: HdfsCluster, store: HdfsStore, told: list[str]) -> None:
    """Reads go on; a write waits and says why."""
    store.put("packs/aa/00", [b"before"])
    cluster.administer("-safemode", "enter")
    try:
        assert store.get("packs/aa/00") == b"before"
        with meanwhile(lambda: store.put("packs/aa/01", [b"after"])):
            wait_until(lambda: "safe mode" in store.waiting_for, "it is told")
            assert store.get("packs/aa/00") == b"before"
            cluster.administer("-safemode", "leave")
    finally:
        cluster.administer("-safemode", "leave")
    assert store.get("packs/aa/01") == b"after"
    assert "safe mode" in told[0]


def test_a_store_that_is_away_for_good(
    cluster: HdfsCluster, store: HdfsStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Calls end with what is wrong; later ones do not wait their full time; nothing is half there."""
    monkeypatch.setattr(limits, "HDFS_OUTAGE_MS_MAX", 1_500)
    monkeypatch.setattr(limits, "HDFS_CALL_MS_MAX", 1_000)
    store.put("packs/aa/00", [b"before"])
    cluster.pause()
    try:
        with pytest.raises(UnavailableError, match="in time"):
            store.put("packs/aa/01", [b"never"])
        began = time.monotonic()
        with pytest.raises(UnavailableError) as refused:
            store.size("packs/aa/00")
        assert refused.value.retryable
        assert time.monotonic() - began < 10
    finally:
        cluster.resume()
    assert list(store.list("packs/")) in (["packs/aa/00"], ["packs/aa/00", "packs/aa/01"])
    assert store.put("packs/aa/01", [b"never"]) == 5


def test_a_quota_that_is_used_up(cluster: HdfsCluster, told: list[str]) -> None:
    """The write is refused at once, its bytes are given back; with more room it succeeds."""
    url = own_folder(cluster)
    store = open_hdfs_store(url, tell=told.append)
    folder = url.removeprefix(cluster.url)
    cluster.web.set_space_quota(folder, 12 << 20)
    with pytest.raises(DiskFullError, match="quota"):
        store.put("packs/aa/00", [LARGE[: 8 << 20]])
    assert list(store.list("")) == []
    assert store.free_bytes() > 5 << 20, "what was begun was given back"
    store.put("packs/aa/01", [b"small"])
    cluster.web.set_space_quota(folder, 64 << 20)
    assert store.put("packs/aa/00", [LARGE[: 8 << 20]]) == 8 << 20
    assert told == []
    store.close()
