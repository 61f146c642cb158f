"""Tests of hansa.storage.opening: a folder or HDFS, chosen by what is given."""

import contextlib
import sys
from pathlib import Path

import pytest

from hansa.data.chunk import compute_sealed_digest
from hansa.data.pipeline import UploadChunk
from hansa.errors import CorruptError, InvalidError, UnavailableError
from hansa.storage.hdfs import HdfsSettings
from hansa.storage.hdfs import store as store_module
from hansa.storage.journal import Journal
from hansa.storage.local import LocalStore
from hansa.storage.opening import hdfs_place, open_chunks, open_store
from hansa.storage.table import open_table
from hansa.testing.doubles import FixedClock, SeededEntropy
from hansa.types import ChunkId
from tests.unit.storage.hdfs.library import FakeClient

GIVEN = {
    "url": "hdfs://name:8020/city",
    "replication": 2,
    "user": "",
    "conf_dir": "",
    "kerberos_principal": "",
    "kerberos_keytab": "",
    "config": {},
}


def _open(place):
    return open_store(
        place, "city a", clock=FixedClock(), entropy=SeededEntropy(), tell=lambda _: None
    )


def test_a_folder(tmp_path: Path) -> None:
    """A path opens a local store, whose room is the disk's."""
    opened = _open(tmp_path / "store")
    opened.store.put("a", [b"x"])
    assert (tmp_path / "store" / "objects" / "a").read_bytes() == b"x"
    assert opened.free_bytes() > 0
    opened.close()


def test_hdfs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings of HDFS open a store there, whose room is the quota's."""
    client = FakeClient()
    monkeypatch.setattr(store_module, "connect", lambda _: client)
    place = hdfs_place(**GIVEN)
    assert place == HdfsSettings(url="hdfs://name:8020/city", replication=2)
    opened = _open(place)
    opened.store.put("a", [b"x"])
    assert client.files["/city/objects/a"] == b"x"
    assert opened.free_bytes() is None
    opened.close()


def test_a_damaged_table_is_filled_again(tmp_path: Path) -> None:
    """Whatever row of it is hit: told at once or at its use, and the chunks found again at the next start."""
    chunk = UploadChunk(ChunkId(bytes(32)), b"", b"sealed bytes")
    waiting = UploadChunk(ChunkId(bytes(31) + b"1"), b"", b"in the journal")
    with _chunks(tmp_path) as (chunks, told):
        chunks.put([chunk], 0)
        chunks.flush()
        chunks.put([waiting], 0)
        keys = [key for key, _ in chunks.table.scan(b"")]
        assert told == []
    assert len(keys) >= 8
    for key in keys:
        table, _ = open_table(tmp_path / "table.mdb")
        with table._env.begin(write=True) as transaction:
            row = transaction.get(key)
            if row is not None:
                transaction.put(key, row[:-1] + bytes([row[-1] ^ 1]))
        table.close()
        for _ in range(2):
            with _chunks(tmp_path) as (chunks, told), contextlib.suppress(CorruptError):
                for one in (chunk, waiting):
                    stored = chunks.locate(compute_sealed_digest(one.sealed))
                    assert chunks.read(stored.address) == one.sealed
                break
        else:
            pytest.fail(f"not filled again at the second start: {key!r}")


@contextlib.contextmanager
def _chunks(folder: Path):
    told: list[str] = []
    with contextlib.ExitStack() as closing:
        store = LocalStore(folder / "store", "o")
        closing.callback(store.close)
        chunks = open_chunks(
            store,
            Journal(folder / "journal"),
            folder / "table.mdb",
            bytes(32),
            SeededEntropy(),
            clock=FixedClock(),
            readers=None,
            tell=told.append,
            closing=closing,
        )
        yield chunks, told


def test_bad_place() -> None:
    """What cannot be right is told before anything is opened."""
    with pytest.raises(InvalidError):
        hdfs_place(**GIVEN | {"url": "hdfs://name:8020/"})


def test_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no client library the error says what to install."""
    monkeypatch.setitem(sys.modules, "hansa.storage.hdfs", None)
    with pytest.raises(UnavailableError, match="hdfs-native"):
        hdfs_place(**GIVEN)
