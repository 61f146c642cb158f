"""An alliance on a real HDFS of its own: by the commands, and with DataNodes that die and blocks that rot."""

import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from hansa.cli.hdfs import HdfsCluster
from hansa.cli.local_alliance import LocalAlliance
from tests.e2e.harness import Shell, devnet, wait_for
from tests.hdfs import (
    begin_cluster,
    block_files,
    blocks_of_files,
    flip_byte,
    is_whole,
    processes_below,
    refuse_without_hadoop,
)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
NAMES = ["transport", "energy"]
MANY_CHUNKS_BYTES = 45_000_000
"""So many chunks that the manifest is an object of its own, which is in HDFS once it is attested."""
LARGE_BYTES = 150_000_000
"""More than a pack: one is sealed and goes to HDFS while the rest is uploaded."""


@pytest.fixture(scope="module", autouse=True)
def hadoop() -> None:
    """Skip without Java, but never under CI."""
    refuse_without_hadoop()


def _publish(shell: Shell, profile: str, path: Path, title: str) -> dict:
    return shell.ok(
        "--profile", profile, "dataset", "publish", path, "--title", title, "--description",
        "Readings", "--keyword", "readings", "--theme", "transport",
    )  # fmt: skip


def test_devnet_up_and_down(tmp_path: Path) -> None:
    """One command starts HDFS and nodes; each node has its own root; nothing is left behind."""
    shell = Shell(tmp_path / "home")
    folder = tmp_path / "city"
    words = ("devnet", "up", "--dir", folder)
    try:
        told = shell.ok(*words, "--organisations", ",".join(NAMES), "--store", "hdfs")
        assert told["hdfs"]["running"]
        assert (told["hdfs"]["datanodes_live"], told["hdfs"]["replication"]) == (3, 2)
        (tmp_path / "a.csv").write_text("id,count\n1,2\n")
        dataset = _publish(shell, "transport", tmp_path / "a.csv", "Counts")["dataset"]
        stats = shell.ok("--profile", "transport", "store", "stats")
        assert stats["url"] == f"{told['hdfs']['url']}/transport"
        assert stats["free_bytes"] is None
        _assert_own_roots(told["hdfs"]["url"], folder)
        assert shell.ok("devnet", "down", "--dir", folder)["stopped"] == len(NAMES)
        assert processes_below(folder) == []

        again = shell.ok(*words)
        assert again["hdfs"]["url"] == told["hdfs"]["url"]
        shell.ok("--profile", "transport", "dataset", "get", dataset, "--output", tmp_path / "out")
        assert (tmp_path / "out" / "a.csv").read_text() == "id,count\n1,2\n"
    finally:
        shell("devnet", "down", "--dir", folder)
    assert processes_below(folder) == []


def _assert_own_roots(url: str, folder: Path) -> None:
    """The store lies in the owner's root; HDFS refuses it to every other organisation."""
    script = f"""
from hdfs_native import Client
client = Client({url!r})
files = [s.path for s in client.list_status("/transport", True) if not s.isdir]
assert "/transport/owner" in files, files
"""
    for user, code in (("transport", 0), ("energy", 1), ("root", 1)):
        done = subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "HADOOP_USER_NAME": user},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, (user, done.stderr)
        assert code == 0 or "AccessControlException" in done.stderr
    assert not (folder / "members" / "transport" / "node" / "store").exists()


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAlliance]:
    """Two organisations on an HDFS of their own."""
    with devnet(tmp_path_factory.mktemp("on-hdfs") / "city", NAMES, 1, "hdfs") as alliance:
        yield alliance


