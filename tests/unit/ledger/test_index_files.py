"""Index files on disk: whole or not at all, torn logs cut, errors of the disk told."""

import errno
import os

import pytest

from hansa.errors import (
    CorruptError,
    DiskFullError,
    InvalidError,
    MissingError,
    UnavailableError,
)
from hansa.index import IndexParameters, InformationIndex
from hansa.ledger import index_files
from hansa.ledger.index_files import LocalIndexFiles


@pytest.fixture
def files(tmp_path):
    return LocalIndexFiles(tmp_path / "index")


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_read_back(files):
    """Parts are joined, reads are counted and bounded."""
    files.write("base-1", (b"ab", b"cd"))
    file = files.open("base-1")
    assert (4, b"bc", 2) == (file.size, file.read(1, 2), file.bytes_read)
    with pytest.raises(InvalidError):
        file.read(2, 3)
    file.close()


def test_an_open_file_survives_replacing_and_deleting(files):
    """A question that began with a file ends with it."""
    files.write("base-1", (b"old",))
    file = files.open("base-1")
    files.write("base-1", (b"new",))
    assert b"old" == file.read(0, 3)
    files.delete("base-1")
    files.delete("base-1")
    assert b"old" == file.read(0, 3)
    with pytest.raises(MissingError):
        files.open("base-1")


def test_a_file_cut_while_open_is_corrupt(files, tmp_path):
    """Cut by somebody else, an open file raises instead of ending the process."""
    files.write("base-1", (b"x" * 9_000,))
    file = files.open("base-1")
    os.truncate(tmp_path / "index" / "base-1", 5_000)
    assert b"x" == file.read(4_999, 1)
    with pytest.raises(CorruptError):
        file.read(4_000, 5_000)


def test_a_disk_that_fails_is_unavailable(files, monkeypatch):
    """An error of the disk while reading is told, and may pass."""
    files.write("base-1", (b"x" * 9,))
    file = files.open("base-1")

    def fail(*_):
        raise OSError(errno.EIO, "input/output error")

    monkeypatch.setattr(index_files.os, "pread", fail)
    with pytest.raises(UnavailableError):
        file.read(0, 9)


def test_a_failed_write_leaves_the_old_file(files, tmp_path, monkeypatch):
    """No room: the old file is there, no temporary one is left, the error says so."""
    files.write("base-1", (b"old",))

    def refuse(_):
        raise OSError(errno.ENOSPC, "full")

    with monkeypatch.context() as patch:
        patch.setattr(index_files.os, "fsync", refuse)
        with pytest.raises(DiskFullError):
            files.write("base-1", (b"new",))
    assert b"old" == files.open("base-1").read(0, 3)
    assert ["base-1"] == names_in(tmp_path / "index")


def test_a_file_is_synced_before_it_has_its_name(files, tmp_path, monkeypatch):
    """First the bytes, then the name, then the folder."""
    steps = []
    real = os.fsync

    def watch(descriptor):
        steps.append(names_in(tmp_path / "index"))
        real(descriptor)

    monkeypatch.setattr(index_files.os, "fsync", watch)
    files.write("base-1", (b"x",))
    assert [["base-1.tmp"], ["base-1"]] == steps


def test_what_a_crash_left_is_swept(tmp_path):
    """A temporary file of a killed process is removed at opening and never listed."""
    folder = tmp_path / "index"
    folder.mkdir()
    (folder / "base-2.tmp").write_bytes(b"half")
    assert [] == LocalIndexFiles(folder).list()
    assert [] == names_in(folder)


@pytest.mark.parametrize("cut", [1, 5, 9, 12])
def test_a_torn_log_is_cut(files, tmp_path, cut):
    """Records before the tear are kept, and appending goes on after them."""
    files.append("delta-0", b"first")
    files.append("delta-0", b"second")
    path = tmp_path / "index" / "delta-0"
    path.write_bytes(path.read_bytes()[:-cut])
    assert [b"first"] == list(files.records("delta-0"))
    files.append("delta-0", b"third")
    assert [b"first", b"third"] == list(files.records("delta-0"))


