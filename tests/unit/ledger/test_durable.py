"""Tests of hansa.ledger.durable."""

import errno
import os

import pytest

from hansa.errors import ConflictError, DeniedError, DiskFullError, UnavailableError
from hansa.ledger.durable import as_hansa_error, replace_file, sync_file, sync_folder, write_all


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.ENOSPC, DiskFullError),
        (errno.EFBIG, DiskFullError),
        (errno.EACCES, DeniedError),
        (errno.EISDIR, ConflictError),
        (errno.EIO, UnavailableError),
    ],
)
def test_refusals_become_errors_that_say_what_to_do(number, kind):
    """Each refusal of a disk has its class, its reason and a remedy."""
    error = as_hansa_error(OSError(number, os.strerror(number)), "write x")
    assert kind is type(error)
    assert os.strerror(number) in error.message
    assert error.remedy


def test_replace_file_puts_the_new_or_leaves_the_old(tmp_path, flaky_sync):
    """A refused sync leaves what was there."""
    path = tmp_path / "f"
    replace_file(path, b"old", flaky_sync)
    flaky_sync.refuse_at = 2
    with pytest.raises(OSError, match="Input/output"):
        replace_file(path, b"new", flaky_sync)
    assert path.read_bytes() == b"old"
    flaky_sync.refuse_at = 0
    replace_file(path, b"new", flaky_sync)
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o777 == 0o600


def test_write_all_continues_after_a_short_write(tmp_path, monkeypatch):
    """The system may take fewer bytes than given; all arrive."""
    real = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda fd, data, at: real(fd, bytes(data)[:3], at))
    path = tmp_path / "f"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT)
    write_all(descriptor, b"0123456789", 2)
    os.close(descriptor)
    assert path.read_bytes() == b"\0\x000123456789"


def test_the_real_sync_is_a_data_sync(tmp_path):
    """What is used by default syncs data; a folder can be synced, a missing one is an error."""
    assert sync_file in {getattr(os, "fdatasync", None), os.fsync}
    sync_folder(tmp_path)
    with pytest.raises(FileNotFoundError):
        sync_folder(tmp_path / "none")