@pytest.fixture(scope="module")
def shell(city: LocalAlliance, tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """Commands that find the alliance's profiles."""
    return Shell(tmp_path_factory.mktemp("home"))


def _profile(city: LocalAlliance, name: str) -> str:
    return str(city.folder / "members" / name / "profile.toml")


def test_publish_and_fetch_while_datanodes_die(
    city: LocalAlliance, shell: Shell, tmp_path: Path
) -> None:
    """One DataNode is killed while a pack is written, another while it is read: nobody notices."""
    cluster = city.hdfs
    assert cluster is not None
    (tmp_path / "in").mkdir()
    path = tmp_path / "in" / "large.bin"
    path.write_bytes(random.Random(11).randbytes(LARGE_BYTES))
    killed: list[int] = []

    def kill_a_writer() -> None:
        """Kill the DataNode to which a large block grows, in the middle of it."""
        end = time.monotonic() + 120
        while time.monotonic() < end:
            for number in range(3):
                growing = (p for p in block_files(cluster, number) if p.parent.name == "rbw")
                if any(p.exists() and p.stat().st_size > 20_000_000 for p in growing):
                    cluster.kill_datanode(number)
                    killed.append(number)
                    return
            time.sleep(0.002)

    killer = threading.Thread(target=kill_a_writer)
    killer.start()
    published = _publish(shell, _profile(city, "transport"), path, "Large readings")
    killer.join()
    assert len(killed) == 1, "the pack was not seen growing"
    wait_for(lambda: _packs(shell, city) >= 1, 120)
    cluster.start_datanode(killed[0])
    cluster.wait_for(partial(is_whole, cluster), "whole replication")

    _kill_during_fetch(city, shell, published["dataset"], (killed[0] + 1) % 3, tmp_path / "out")
    assert (tmp_path / "out" / "large.bin").read_bytes() == path.read_bytes()
    cluster.start_datanode((killed[0] + 1) % 3)
    cluster.wait_for(partial(is_whole, cluster), "whole replication")
    report = shell.ok("--profile", _profile(city, "transport"), "store", "check", "--read-data")
    assert report["problems"] == []


def _packs(shell: Shell, city: LocalAlliance) -> int:
    return shell.ok("--profile", _profile(city, "transport"), "store", "stats")["packs"]


def _kill_during_fetch(
    city: LocalAlliance, shell: Shell, dataset: str, number: int, target: Path
) -> None:
    """Fetch into a folder; kill a DataNode once the first bytes are there."""
    assert city.hdfs is not None
    failed: list[BaseException] = []

    def fetch() -> None:
        try:
            words = ("dataset", "get", dataset, "--output", target)
            shell.ok("--profile", _profile(city, "transport"), *words)
        except BaseException as error:  # noqa: BLE001 - told to the test below
            failed.append(error)

    fetching = threading.Thread(target=fetch)
    fetching.start()
    wait_for(lambda: any(p.is_file() for p in target.rglob("*")) or not fetching.is_alive(), 60)
    city.hdfs.kill_datanode(number)
    fetching.join()
    assert failed == []


def test_rot_is_read_past_and_then_named(city: LocalAlliance, shell: Shell, tmp_path: Path) -> None:
    """A byte flipped on one DataNode's disk is read from the other; on both, the check names the dataset."""
    cluster = city.hdfs
    assert cluster is not None
    before = _manifest_blocks(cluster, "energy")
    path = tmp_path / "in.bin"
    path.write_bytes(random.Random(12).randbytes(MANY_CHUNKS_BYTES))
    published = _publish(shell, _profile(city, "energy"), path, "Rotten readings")
    (name,) = _manifest_blocks(cluster, "energy") - before

    def replicas() -> list[Path]:
        found = (p for number in range(3) for p in block_files(cluster, number))
        return [p for p in found if p.name == name and "finalized" in p.parts]

    wait_for(lambda: len(replicas()) == 2, 60)
    manifests = replicas()
    energy = ("--profile", _profile(city, "energy"))

    flip_byte(manifests[0], manifests[0].stat().st_size // 2)
    assert shell.ok(*energy, "store", "check", "--read-data")["problems"] == []
    shell.ok(*energy, "dataset", "get", published["dataset"], "--output", tmp_path / "one")
    assert (tmp_path / "one" / "in.bin").read_bytes() == path.read_bytes()

    flip_byte(manifests[1], manifests[1].stat().st_size // 2)
    report = _check_with_problems(shell, *energy)
    assert report["damaged_datasets"] == [published["dataset"]]
    assert len(report["problems"]) >= 1
    for block in manifests:
        flip_byte(block, block.stat().st_size // 2)
    assert shell.ok(*energy, "store", "check", "--read-data")["problems"] == []


def _manifest_blocks(cluster: HdfsCluster, organisation: str) -> set[str]:
    """Return the blocks of an organisation's manifests: packs come and go meanwhile."""
    folder = f"/{organisation}/objects/manifests/"
    return {block.name for block in blocks_of_files(cluster) if block.path.startswith(folder)}


def test_a_namenode_that_restarts_is_waited_for(
    city: LocalAlliance, shell: Shell, tmp_path: Path
) -> None:
    """A publish goes on once it is back; meanwhile the node says what it waits for, and logs it."""
    cluster = city.hdfs
    assert cluster is not None
    cluster.wait_until_ready()
    path = tmp_path / "waiting.bin"
    path.write_bytes(random.Random(13).randbytes(MANY_CHUNKS_BYTES))
    energy = _profile(city, "energy")
    with ThreadPoolExecutor(1) as pool:
        cluster.stop_namenode()
        publishing = pool.submit(_publish, shell, energy, path, "Waiting readings")

        def is_told() -> bool:
            health = shell("--profile", energy, "node", "status", "--json").json["health"]
            return any("waited for: The NameNode cannot be" in why for why in health["reasons"])

        wait_for(is_told, 40)
        cluster.start_namenode()
        dataset = publishing.result()["dataset"]
    shell.ok("--profile", energy, "dataset", "get", dataset, "--output", tmp_path / "out")
    assert (tmp_path / "out" / "waiting.bin").read_bytes() == path.read_bytes()
    log = city.folder / "members" / "energy" / "node" / "log" / "node.log"
    waits = [line for line in log.read_text().splitlines() if "store-waits" in line]
    assert "cannot be reached" in waits[0]
    assert "answers again" in waits[-1]
    cluster.wait_until_ready()


def _check_with_problems(shell: Shell, *words: str) -> dict:
    """Run a check that finds something: its exit code says so too."""
    done = shell(*words, "store", "check", "--read-data", "--json")
    assert done.code == 8, done.err
    return done.json


def test_demo_cluster_ends_with_a_killed_parent(tmp_path: Path) -> None:
    """kill -9 of who runs a tied cluster leaves no JVM behind."""
    folder = tmp_path / "c"
    script = f"""
import sys, time
from pathlib import Path
from hansa.cli.hdfs import HdfsCluster
HdfsCluster(Path({str(folder)!r}), tied=True).start()
print("on", flush=True)
time.sleep(100)
"""
    with subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    ) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"on\n"
        assert len(processes_below(folder)) == 4
        parent.kill()
        parent.wait()
    if sys.platform == "linux":
        wait_for(lambda: processes_below(folder) == [])
    HdfsCluster(folder).stop()


def test_cluster_of_the_tests_is_shared(hdfs: HdfsCluster) -> None:
    """The one that all other tests use runs, and a second start of it is harmless."""
    before = hdfs.state()
    assert begin_cluster(hdfs.folder).state() == before
