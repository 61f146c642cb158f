"""Tests of hansa.storage.disk: every step that can fail leaves nothing half done."""

import contextlib
import errno
import os

import pytest

from hansa.errors import DeniedError, DiskFullError, UnavailableError
from hansa.storage.disk import disk_errors, explain, make_folders, write_all, write_whole


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.ENOSPC, DiskFullError),
        (errno.EDQUOT, DiskFullError),
        (errno.EFBIG, DiskFullError),
        (errno.EACCES, DeniedError),
        (errno.EROFS, DeniedError),
        (errno.EIO, UnavailableError),
    ],
)
def test_errors_say_what_to_do(number, kind):
    """Each operating system error becomes its class, with a remedy."""
    error = explain(OSError(number, "told by the system"), "object a")
    assert type(error) is kind
    assert "object a" in error.message
    assert error.remedy
    with pytest.raises(kind), disk_errors("object a"):
        raise OSError(number, "x")


def test_write_whole(tmp_path):
    """A file appears with all its parts; no temporary file stays."""
    assert write_whole(tmp_path / "a", tmp_path / "t", [b"one", b"two"]) == 6
    assert (tmp_path / "a").read_bytes() == b"onetwo"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a"]


@pytest.mark.parametrize("call", ["pwrite", "fsync", "rename"])
@pytest.mark.parametrize("turn", [1, 2])
def test_any_failing_call_leaves_nothing(tmp_path, monkeypatch, call, turn):
    """Whichever call fails, no file appears under the final name (or it is whole) and none stays."""
    real, count = getattr(os, call), 0

    def failing(*arguments, **named):
        nonlocal count
        count += 1
        if count == turn:
            raise OSError(errno.EIO, "injected")
        return real(*arguments, **named)

    monkeypatch.setattr(os, call, failing)
    with contextlib.suppress(OSError):
        write_whole(tmp_path / "a", tmp_path / "t", [b"one", b"two"])
    names = [path.name for path in tmp_path.iterdir()]
    assert names in ([], ["a"])
    if names:
        assert (tmp_path / "a").read_bytes() == b"onetwo"


def test_short_writes_are_continued(tmp_path, monkeypatch):
    """A system that writes a byte at a time still gets everything."""
    real = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda fd, data, at: real(fd, data[:1], at))
    descriptor = os.open(tmp_path / "a", os.O_RDWR | os.O_CREAT)
    assert write_all(descriptor, b"slowly", 0) == 6
    os.close(descriptor)
    assert (tmp_path / "a").read_bytes() == b"slowly"


def test_make_folders(tmp_path):
    """Folders are made for the owner only, and making them again is fine."""
    make_folders(tmp_path / "a" / "b")
    make_folders(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").stat().st_mode & 0o777 == 0o700
