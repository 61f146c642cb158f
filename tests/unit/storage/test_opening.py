"""Tests of hansa.storage.opening: a folder or HDFS, chosen by what is given."""

import sys
from pathlib import Path

import pytest

from hansa.errors import InvalidError, UnavailableError
from hansa.storage.hdfs import HdfsSettings
from hansa.storage.hdfs import store as store_module
from hansa.storage.opening import hdfs_place, open_store
from hansa.testing.doubles import FixedClock, SeededEntropy
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


def test_bad_place() -> None:
    """What cannot be right is told before anything is opened."""
    with pytest.raises(InvalidError):
        hdfs_place(**GIVEN | {"url": "hdfs://name:8020/"})


def test_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no client library the error says what to install."""
    monkeypatch.setitem(sys.modules, "hansa.storage.hdfs", None)
    with pytest.raises(UnavailableError, match="hdfs-native"):
        hdfs_place(**GIVEN)
