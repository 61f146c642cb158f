"""Tests of hansa.cli.hdfs.cluster with small programs in Java's place; a real cluster in tests/contract."""

import socket
import sys
from pathlib import Path

import pytest

from hansa.cli.hdfs import cluster as module
from hansa.cli.hdfs.cluster import HdfsCluster
from hansa.errors import ConflictError, MissingError, UnavailableError

_SLEEP = [sys.executable, "-S", "-c", "import time; time.sleep(60)"]
_WELL = {"FSState": "Operational", "NumLiveDataNodes": 3, "MissingBlocks": 0}


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Return a cluster whose processes only sleep, and whose NameNode says that all is well."""
    monkeypatch.setattr(module, "find_java", lambda: "java")
    monkeypatch.setattr(module, "fetch_jars", lambda: tmp_path / "jars")
    monkeypatch.setattr(module, "datanode_command", lambda *_: _SLEEP)
    monkeypatch.setattr(
        module,
        "namenode_command",
        lambda java, jars, folder, *rest: [sys.executable, "-c", ""] if rest else _SLEEP,
    )
    monkeypatch.setattr(module.NameNodeWeb, "figures", lambda self: dict(_WELL))
    made = HdfsCluster(tmp_path / "c")
    yield made
    made.stop()


def test_started_found_and_stopped(cluster) -> None:
    """Another object of the same folder finds it; starting twice is harmless; stopping tells."""
    assert not cluster.is_running()
    cluster.start()
    again = HdfsCluster(cluster.folder)
    assert again.is_running()
    before = again.state()
    again.start()
    assert again.state() == before
    view = again.view()
    assert (view.running, view.datanodes, view.datanodes_live) == (True, 3, 3)
    assert not view.safe_mode
    assert view.url == again.url == f"hdfs://127.0.0.1:{before.rpc_port}"
    assert again.stop()
    assert not cluster.stop()
    assert not cluster.view().running


def test_ports_and_size_are_kept(cluster) -> None:
    """A stopped cluster comes back as it was: clients have its address in their settings."""
    first = cluster.start(datanodes=3, replication=2).state()
    cluster.stop()
    second = cluster.start(datanodes=5, replication=3).state()
    assert (first.rpc_port, first.http_port) == (second.rpc_port, second.http_port)
    assert (len(second.datanodes), second.replication) == (3, 2)


def test_a_taken_port_is_told(cluster) -> None:
    """Another program on the NameNode's port is not mistaken for it."""
    port = cluster.start().state().rpc_port
    cluster.stop()
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))
        other.listen()
        with pytest.raises(ConflictError, match=str(port)):
            cluster.start()


def test_no_more_replicas_than_datanodes(cluster) -> None:
    """One DataNode cannot keep two copies."""
    assert cluster.start(datanodes=1, replication=2).state().replication == 1


def test_a_datanode_is_killed_and_comes_back(cluster) -> None:
    """By its number; one that runs is left alone."""
    cluster.start()
    before = cluster.state().datanodes[1]
    cluster.kill_datanode(1)
    cluster.start_datanode(1)
    after = cluster.state().datanodes[1]
    assert before != after
    cluster.start_datanode(1)
    assert cluster.state().datanodes[1] == after


@pytest.mark.slow
def test_what_does_not_get_ready_is_stopped_again(cluster, monkeypatch) -> None:
    """Safe mode without end, or a NameNode that ends: told with its last words, nothing left running."""
    monkeypatch.setattr(module, "READY_S_MAX", 0.2)
    monkeypatch.setattr(module.NameNodeWeb, "figures", lambda self: {"FSState": "safeMode"})
    monkeypatch.setattr(HdfsCluster.wait_for, "__defaults__", (0.2,))
    with pytest.raises(UnavailableError, match="safeMode"):
        cluster.start()
    assert not cluster.is_running()
    ends = [sys.executable, "-c", "print('no room')"]
    monkeypatch.setattr(module, "namenode_command", lambda *_: ends)
    with pytest.raises(UnavailableError, match="NameNode ended"):
        cluster.start()
    assert not cluster.is_running()


def test_no_cluster(tmp_path: Path) -> None:
    """A folder without one says so, and stopping it is harmless."""
    none = HdfsCluster(tmp_path / "none")
    assert not none.stop()
    with pytest.raises(MissingError):
        none.state()


def test_ports_below_those_of_outgoing_connections() -> None:
    """Two different ones."""
    one, other = module._choose_ports()
    assert one != other
    assert min(one, other) >= 10_240
