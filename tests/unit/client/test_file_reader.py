"""File reader: the bytes that are there, holes included, and no change unnoticed."""

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hansa.client import file_reader as module
from hansa.client.file_reader import SMALL_BYTES_MAX, FileReader, open_plain, read_small
from hansa.client.walk import stamp_of
from hansa.data.partition import as_filler
from hansa.errors import ConflictError, InvalidError, MissingError

KIB = 1024


def read(reader, size: int) -> bytes:
    """Return what one reading gives."""
    place = memoryview(bytearray(size))
    return bytes(place[: as_filler(reader).readinto(place)])


def _reader(path: Path, counted: list[int] | None = None) -> FileReader:
    return FileReader(path, stamp_of(path.stat()), (counted if counted is not None else []).append)


def _read(reader: FileReader, size: int = 100_000) -> bytes:
    found = []
    while part := read(reader, size):
        found.append(part)
    reader.close()
    return b"".join(found)


def _sparse(path: Path, size: int, *islands: tuple[int, bytes]) -> None:
    with path.open("wb") as file:
        file.truncate(size)
        for place, data in islands:
            file.seek(place)
            file.write(data)


def test_a_file_is_read_whole(tmp_path):
    """Every byte is counted."""
    (tmp_path / "f").write_bytes(os.urandom(250_000))
    counted: list[int] = []
    assert _read(_reader(tmp_path / "f", counted)) == (tmp_path / "f").read_bytes()
    assert sum(counted) == 250_000
    (tmp_path / "empty").touch()
    assert _read(_reader(tmp_path / "empty")) == b""


@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_holes_read_as_zeros(tmp_path_factory, data):
    """Wherever holes and data lie, the bytes are those of the file."""
    path = tmp_path_factory.mktemp("sparse") / "f"
    size = data.draw(st.integers(1 << 20, 1 << 22))
    islands = data.draw(
        st.lists(st.tuples(st.integers(0, size - 1), st.integers(1, 9_000)), max_size=4)
    )
    _sparse(path, size, *((at, os.urandom(min(n, size - at))) for at, n in islands))
    step = data.draw(st.integers(5_000, 300_000))
    assert _read(_reader(path), step) == path.read_bytes()


def test_holes_are_not_read_from_the_disk(tmp_path, monkeypatch):
    """Of a large sparse file only the data is asked for."""
    path = tmp_path / "f"
    _sparse(path, 64 << 20, (32 << 20, b"island" * 1_000))
    real, asked = os.preadv, []

    def preadv(descriptor, places, offset):
        asked.append(real(descriptor, places, offset))
        return asked[-1]

    monkeypatch.setattr(module.os, "preadv", preadv)
    reader = _reader(path)
    total = zeros = 0
    while part := read(reader, 1 << 20):
        total += len(part)
        zeros += part.count(0)
    assert total == 64 << 20
    assert total - zeros == 6_000
    assert sum(asked) < 2 << 20


