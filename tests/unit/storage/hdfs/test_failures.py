"""Tests of hansa.storage.hdfs.failures: what HDFS says, as observed, and what it means."""

import socket

import pytest

from hansa.errors import (
    CorruptError,
    DeniedError,
    DiskFullError,
    HansaError,
    InvalidError,
    UnavailableError,
)
from hansa.storage.hdfs.failures import (
    AwayError,
    LateError,
    UnreachableError,
    explain,
    explain_read,
    is_expected,
)

_JAVA = "\\n\\tat org.apache.hadoop.hdfs.server.namenode.FSNamesystem.x(FSNamesystem.java:1)"


def _remote(java_class: str, message: str) -> RuntimeError:
    """Return an error as the library hands on the NameNode's."""
    return RuntimeError(f'RPCError("{java_class}", "{message}{_JAVA}")')


def _all_failed(*ports: int) -> RuntimeError:
    nodes = ", ".join(
        f'DatanodeInfoProto {{ id: DatanodeIdProto {{ ip_addr: "127.0.0.1", xfer_port: {port} }} }}'
        for port in ports
    )
    return RuntimeError(f'DataTransferError("All DataNodes failed: [{nodes}]")'.replace("'", '"'))


class PanicException(BaseException):
    """Named as the library's."""


_CASES = [
    (
        _remote(
            "org.apache.hadoop.security.AccessControlException",
            'Permission denied: user=eve, inode=\\"/x\\":root',
        ),
        DeniedError,
        "user=eve",
    ),
    (
        _remote(
            "org.apache.hadoop.hdfs.protocol.DSQuotaExceededException",
            "The DiskSpace quota of /q is exceeded: quota = 3 B",
        ),
        DiskFullError,
        "quota = 3 B",
    ),
    (
        _remote("org.apache.hadoop.hdfs.protocol.NSQuotaExceededException", "quota=3 file count=4"),
        DiskFullError,
        "file count=4",
    ),
    (
        _remote(
            "org.apache.hadoop.hdfs.server.namenode.SafeModeException",
            "Cannot create file/x. Name node is in safe mode.",
        ),
        AwayError,
        "safe mode",
    ),
    (
        _remote("org.apache.hadoop.ipc.StandbyException", "not supported in state standby"),
        AwayError,
        "not active",
    ),
    (
        _remote("java.io.IOException", "Requested replication factor of 9 exceeds maximum of 5"),
        InvalidError,
        "replication",
    ),
    (
        _remote("java.io.IOException", "Specified block size 1000 is less than configured"),
        InvalidError,
        "block size",
    ),
    (
        _remote(
            "java.io.IOException", "File /x could only be written to 0 of the 1 minReplication"
        ),
        UnavailableError,
        "no DataNode",
    ),
    (_remote("java.io.IOException", "Something new"), UnavailableError, "Something new"),
    (OSError("Connection refused (os error 111)"), UnreachableError, "cannot be reached"),
    (OSError("No data received for 3000ms"), UnavailableError, "No DataNode"),
    (LateError(), AwayError, "in time"),
    (
        FileNotFoundError("rename source /x is not found.\n\tat x"),
        UnavailableError,
        "Something else",
    ),
    (RuntimeError('InvalidArgument("No NameNode hosts found")'), InvalidError, "settings"),
    (RuntimeError("GSSAPIError(no credentials)"), DeniedError, "refuses who asks"),
    (PanicException("Cannot read past end"), UnavailableError, "read past end"),
]


@pytest.mark.parametrize(("error", "kind", "words"), _CASES, ids=lambda v: str(v)[:40])
def test_explain(error: BaseException, kind: type[HansaError], words: str) -> None:
    """Each becomes one of our errors, says what was done, and shows no Java frames."""
    assert is_expected(error)
    found = explain(error, "object a/b")
    assert type(found) is kind
    assert words in found.message
    assert "\tat" not in found.message
    assert "FSNamesystem" not in found.message
    assert len(found.message) < 500


def test_strangers_are_not_expected() -> None:
    """An error of our own code is not taken for one of HDFS."""
    assert not is_expected(KeyError("x"))
    assert not is_expected(KeyboardInterrupt())


def test_every_replica_failed_while_the_datanodes_answer() -> None:
    """Then the blocks are bad; if a DataNode is away or was silent, it is only out of reach."""
    with socket.socket() as listening, socket.socket() as closed:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        closed.bind(("127.0.0.1", 0))
        here, away = listening.getsockname()[1], closed.getsockname()[1]
        bad = explain_read(_all_failed(here), "object a", took_ms=10, silence_ms=3000)
        assert type(bad) is CorruptError
        assert f"127.0.0.1:{here}" in bad.message
        for ports, took_ms in (((here, away), 10), ((here,), 3000), ((), 10)):
            found = explain_read(_all_failed(*ports), "object a", took_ms, silence_ms=3000)
            assert type(found) is UnavailableError
    other = explain_read(OSError("Connection refused"), "object a", took_ms=1, silence_ms=3000)
    assert type(other) is UnreachableError
