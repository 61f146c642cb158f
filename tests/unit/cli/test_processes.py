"""Processes: found by pid and start time, never a stranger's."""

import os
from pathlib import Path

import msgspec
import psutil

from hansa.cli import processes


def test_ports_are_free_and_different() -> None:
    """As many as asked, each once."""
    ports = processes.free_ports(8)
    assert len(set(ports)) == 8


def test_a_reused_pid_is_not_ours(tmp_path: Path) -> None:
    """A record whose start time differs names a stranger, who is neither found nor stopped."""
    record = processes.ProcessRecord(os.getpid(), psutil.Process().create_time() - 100)
    (tmp_path / processes.PROCESS_FILE).write_bytes(msgspec.json.encode(record))
    assert processes.find_process(tmp_path) is None
    assert processes.stop_process(tmp_path) is False


def test_our_own_is_found(tmp_path: Path) -> None:
    """The same pid with its start time is found."""
    record = processes.ProcessRecord(os.getpid(), psutil.Process().create_time())
    (tmp_path / processes.PROCESS_FILE).write_bytes(msgspec.json.encode(record))
    found = processes.find_process(tmp_path)
    assert found is not None
    assert found.pid == os.getpid()


def test_no_record_is_no_process(tmp_path: Path) -> None:
    """An empty folder and a damaged record both mean that nothing runs."""
    assert processes.find_process(tmp_path) is None
    (tmp_path / processes.PROCESS_FILE).write_bytes(b"{")
    assert processes.find_process(tmp_path) is None


def test_last_words(tmp_path: Path) -> None:
    """The end of a node's output, for an error message."""
    assert processes.last_words(tmp_path) == ""
    (tmp_path / "log").mkdir()
    (tmp_path / "log" / processes.START_LOG).write_text("a\nb\nc\n")
    assert processes.last_words(tmp_path, 2) == "b\nc"


def test_a_folder_that_cannot_start_ends(tmp_path: Path) -> None:
    """A node folder without a config starts a process that ends and says why."""
    pid = processes.start_process(tmp_path, dict(os.environ))
    psutil.Process(pid).wait(30)
    assert "node.toml" in processes.last_words(tmp_path)
    assert processes.find_process(tmp_path) is None
