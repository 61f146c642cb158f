"""Tests of hansa.cli.hdfs.daemons: processes are found, ended, and tied ones never outlive us."""

import contextlib
import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from hansa.cli.hdfs import daemons
from hansa.cli.hdfs.daemons import end_daemons, kill_daemon, start_daemon
from hansa.cli.started import ProcessRecord, find_started

SLEEP = [sys.executable, "-S", "-c", "import time; time.sleep(60)"]
STUBBORN = [
    sys.executable,
    "-S",
    "-c",
    "import signal, time; signal.signal(15, signal.SIG_IGN); print('on', flush=True); time.sleep(60)",
]


def _start(tmp_path: Path, command: list[str], *, tied: bool = False) -> ProcessRecord:
    return start_daemon(command, tmp_path / "out", dict(os.environ), tied=tied)


def test_what_does_not_end_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that ignores the request ends all the same, and soon."""
    monkeypatch.setattr(daemons, "END_S_MAX", 0.05)
    record = _start(tmp_path, STUBBORN)
    process = find_started(record)
    while (tmp_path / "out").read_bytes() != b"on\n":
        assert process.is_running()
    end_daemons([record])
    monkeypatch.setattr(daemons, "END_S_MAX", 10)
    kill_daemon(record)
    assert find_started(record) is None


def test_killed_at_once(tmp_path: Path) -> None:
    """As by a power cut; a second time is harmless."""
    record = _start(tmp_path, SLEEP)
    kill_daemon(record)
    kill_daemon(record)
    assert find_started(record) is None


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ties a process to another's end")
def test_a_tied_process_ends_with_a_killed_parent(tmp_path: Path) -> None:
    """kill -9 of who started it leaves nothing behind."""
    script = f"""
import os, time
from pathlib import Path
from hansa.cli.hdfs.daemons import start_daemon
record = start_daemon({SLEEP!r}, Path({str(tmp_path / "out")!r}), dict(os.environ), tied=True)
print(record.pid, flush=True)
time.sleep(60)
"""
    with subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    ) as parent:
        child = psutil.Process(int(parent.stdout.readline()))
        assert child.is_running()
        parent.kill()
        parent.wait()
    with contextlib.suppress(psutil.NoSuchProcess):
        child.wait(10)
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE
