"""Sources: found, named, and refused before anything is read."""

import errno
import io
import os

import pytest

from hansa.client.sources import collect, explain
from hansa.errors import (
    ConflictError,
    DeniedError,
    InvalidError,
    MissingError,
    UnavailableError,
)


def _read(sources) -> dict[str, bytes]:
    found = {}
    for file in sources.files():
        reader, data = file.open(), b""
        while part := reader.read(3):
            data += part
        reader.close()
        found[file.name] = data
    return found


@pytest.fixture(name="folder")
def _folder(tmp_path):
    folder = tmp_path / "counts"
    (folder / "b").mkdir(parents=True)
    (folder / "b" / "x.csv").write_bytes(b"a,b\n")
    (folder / "a.txt").write_bytes(b"")
    (folder / "empty").mkdir()
    return folder


def test_files_go_under_their_names(folder, monkeypatch):
    """A folder's files under its name, a file under its own, "." without a name, sorted."""
    assert _read(collect([folder])) == {"counts/a.txt": b"", "counts/b/x.csv": b"a,b\n"}
    both = collect([folder / "b" / "x.csv", folder / "a.txt"])
    assert [source.name for source in both.found] == ["a.txt", "x.csv"]
    assert (both.bytes_total, both.bytes_read) == (4, 0)
    monkeypatch.chdir(folder)
    assert [source.name for source in collect(["."]).found] == ["a.txt", "b/x.csv"]


def test_standard_input(folder):
    """Its head is looked at once and still published; its size is not known."""
    sources = collect(
        ["-", folder], standard_input=io.BytesIO(b"x,y\n1,2"), standard_input_name="s.csv"
    )
    assert sources.bytes_total is None
    assert sources.sniff().columns == ("a", "b", "x", "y")
    assert _read(sources)["s.csv"] == b"x,y\n1,2"
    with pytest.raises(InvalidError):
        collect(["-"])


def test_what_cannot_be_published_is_refused(folder, tmp_path):
    """Missing paths, nothing at all, devices and pipes."""
    os.mkfifo(tmp_path / "pipe")
    for path, kind in (
        (tmp_path / "none", MissingError),
        (folder / "empty", InvalidError),
        ("/dev/null", InvalidError),
        (tmp_path / "pipe", InvalidError),
    ):
        with pytest.raises(kind):
            collect([path])


def test_links(folder, tmp_path):
    """Refused below a folder unless followed; a broken one and a circle are always refused."""
    (folder / "link").symlink_to(folder / "a.txt")
    with pytest.raises(InvalidError, match="symbolic link"):
        collect([folder])
    assert "counts/link" in _read(collect([folder], follow_links=True))
    (folder / "broken").symlink_to(tmp_path / "nowhere")
    with pytest.raises(MissingError, match="leads nowhere"):
        collect([folder], follow_links=True)
    (folder / "broken").unlink()
    (folder / "circle").symlink_to(folder)
    with pytest.raises(InvalidError, match="lies in"):
        collect([folder], follow_links=True)


def test_names_no_reader_could_write_are_refused(tmp_path):
    """Bytes that are no UTF-8, control characters; two sources of one name."""
    for name in (b"bad\xff", b"line\nbreak"):
        path = os.fsdecode(os.path.join(os.fsencode(tmp_path), name))  # noqa: PTH118 - bytes
        with open(path, "wb"):  # noqa: PTH123
            pass
        with pytest.raises(InvalidError, match="cannot be a file's name"):
            collect([path])
        os.unlink(path)  # noqa: PTH108
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "x").touch()
    (tmp_path / "x").touch()
    with pytest.raises(InvalidError, match="same name"):
        collect([tmp_path / "x", tmp_path / "d" / "x"])


def test_a_change_is_noticed_at_the_end_only(folder):
    """Reading on after a change is refused; closing early judges nothing."""
    sources = collect([folder])
    path = folder / "b" / "x.csv"
    path.write_bytes(b"longer than before")
    with pytest.raises(ConflictError, match="changed"):
        _read(sources)
    *_, last = sources.files()
    reader = last.open()
    reader.read(1)
    reader.close()
    sources.close()


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (PermissionError(errno.EACCES, "denied"), DeniedError),
        (FileNotFoundError(errno.ENOENT, "none"), MissingError),
        (OSError(errno.EIO, "I/O error"), UnavailableError),
    ],
)
def test_the_systems_words_become_ours(error, kind, tmp_path):
    """Each says what to do."""
    told = explain(error, tmp_path)
    assert type(told) is kind
    assert told.remedy
