"""The contract of `ports.Store` as a suite: subclass it, give the fixture `store`, run pytest.

class TestMyStore(StoreContract):
    @pytest.fixture
    def store(self): ...
"""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from hansa.errors import CorruptError, HansaError, InvalidError, MissingError
from hansa.ports import Store

_BAD_NAMES = [
    "",
    "/a",
    "a/",
    "a//b",
    "../a",
    "a/../b",
    "A",
    "a b",
    "a\x00",
    "a.b",
    "-a",
    "é",
    "a" * 201,
]


class _FailedError(Exception):
    """Stands for a source that breaks off."""


class StoreContract:
    """What every store keeps."""

    def test_put_then_get(self, store: Store) -> None:
        """What was put in parts is read back whole, and its size is told."""
        assert store.put("packs/ab/cd", [b"one", b"", b"two"]) == 6
        assert store.get("packs/ab/cd") == b"onetwo"
        assert store.size("packs/ab/cd") == 6
        assert store.exists("packs/ab/cd")

    def test_empty_object(self, store: Store) -> None:
        """An object may have no bytes."""
        assert store.put("empty", []) == 0
        assert store.get("empty") == b""
        assert store.get("empty", 0, 0) == b""

    def test_positioned_read(self, store: Store) -> None:
        """Any range inside an object is read exactly."""
        store.put("a", [bytes(range(256))])
        assert store.get("a", 10, 3) == bytes([10, 11, 12])
        assert store.get("a", 250) == bytes(range(250, 256))
        assert store.get("a", 256, 0) == b""

    @pytest.mark.parametrize(("offset", "length"), [(-1, 1), (0, 5), (4, 1), (5, None), (0, -1)])
    def test_range_outside_is_refused(self, store: Store, offset: int, length: int | None) -> None:
        """A range that leaves the object is an error, never short bytes."""
        store.put("a", [b"four"])
        with pytest.raises(InvalidError):
            store.get("a", offset, length)

    def test_missing_object(self, store: Store) -> None:
        """What is not there is said to be missing, and deleting it is fine."""
        assert not store.exists("no")
        with pytest.raises(MissingError):
            store.get("no")
        with pytest.raises(MissingError):
            store.size("no")
        store.delete("no")

    def test_put_file(self, store: Store, tmp_path: Path) -> None:
        """A file becomes an object with its bytes; the same file again is fine; others are refused."""
        data = bytes(range(256)) * 9_000
        for _ in range(2):
            (tmp_path / "file").write_bytes(data)
            assert store.put_file("packs/ab/file", tmp_path / "file") == len(data)
        assert store.get("packs/ab/file") == data
        assert store.size("packs/ab/file") == len(data)
        assert list(store.list("")) == ["packs/ab/file"]
        (tmp_path / "file").write_bytes(data[:-1] + b"x")
        with pytest.raises(CorruptError):
            store.put_file("packs/ab/file", tmp_path / "file")
        assert store.get("packs/ab/file") == data
        (tmp_path / "empty").touch()
        assert store.put_file("empty", tmp_path / "empty") == 0
        with pytest.raises(InvalidError):
            store.put_file("../a", tmp_path / "file")

    def test_put_file_that_is_missing(self, store: Store, tmp_path: Path) -> None:
        """Without the file nothing appears."""
        with pytest.raises(HansaError):
            store.put_file("a", tmp_path / "none")
        assert not store.exists("a")
        assert list(store.list("")) == []

    def test_put_again_is_idempotent(self, store: Store) -> None:
        """The same bytes under the same name are taken again without effect."""
        assert store.put("a", [b"bytes"]) == 5
        assert store.put("a", [b"by", b"tes"]) == 5
        assert store.get("a") == b"bytes"

    @pytest.mark.parametrize("other", [b"other", b"byte", b"bytes!", b""])
    def test_objects_are_immutable(self, store: Store, other: bytes) -> None:
        """Other bytes under a name that is taken are refused; the first stay."""
        store.put("a", [b"bytes"])
        with pytest.raises(CorruptError):
            store.put("a", [other])
        assert store.get("a") == b"bytes"

    def test_broken_source_leaves_nothing(self, store: Store) -> None:
        """A put whose source breaks off leaves no object, and the name is free."""

        def parts() -> Iterator[bytes]:
            yield b"half"
            raise _FailedError

        with pytest.raises(_FailedError):
            store.put("a", parts())
        assert not store.exists("a")
        assert list(store.list("")) == []
        assert store.put("a", [b"whole"]) == 5

    def test_delete(self, store: Store) -> None:
        """A deleted object is gone, and its name may be used anew."""
        store.put("a/b", [b"1"])
        store.delete("a/b")
        assert not store.exists("a/b")
        store.put("a/b", [b"2"])
        assert store.get("a/b") == b"2"

    def test_list_in_order(self, store: Store) -> None:
        """All names under a prefix come in order of the whole names, whatever folders they form."""
        names = ["a", "b-c", "b/a", "b/c/d", "b/c-d", "ba", "packs/00/1", "packs/01/0"]
        for name in reversed(names):
            store.put(name, [name.encode()])
        assert list(store.list("")) == sorted(names)
        assert list(store.list("b")) == sorted(n for n in names if n.startswith("b"))
        assert list(store.list("b/")) == ["b/a", "b/c-d", "b/c/d"]
        assert list(store.list("packs/0")) == ["packs/00/1", "packs/01/0"]
        assert list(store.list("nothing/")) == []

    @pytest.mark.parametrize("name", _BAD_NAMES)
    def test_bad_names_are_refused(self, store: Store, name: str) -> None:
        """A name that could leave the store, or that some store cannot hold, is refused."""
        with pytest.raises(InvalidError):
            store.put(name, [b"x"])
        with pytest.raises(InvalidError):
            store.get(name)
        with pytest.raises(InvalidError):
            store.delete(name)

    def test_large_object(self, store: Store) -> None:
        """An object of many parts keeps every byte in place."""
        parts = [bytes([n % 251]) * 70_001 for n in range(60)]
        assert store.put("big", parts) == 60 * 70_001
        assert store.get("big") == b"".join(parts)
        assert store.get("big", 70_001 * 30 - 1, 2) == bytes([29, 30])

    def test_writers_of_one_name(self, store: Store) -> None:
        """Many writers of the same object at once all succeed, and it is whole."""
        failures: list[BaseException] = []

        def write() -> None:
            try:
                store.put("same", [b"x" * 50_000, b"y" * 50_000])
            except BaseException as error:  # noqa: BLE001 - told to the test below
                failures.append(error)

        threads = [threading.Thread(target=write) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []
        assert store.get("same") == b"x" * 50_000 + b"y" * 50_000
