"""Sources: found, named, and refused before anything is read."""

import io
import os
import tracemalloc
from pathlib import Path

import pytest

from hansa import limits
from hansa.client.sources import Catalogue, collect
from hansa.data.partition import as_filler
from hansa.errors import ConflictError, InvalidError, MissingError


def read(reader, size: int) -> bytes:
    """Return what one reading gives."""
    place = memoryview(bytearray(size))
    return bytes(place[: as_filler(reader).readinto(place)])


def _read(sources) -> dict[str, bytes]:
    found = {}
    for file in sources.files():
        reader, data = file.open(), b""
        while part := read(reader, 3):
            data += part
        getattr(reader, "close", lambda: None)()
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


def test_a_change_is_noticed(folder):
    """Between finding and opening, and while it is read; closing early judges nothing."""
    path = folder / "b" / "x.csv"
    sources = collect([folder])
    *_, last = sources.files()
    reader = last.open()
    read(reader, 1)
    path.write_bytes(b"longer than before")
    reader.close()
    with pytest.raises(ConflictError, match="changed"):
        _read(sources)
    sources.close()


def test_closing_ends_the_file_being_read(folder):
    """Whatever was open is closed, once."""
    sources = collect([folder])
    *_, last = sources.files()
    reader = last.open()
    before = len(list(Path("/proc/self/fd").iterdir()))
    sources.close()
    sources.close()
    assert len(list(Path("/proc/self/fd").iterdir())) == before - 1
    reader.close()


def test_order_is_that_of_the_names(tmp_path):
    """By bytes, over several roots and folders: "." comes before "/"."""
    for name in ("a/b", "a.txt", "a0", "B/z", "Zürich", "ä"):
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).write_text(name)
    found = [source.name for source in collect(sorted((tmp_path / "in").iterdir())).found]
    assert found == sorted(found, key=str.encode)
    assert {name: data.decode() for name, data in _read(collect([tmp_path / "in"])).items()} == {
        f"in/{name}": name for name in found
    }


def test_too_many_files(tmp_path, monkeypatch):
    """The bound is met while they are found, not after all were listed."""
    monkeypatch.setattr(limits, "FILES_PER_VERSION_MAX", 3)
    for number in range(4):
        (tmp_path / f"f{number}").touch()
    with pytest.raises(InvalidError, match="at most 3 files"):
        collect([tmp_path])


def test_memory_for_many_files(tmp_path):
    """A found file costs some three hundred bytes, its name included."""
    found = Catalogue()
    found.add_root(tmp_path)
    tracemalloc.start()
    for number in range(3_000):
        tail = f"folder/{number:08}.csv"
        found.add(f"root/{tail}", tail, (1, number, 10, 20))
    found.sort()
    used, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert used / 3_000 < 300
    assert found[2_999].path == str(tmp_path / "folder" / "00002999.csv")
    assert found.bytes_total == 30_000
