"""Places: inside the folder, one file for each name, and the system's refusals in words."""

import errno
import subprocess

import pytest

from hansa.client.places import Places, explain_write, make_folders
from hansa.errors import (
    ConflictError,
    DeniedError,
    DiskFullError,
    HansaError,
    InvalidError,
    UnavailableError,
)


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.ENOSPC, DiskFullError),
        (errno.EDQUOT, DiskFullError),
        (errno.EACCES, DeniedError),
        (errno.EROFS, DeniedError),
        (errno.ENAMETOOLONG, InvalidError),
        (errno.EILSEQ, InvalidError),
        (errno.EIO, UnavailableError),
    ],
)
def test_failures_of_the_disk(tmp_path, number, kind):
    """Each is one of our errors."""
    told = explain_write(OSError(number, "x"), tmp_path)
    assert type(told) is kind
    assert isinstance(told, HansaError)


def test_links_are_looked_at(tmp_path):
    """A folder that leads outside is refused; one that became a link is found when looked at anew."""
    folder, outside = tmp_path / "out", tmp_path / "outside"
    (folder / "d").mkdir(parents=True)
    outside.mkdir()
    places = Places(folder, ["d/x", "e/y"])
    assert places.of("d/x") == folder / "d" / "x"
    (folder / "d").rmdir()
    (folder / "d").symlink_to(outside)
    places.forget()
    with pytest.raises(DeniedError, match="outside"):
        places.of("d/x")
    (folder / "e").symlink_to(folder)
    assert places.of("e/y") == folder / "e" / "y"


def test_names_that_a_file_system_confuses(tmp_path):
    """Where two names are one file, the second is refused instead of replacing the first."""
    names = ["Stops.csv", "stops.csv", "Zu\u0308rich", "Z\u00fcrich", "other"]
    places = Places(tmp_path, names)
    for name in names:  # a file system that tells them apart
        places.claim(name)
        (tmp_path / name).write_bytes(name.encode())
    confused = Places(tmp_path / "c", names)
    (tmp_path / "c").mkdir()
    confused.claim("Stops.csv")
    (tmp_path / "c" / "Stops.csv").write_bytes(b"1")
    (tmp_path / "c" / "stops.csv").hardlink_to(tmp_path / "c" / "Stops.csv")
    with pytest.raises(ConflictError, match="one name"):
        confused.claim("stops.csv")
    confused.claim("other")


@pytest.mark.slow
def test_folders_however_deep(tmp_path):
    """A hostile name is many folders deep: made without recursion; a file in the way is told."""
    deep = tmp_path / "/".join("d" * ((3_900 - len(str(tmp_path))) // 2))
    try:
        make_folders(deep)
        assert deep.is_dir()
        make_folders(deep)
    finally:
        subprocess.run(["rm", "-rf", tmp_path / "d"], check=True)
    (tmp_path / "f").touch()
    with pytest.raises(OSError, match="f") as refused:
        make_folders(tmp_path / "f" / "x")
    assert isinstance(explain_write(refused.value, tmp_path), ConflictError)
