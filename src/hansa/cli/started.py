"""Which process was started: a record that finds it again later, and never takes a stranger for it."""

import subprocess

import msgspec
import psutil

_children: dict[int, subprocess.Popen[bytes]] = {}
"""What this very process started: collected when it has ended, so that none stays a zombie."""


class ProcessRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A process that was started."""

    pid: int
    started: float
    """The operating system's start time of that pid, seconds: a pid used anew has another."""


def record_of(child: subprocess.Popen[bytes]) -> ProcessRecord:
    """Return the record of a child that has just been started."""
    _children[child.pid] = child
    return ProcessRecord(child.pid, psutil.Process(child.pid).create_time())


def find_started(record: ProcessRecord | None) -> psutil.Process | None:
    """Return the process of a record while it runs, else None."""
    if record is None:
        return None
    collect(record.pid)
    try:
        process = psutil.Process(record.pid)
        if abs(process.create_time() - record.started) > 1:
            return None
        return None if process.status() == psutil.STATUS_ZOMBIE else process
    except psutil.NoSuchProcess:
        return None


def collect(pid: int) -> None:
    """Collect a child of ours if it has ended."""
    child = _children.get(pid)
    if child is not None and child.poll() is not None:
        del _children[pid]
