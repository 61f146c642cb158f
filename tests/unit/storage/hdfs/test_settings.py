"""Tests of hansa.storage.hdfs.settings: addresses, and one user for a process."""

import pytest

from hansa.errors import ConflictError, InvalidError
from hansa.storage.hdfs.settings import HdfsSettings, connect

GOOD = "hdfs://127.0.0.1:8020/city/transport"


def test_root() -> None:
    """The folder is the URL's path; a slash at its end and encoded letters do not matter."""
    assert HdfsSettings(url=GOOD).root() == "/city/transport"
    assert HdfsSettings(url=GOOD + "/").root() == "/city/transport"
    assert HdfsSettings(url="hdfs://city/a%20b").root() == "/a b"


@pytest.mark.parametrize(
    "url",
    [
        "file:///x",
        "hdfs:///x",
        "hdfs://name:8020",
        "hdfs://name:8020/",
        "hdfs://name/a//b",
        "hdfs://name/a/../b",
        "hdfs://name/a?x=1",
        "hdfs://name/a#b",
        "hdfs://eve@name/a",
        "hdfs://name/a%00",
        "hdfs://name/a:b",
        "city",
    ],
)
def test_bad_addresses(url: str) -> None:
    """What is no folder in HDFS is refused, the root folder of all too."""
    with pytest.raises(InvalidError):
        HdfsSettings(url=url).root()


@pytest.mark.parametrize(
    "changes",
    [
        {"replication": 0},
        {"replication": 513},
        {"kerberos_keytab": "k"},
        {"kerberos_principal": "p"},
    ],
)
def test_bad_settings(changes: dict[str, object]) -> None:
    """A replication that no NameNode takes, and half of a Kerberos identity, are refused."""
    with pytest.raises(InvalidError):
        HdfsSettings(url=GOOD, **changes).root()


def test_one_user_for_a_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """The library takes the user from the environment, so a second one is refused."""
    monkeypatch.setenv("HADOOP_USER_NAME", "transport")
    connect(HdfsSettings(url=GOOD, user="transport"))
    with pytest.raises(ConflictError, match="HADOOP_USER_NAME"):
        connect(HdfsSettings(url=GOOD, user="energy"))


def test_unknown_nameservice_is_invalid() -> None:
    """A nameservice that no setting explains is told at once, not waited for."""
    with pytest.raises(InvalidError, match="settings"):
        connect(HdfsSettings(url="hdfs://nowhere/x")).get_file_info("/")
