"""Tests of hansa.storage.hdfs.writing: sources that can be read again, blocks that fit."""

from pathlib import Path

import pytest
from blake3 import blake3

from hansa import limits
from hansa.errors import InvalidError, UnavailableError
from hansa.storage.hdfs.calls import Pulse
from hansa.storage.hdfs.failures import LateError
from hansa.storage.hdfs.writing import (
    FileSource,
    PartsSource,
    compute_digest,
    options_for,
    write_file,
)

MIB = limits.MIB


def _join(source) -> bytes:
    pieces = list(source.pieces())
    assert all(type(piece) is bytes for piece in pieces)
    return b"".join(pieces)


def test_parts_can_be_read_twice() -> None:
    """A list as well as a generator, in pieces of some MiB."""
    parts = [bytes([n]) * 700_000 for n in range(20)]
    for given in (parts, iter(parts)):
        source = PartsSource(given)
        assert source.size == 14_000_000
        assert _join(source) == b"".join(parts)
        assert _join(source) == b"".join(parts)
        assert len(list(source.pieces())) <= 4
        source.close()
    assert list(PartsSource([]).pieces()) == []
    assert list(PartsSource([b"", b""]).pieces()) == []


def test_failing_parts_raise_their_own_error() -> None:
    """What the caller's generator raises is the caller's."""

    def parts():
        yield b"half"
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        PartsSource(parts())


def test_too_many_bytes_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Whatever the source, before anything is sent."""
    monkeypatch.setattr(limits, "HDFS_OBJECT_BYTES_MAX", 10)
    (tmp_path / "f").write_bytes(bytes(11))
    for make in (
        lambda: PartsSource([bytes(11)]),
        lambda: PartsSource(iter([bytes(6), bytes(5)])),
        lambda: FileSource(tmp_path / "f"),
    ):
        with pytest.raises(InvalidError):
            make()


def test_file_source(tmp_path: Path) -> None:
    """A file is read again from its start; one that is not there is told."""
    path = tmp_path / "f"
    path.write_bytes(bytes(range(256)) * 40_000)
    source = FileSource(path)
    assert source.size == 10_240_000
    assert _join(source) == _join(source) == path.read_bytes()
    with pytest.raises(UnavailableError):
        FileSource(tmp_path / "none")


def test_digest() -> None:
    """BLAKE3 over all pieces, and their bytes."""
    assert compute_digest([b"ab", b"c"]) == (blake3(b"abc").digest(), 3)


@pytest.mark.parametrize(
    ("size", "block"),
    [(0, MIB), (1, MIB), (MIB, MIB), (MIB + 1, 2 * MIB), (128 * MIB, 128 * MIB)],
)
def test_one_block_just_large_enough(size: int, block: int) -> None:
    """An object is one block, so that one DataNode has all of a pack and little quota is set aside."""
    options = options_for(size, 2)
    assert (options.block_size, options.replication) == (block, 2)
    assert options.overwrite is False
    assert options.permission == 0o600


class _Client:
    """Stands for the library: notes what is done in which order."""

    def __init__(self, fails_at: str = "") -> None:
        self.done: list[str] = []
        self.fails_at = fails_at

    def create(self, path, options):
        self._do("create")
        return self

    def write(self, data) -> None:
        self._do("write")

    def close(self) -> None:
        self._do("close")

    def delete(self, path) -> None:
        self._do("delete")

    def _do(self, what: str) -> None:
        self.done.append(what)
        if what == self.fails_at:
            raise OSError(what)


@pytest.mark.parametrize(
    ("fails_at", "done"),
    [
        ("", ["create", "write", "close"]),
        ("create", ["create"]),
        ("write", ["create", "write", "delete"]),
        ("close", ["create", "write", "close", "delete"]),
    ],
)
def test_a_failed_file_is_deleted_before_its_writer_goes(fails_at: str, done: list[str]) -> None:
    """Else the writer's destructor would hold the thread for 15 s."""
    client = _Client(fails_at)
    source = PartsSource([b"x"])
    if fails_at:
        with pytest.raises(OSError, match=fails_at):
            write_file(client, "/t", source, 2, Pulse())
    else:
        assert write_file(client, "/t", source, 2, Pulse()) == compute_digest([b"x"])
    assert client.done == done


def test_who_gave_up_is_heard() -> None:
    """A write whose caller has gone stops, and takes its file away."""
    pulse = Pulse()
    pulse.is_cancelled = True
    client = _Client()
    with pytest.raises(LateError):
        write_file(client, "/t", PartsSource([b"x"]), 2, pulse)
    assert client.done == ["create", "delete"]
