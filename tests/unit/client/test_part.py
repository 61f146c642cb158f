"""Part: every byte in its order, however few the system takes at once; holes stay holes."""

import errno
import os

import pytest
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st

from hansa.client import part as module
from hansa.client.part import FileCheck, Part, compute_digest
from hansa.data.manifest import FileEntry


def _entry(data: bytes) -> FileEntry:
    return FileEntry("a", len(data), blake3(data).digest())


def test_file_check():
    """Whole means: these bytes and no others."""
    check = FileCheck(blake3(b"ab").digest())
    check.update(b"a")
    assert not check.is_whole()
    check.update(memoryview(b"b"))
    assert check.is_whole()


@pytest.mark.parametrize("at_once", [1, 3, 1000])
def test_short_writes_lose_nothing(tmp_path, monkeypatch, at_once):
    """The system may take fewer bytes than it is given, in the middle of a piece too."""
    real = os.writev

    def writev(descriptor, buffers):
        return real(descriptor, [b"".join(buffers)[:at_once]])

    monkeypatch.setattr(module.os, "writev", writev)
    pieces = [bytes([number]) * number for number in range(1, 30)]
    data = b"".join(pieces)
    part = Part(0, tmp_path / "p", _entry(data), 0)
    for piece in pieces:
        part.take(memoryview(piece))
    part.flush()
    assert part.is_whole()
    part.close()
    assert (tmp_path / "p").read_bytes() == data
    assert compute_digest(tmp_path / "p") == blake3(data).digest()


def test_zeros_are_holes(tmp_path):
    """A long run of zeros takes no room, and reads as zeros."""
    zeros, data = bytes(1 << 20), os.urandom(5_000)
    almost = bytes(1 << 19) + b"x" + bytes(1 << 19)
    part = Part(0, tmp_path / "p", _entry(data + zeros + almost + data + zeros), 0)
    for piece in (data, zeros, almost, data, zeros):
        part.take(memoryview(piece))
    part.flush()
    assert part.is_whole()
    part.close()
    assert (tmp_path / "p").read_bytes() == data + zeros + almost + data + zeros
    status = (tmp_path / "p").stat()
    assert status.st_blocks * 512 < status.st_size - len(zeros)


def test_a_link_is_not_followed(tmp_path):
    """A part that became a link is an error, not a write elsewhere."""
    (tmp_path / "victim").write_bytes(b"mine")
    (tmp_path / "p").symlink_to(tmp_path / "victim")
    with pytest.raises(OSError) as refused:  # noqa: PT011 - its number is looked at
        Part(0, tmp_path / "p", _entry(b"x"), 0)
    assert refused.value.errno == errno.ELOOP
    assert (tmp_path / "victim").read_bytes() == b"mine"


@given(st.lists(st.integers(0, 4), max_size=12), st.integers(0, 70_000))
def test_split_is_the_whole(parts, more):
    """Whatever stands where: the pieces joined are the bytes, and a hole is zeros alone."""
    unit = module._HOLE_BYTES
    kinds = [bytes(unit), b"x" * unit, bytes(unit // 2), bytes(unit - 1) + b"y"]
    kinds.append(bytes(9) + b"z" + bytes(unit - 10))
    data = memoryview(b"".join(kinds[kind] for kind in parts) + bytes(more))
    pieces = list(module._split(data))
    assert b"".join(piece for piece, _ in pieces) == data
    assert not any(any(piece) for piece, is_hole in pieces if is_hole)
    # Each run of zeros that is a unit long, from a multiple of it, is left out.
    written = sum(len(piece) for piece, is_hole in pieces if not is_hole)
    whole = [data[at : at + unit] for at in range(0, len(data), unit)]
    assert sum(len(piece) for piece in whole if len(piece) < unit or any(piece)) == written