def _grow(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


def _rewrite(path: Path) -> None:
    os.utime(path, ns=(1, 1))


def _cut(path: Path) -> None:
    os.truncate(path, 100)


def _replace(path: Path) -> None:
    path.with_name("new").write_bytes(path.read_bytes())
    path.with_name("new").replace(path)


@pytest.mark.parametrize("change", [_grow, _rewrite, _cut])
def test_a_change_while_it_is_read(tmp_path, change):
    """Longer, rewritten or shorter: refused at the end at the latest."""
    path = tmp_path / "f"
    path.write_bytes(os.urandom(50_000))
    reader = _reader(path)
    read(reader, 10)
    change(path)
    with pytest.raises(ConflictError, match="changed"):
        _read(reader)
    reader.abandon()


@pytest.mark.parametrize("change", [_grow, _rewrite, _cut, _replace])
def test_a_change_before_it_is_opened(tmp_path, change):
    """Refused before a byte of it is read."""
    path = tmp_path / "f"
    path.write_bytes(os.urandom(50_000))
    stamp = stamp_of(path.stat())
    change(path)
    with pytest.raises(ConflictError, match="changed"):
        FileReader(path, stamp, lambda _: None)


def test_a_file_that_grows_for_ever_comes_to_an_end(tmp_path):
    """A writer that is faster than the reader does not keep it."""
    path = tmp_path / "f"
    path.write_bytes(b"x" * 1_000)
    reader = _reader(path)
    with pytest.raises(ConflictError):  # noqa: PT012 - the reads are the point
        for _ in range(100):
            read(reader, 100)
            _grow(path)
    reader.abandon()


def test_a_size_that_is_never_told(tmp_path):
    """Files of the system say they are empty and are not: refused, not published as nothing."""
    path = Path("/proc/self/status")
    if not path.exists():
        pytest.skip("needs /proc")
    with pytest.raises(ConflictError):
        _read(_reader(path))


def test_a_file_that_disappears(tmp_path):
    """Once open it is read to its end; before, it is missing."""
    path = tmp_path / "f"
    path.write_bytes(b"x" * 1_000)
    stamp = stamp_of(path.stat())
    reader = _reader(path)
    path.unlink()
    assert _read(reader) == b"x" * 1_000
    with pytest.raises(MissingError):
        FileReader(path, stamp, lambda _: None)


def test_a_pipe_in_its_place_does_not_block(tmp_path):
    """What became a pipe after it was found is refused at once."""
    os.mkfifo(tmp_path / "f")
    with pytest.raises(InvalidError, match="named pipe"):
        open_plain(tmp_path / "f")


def test_ending_early_judges_nothing(tmp_path):
    """A publishing that failed elsewhere closes the file and says no more."""
    path = tmp_path / "f"
    path.write_bytes(b"x" * 1_000)
    reader = _reader(path)
    read(reader, 10)
    _grow(path)
    reader.close()
    reader.close()


@pytest.fixture(name="is_closed")
def _is_closed(tmp_path, monkeypatch):
    """Tells whether the test's file was opened, and then closed."""
    opened, closed, real_open, real_close = [], [], os.open, os.close

    def opening(path, *rest, **more):
        descriptor = real_open(path, *rest, **more)
        if path == tmp_path / "f":
            opened.append(descriptor)
        return descriptor

    def closing(descriptor):
        closed.append(descriptor)
        real_close(descriptor)

    monkeypatch.setattr(module.os, "open", opening)
    monkeypatch.setattr(module.os, "close", closing)
    return lambda: bool(opened) and set(opened) <= set(closed)


@pytest.mark.parametrize("size", [0, 1, 4_096, SMALL_BYTES_MAX])
def test_a_small_file_is_read_at_once(tmp_path, is_closed, size):
    """Every byte, to the start of its place; what lies behind is nobody's, and nothing stays open."""
    path = tmp_path / "f"
    path.write_bytes(os.urandom(size))
    place = bytearray(b"x" * (size + 100))
    assert size == read_small(path, stamp_of(path.stat()), memoryview(place))
    assert path.read_bytes() == place[:size]
    assert place[size + 1 :] == b"x" * 99
    assert is_closed()


@pytest.mark.parametrize("change", [_grow, _rewrite, _cut, _replace])
def test_a_small_file_that_changed_before_it_was_read(tmp_path, is_closed, change):
    """Refused, and closed."""
    path = tmp_path / "f"
    path.write_bytes(os.urandom(5_000))
    stamp = stamp_of(path.stat())
    change(path)
    with pytest.raises(ConflictError, match="changed"):
        read_small(path, stamp, memoryview(bytearray(6_000)))
    assert is_closed()


@pytest.mark.parametrize("change", [_grow, _rewrite, _cut])
@pytest.mark.parametrize("is_before", [True, False])
def test_a_small_file_that_changes_while_it_is_read(tmp_path, monkeypatch, change, is_before):
    """Refused, whether the change came just before the bytes were read or just after."""
    path = tmp_path / "f"
    path.write_bytes(os.urandom(5_000))
    stamp, real = stamp_of(path.stat()), os.readv

    def readv(descriptor, places):
        if is_before:
            change(path)
        read = real(descriptor, places)
        if not is_before:
            change(path)
        return read

    monkeypatch.setattr(module.os, "readv", readv)
    with pytest.raises(ConflictError, match="changed"):
        read_small(path, stamp, memoryview(bytearray(6_000)))


def test_a_small_file_in_short_answers(tmp_path, monkeypatch):
    """What the system gives piece by piece is put together."""
    path = tmp_path / "f"
    path.write_bytes(os.urandom(5_000))
    real = os.readv
    monkeypatch.setattr(module.os, "readv", lambda fd, places: real(fd, (places[0][:700],)))
    place = bytearray(6_000)
    assert 5_000 == read_small(path, stamp_of(path.stat()), memoryview(place))
    assert path.read_bytes() == place[:5_000]


def test_a_small_file_that_became_a_pipe(tmp_path):
    """Told as what it is, and nothing waits for a writer; so is one that is gone."""
    path = tmp_path / "f"
    path.write_bytes(b"text")
    stamp = stamp_of(path.stat())
    path.unlink()
    with pytest.raises(MissingError):
        read_small(path, stamp, memoryview(bytearray(10)))
    os.mkfifo(path)
    with pytest.raises(InvalidError, match="pipe"):
        read_small(path, stamp, memoryview(bytearray(10)))
