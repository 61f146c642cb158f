"""Tests of hansa.storage.local beyond the contract: locks, owners, leftovers, failing disks."""

import errno
import os

import pytest

from hansa.errors import (
    ConflictError,
    CorruptError,
    DiskFullError,
    InvalidError,
    MissingError,
    UnavailableError,
)
from hansa.storage.local import LocalStore


@pytest.fixture
def store(tmp_path):
    """Return an open store."""
    opened = LocalStore(tmp_path / "root", "city/transport")
    yield opened
    opened.close()


def test_second_node_is_refused(tmp_path, store):
    """A root that a node has open is refused to another, and free after it closed."""
    with pytest.raises(ConflictError, match="Another node"):
        LocalStore(tmp_path / "root", "city/transport")
    store.put("a", [b"kept"])
    store.close()
    store.close()
    again = LocalStore(tmp_path / "root", "city/transport")
    assert again.get("a") == b"kept"
    again.close()


def test_another_organisations_root_is_refused(tmp_path, store):
    """A root marked by one organisation is never opened for another."""
    store.close()
    with pytest.raises(ConflictError, match="city/transport"):
        LocalStore(tmp_path / "root", "city/health")
    LocalStore(tmp_path / "root", "city/transport").close()


def test_leftovers_are_swept(tmp_path, store):
    """What a crash left in tmp is gone after the next open, and never seen as an object."""
    store.close()
    (tmp_path / "root" / "tmp" / "7").write_bytes(b"half")
    again = LocalStore(tmp_path / "root", "city/transport")
    assert list((tmp_path / "root" / "tmp").iterdir()) == []
    assert list(again.list("")) == []
    again.close()


@pytest.mark.parametrize(
    ("call", "number", "kind"),
    [
        ("pwrite", errno.ENOSPC, DiskFullError),
        ("fsync", errno.EIO, UnavailableError),
        ("fsync", errno.ENOSPC, DiskFullError),
    ],
)
def test_failing_disk_leaves_nothing(tmp_path, store, monkeypatch, call, number, kind):
    """A full or failing disk is told clearly; no object and no leftover stay; later puts work."""
    store.put("a/there", [b"x"])

    def failing(*_arguments):
        raise OSError(number, "injected")

    with monkeypatch.context() as patch:
        patch.setattr(os, call, failing)
        with pytest.raises(kind) as caught:
            store.put("a/b", [b"bytes"])
    assert caught.value.remedy
    assert not store.exists("a/b")
    assert list((tmp_path / "root" / "tmp").iterdir()) == []
    assert store.put("a/b", [b"bytes"]) == 5


def test_put_file_renames(tmp_path, store):
    """A file on the same file system is not copied; both folders are synced after the rename."""
    path = tmp_path / "file"
    path.write_bytes(b"bytes")
    inode = path.stat().st_ino
    store.put_file("packs/ab/cd", path)
    assert (tmp_path / "root" / "objects" / "packs" / "ab" / "cd").stat().st_ino == inode
    assert not path.exists()


def test_put_file_from_another_disk(tmp_path, store, monkeypatch):
    """A file that cannot be renamed is copied, whole or not at all."""
    path = tmp_path / "file"
    path.write_bytes(b"bytes" * 1_000)
    real = os.rename

    def other_disk(source, target, **named):
        if str(source) == str(path):
            raise OSError(errno.EXDEV, "injected")
        return real(source, target, **named)

    monkeypatch.setattr(os, "rename", other_disk)
    assert store.put_file("a", path) == 5_000
    assert store.get("a") == b"bytes" * 1_000


def test_put_file_completes_what_failed(tmp_path, store, monkeypatch):
    """If the rename was made and its sync failed, the same call again makes it durable."""
    path = tmp_path / "file"
    path.write_bytes(b"bytes")
    store.put("there", [b"x"])

    def failing(_descriptor):
        raise OSError(errno.EIO, "injected")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", failing)
        with pytest.raises(UnavailableError):
            store.put_file("a", path)
    assert not path.exists()
    syncs = []
    real = os.fsync
    monkeypatch.setattr(os, "fsync", lambda fd: syncs.append(fd) or real(fd))
    assert store.put_file("a", path) == 5
    assert syncs
    with pytest.raises(UnavailableError):
        store.put_file("b", path)


def test_unreadable_list_is_an_error(store, monkeypatch):
    """A folder that cannot be listed raises: an error is never taken for emptiness."""
    store.put("packs/aa/1", [b"x"])

    def failing(_folder):
        raise OSError(errno.EIO, "injected")

    monkeypatch.setattr(os, "scandir", failing)
    with pytest.raises(UnavailableError):
        list(store.list("packs/"))


def test_vanished_root_is_an_error(tmp_path, store):
    """If the whole folder of objects is gone, the list raises instead of being empty."""
    (tmp_path / "root" / "objects").rename(tmp_path / "away")
    with pytest.raises(UnavailableError):
        list(store.list("packs/"))


def test_prefix_cannot_escape(store):
    """A prefix that names a folder outside is refused."""
    with pytest.raises(InvalidError):
        list(store.list("../"))


def test_symbolic_links_are_not_followed(tmp_path, store):
    """An object replaced by a link is not read."""
    (tmp_path / "secret").write_bytes(b"secret")
    (tmp_path / "root" / "objects" / "a").symlink_to(tmp_path / "secret")
    with pytest.raises(UnavailableError):
        store.get("a")


def test_truncated_object_is_refused(tmp_path, store):
    """A range beyond what is left of a damaged object is an error, not short bytes."""
    store.put("a", [b"0123456789"])
    os.truncate(tmp_path / "root" / "objects" / "a", 4)
    with pytest.raises(InvalidError):
        store.get("a", 2, 5)
    with pytest.raises(CorruptError):
        store.put("a", [b"0123456789"])
    with pytest.raises(MissingError):
        store.get("b")


def test_files_are_for_the_owner_only(tmp_path, store):
    """Nobody else on the machine may read objects."""
    store.put("a", [b"x"])
    assert (tmp_path / "root" / "objects" / "a").stat().st_mode & 0o077 == 0
