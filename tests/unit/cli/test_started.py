"""Tests of cli.started: a process is found by pid and start time, and its end leaves no zombie."""

import subprocess
import sys

import psutil

from hansa.cli.started import ProcessRecord, collect, find_started, record_of


def test_found_until_it_ends() -> None:
    """A record finds its process, never one that was given the same pid later, and nothing after the end."""
    child = subprocess.Popen([sys.executable, "-S", "-c", "input()"], stdin=subprocess.PIPE)
    record = record_of(child)
    found = find_started(record)
    assert found is not None
    assert found.pid == child.pid
    assert find_started(ProcessRecord(record.pid, record.started - 5)) is None
    assert find_started(None) is None
    child.communicate(b"\n")
    assert find_started(record) is None
    assert not psutil.pid_exists(record.pid)


def test_a_zombie_does_not_run() -> None:
    """A child that ended and was not collected is no running process; collecting removes it."""
    child = subprocess.Popen([sys.executable, "-S", "-c", "input()"], stdin=subprocess.PIPE)
    record = ProcessRecord(child.pid, psutil.Process(child.pid).create_time())
    child.stdin.close()
    while psutil.Process(child.pid).status() != psutil.STATUS_ZOMBIE:
        pass
    assert find_started(record) is None
    collect(child.pid)
    assert psutil.pid_exists(child.pid)
    child.wait()
