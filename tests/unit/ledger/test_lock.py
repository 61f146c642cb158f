"""Tests of hansa.ledger.lock."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from hansa.errors import ConflictError, MissingError, UnavailableError
from hansa.ledger import lock
from hansa.ledger.lock import FolderLock

HOLD = "import sys; from pathlib import Path; from hansa.ledger.lock import FolderLock\n"
HOLD += "FolderLock(Path(sys.argv[1])); print('held', flush=True); sys.stdin.read()"


def test_a_second_node_on_one_folder_is_refused_with_the_first_ones_pid(tmp_path):
    """The message names the process; a killed holder leaves the folder free."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    with process:
        assert process.stdout
        assert process.stdout.readline() == b"held\n"
        with pytest.raises(ConflictError, match=rf"pid {process.pid}\)") as caught:
            FolderLock(tmp_path)
        assert caught.value.remedy
        process.kill()
    FolderLock(tmp_path).release()


def test_the_lock_is_a_context_and_ends_with_it(tmp_path):
    """Inside, a second is refused (in one process too); afterwards it is free."""
    with FolderLock(tmp_path):
        with pytest.raises(ConflictError, match=f"pid {os.getpid()}"):
            FolderLock(tmp_path)
        assert f"{os.getpid()}\n" == (tmp_path / "lock").read_text()
    with FolderLock(tmp_path) as again:
        again.release()
        again.release()


def test_a_missing_folder_is_named(tmp_path):
    """A folder that is not there is MissingError with what to do."""
    with pytest.raises(MissingError, match="nowhere") as caught:
        FolderLock(tmp_path / "nowhere")
    assert "hansa alliance" in caught.value.remedy


@pytest.mark.parametrize("call", ["open", "flock"])
def test_a_folder_that_cannot_be_locked_is_told(tmp_path, monkeypatch, call):
    """The disk's refusal is an error of the tree, and no descriptor is left open."""

    def refuse(*_):
        raise OSError(errno.EIO, "input/output error")

    before = len(list(Path("/proc/self/fd").iterdir()))
    with monkeypatch.context() as patch:
        patch.setattr(lock.os if call == "open" else lock.fcntl, call, refuse)
        with pytest.raises(UnavailableError, match="lock"):
            FolderLock(tmp_path)
    assert before == len(list(Path("/proc/self/fd").iterdir()))
    FolderLock(tmp_path).release()
