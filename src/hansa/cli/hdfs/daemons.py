"""Processes of a cluster: started, found again, ended, never a stranger's, and none left behind.

A *tied* process ends with the one that started it, however that ends (Linux: PR_SET_PDEATHSIG, set by
a few lines of Python that then become the Java process). The others are found again by pid and start
time, so a pid that was used anew is never taken for ours.
"""

import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import psutil

from hansa.cli.started import ProcessRecord, collect, find_started, record_of

END_S_MAX = 10
_TIE = """
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
if os.getppid() != int(sys.argv[1]):
    sys.exit(1)  # who started us ended before we were tied
os.execv(sys.argv[2], sys.argv[2:])
"""


def start_daemon(
    command: list[str], output: Path, environment: dict[str, str], *, tied: bool
) -> ProcessRecord:
    """Start a process of its own session; return its record.

    Args:
        command: program and arguments.
        output: file that what it prints is added to.
        environment: its environment.
        tied: it is killed when the calling thread ends, so call from the main thread.
    """
    if tied and sys.platform == "linux":
        command = [sys.executable, "-S", "-E", "-c", _TIE, str(os.getpid()), *command]
    with output.open("ab") as file:
        child = subprocess.Popen(  # noqa: S603 - our own command
            command,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            start_new_session=True,
            env=environment,
            cwd=output.parent,
        )
    return record_of(child)


def end_daemons(records: Iterable[ProcessRecord | None]) -> None:
    """Ask processes to end, all at once; kill those that take longer than END_S_MAX."""
    running = [process for process in map(find_started, records) if process is not None]
    for process in running:
        _signal(process, kill=False)
    _, left = psutil.wait_procs(running, END_S_MAX)
    for process in left:
        _signal(process, kill=True)
    psutil.wait_procs(left, END_S_MAX)
    for process in running:
        collect(process.pid)


def kill_daemon(record: ProcessRecord | None) -> None:
    """End a process by SIGKILL, as a power cut would."""
    process = find_started(record)
    if process is not None:
        _signal(process, kill=True)
        psutil.wait_procs([process], END_S_MAX)
        collect(process.pid)


def _signal(process: psutil.Process, *, kill: bool) -> None:
    try:
        process.kill() if kill else process.terminate()
    except psutil.NoSuchProcess:
        return  # it ended by itself, which is what was wanted