def test_a_corrupt_record_ends_the_log(files, tmp_path):
    """What follows a corrupt record is not believed; nor is an absurd length."""
    for record in (b"first", b"second", b"third"):
        files.append("delta-0", record)
    path = tmp_path / "index" / "delta-0"
    data = bytearray(path.read_bytes())
    data[13 + 8] ^= 1
    path.write_bytes(bytes(data))
    assert [b"first"] == list(files.records("delta-0"))
    path.write_bytes(b"\xff" * 20)
    assert [] == list(files.records("delta-0"))
    assert [] == list(files.records("delta-1"))


def test_a_failed_append_leaves_the_log(files, monkeypatch):
    """A record that could not be written whole is not there."""
    files.append("delta-0", b"first")
    monkeypatch.setattr(index_files, "LOG_RECORD_BYTES_MAX", 3)
    with pytest.raises(InvalidError):
        files.append("delta-0", b"second")
    monkeypatch.undo()
    assert [b"first"] == list(files.records("delta-0"))


def test_an_empty_file_is_corrupt(files, tmp_path):
    """A file of no bytes cannot have been written whole."""
    (tmp_path / "index" / "base-1").write_bytes(b"")
    with pytest.raises(CorruptError):
        files.open("base-1")


@pytest.mark.parametrize("name", ["", "../up", "A", "a/b", "x.tmp"])
def test_names_stay_in_the_folder(files, name):
    """Only plain names are taken."""
    with pytest.raises(InvalidError):
        files.write(name, (b"",))


def test_a_folder_that_is_a_file(tmp_path):
    """What cannot be opened is told with a remedy."""
    (tmp_path / "index").write_bytes(b"")
    with pytest.raises(UnavailableError, match="folder"):
        LocalIndexFiles(tmp_path / "index")


def test_the_index_runs_on_them(files, tmp_path):
    """An index on disk comes back at its height with its digest; a flipped byte drops it."""
    index = InformationIndex.open(files, IndexParameters())
    index.apply(1, ())
    assert 1 == index.height
    assert 0 == InformationIndex.open(files, IndexParameters()).height
    (tmp_path / "index" / "base-000000000001").write_bytes(b"nonsense")
    again = InformationIndex.open(files, IndexParameters())
    assert (0, []) == (again.height, files.list())


def test_what_the_disk_refuses_is_told(files, tmp_path, monkeypatch):
    """A name that is no file, a file that may not be opened, a folder that is gone."""
    for name in ("base-1", "delta-0"):
        (tmp_path / "index" / name).mkdir()
    for call in (
        lambda: files.append("delta-0", b"record"),
        lambda: list(files.records("delta-0")),
        lambda: files.delete("base-1"),
    ):
        with pytest.raises(UnavailableError):
            call()

    def refuse(*_):
        raise OSError(errno.EIO, "input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(index_files.os, "open", refuse)
        with pytest.raises(UnavailableError):
            files.open("base-1")
    (tmp_path / "index").rename(tmp_path / "gone")
    with pytest.raises(UnavailableError):
        files.list()


def test_an_append_that_fails_halfway_is_taken_back(files, tmp_path, monkeypatch):
    """What reached the disk of a record that did not fit is cut off again."""
    files.append("delta-0", b"first")
    path = tmp_path / "index" / "delta-0"
    size = path.stat().st_size
    real = type(path).open

    def open_full(self, *arguments):
        file = real(self, *arguments)
        flush = file.flush

        class Full:
            def __enter__(self):
                return self

            def __exit__(self, *_):
                file.close()

            def write(self, data):
                file.write(data[:5])
                flush()
                raise OSError(errno.ENOSPC, "full")

            def fileno(self):
                return file.fileno()

        return Full()

    with monkeypatch.context() as patch:
        patch.setattr(type(path), "open", open_full)
        with pytest.raises(DiskFullError):
            files.append("delta-0", b"second")
    assert size == path.stat().st_size
    files.append("delta-0", b"third")
    assert [b"first", b"third"] == list(files.records("delta-0"))
