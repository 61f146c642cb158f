"""What an error of HDFS means: the one place that reads its messages.

The library hands on what the NameNode said as text, so here, and only here, text is matched: the
name of the Java class first, which is part of Hadoop's protocol (`RemoteException`), the message
only where the class says nothing.
"""

import re
import socket

from hansa.errors import (
    CorruptError,
    DeniedError,
    DiskFullError,
    HansaError,
    InvalidError,
    UnavailableError,
)

_REMOTE = re.compile(r'RPCError\("(?:[\w.$]*[.$])?(\w+)", "((?:[^"\\]|\\.)*)', re.DOTALL)
_DATANODE = re.compile(r'ip_addr: \\?"([^"\\]+)\\?".*?xfer_port: (\d+)')
_PROBE_S = 1.0
_MESSAGE_CHARACTERS_MAX = 300


class AwayError(UnavailableError):
    """The NameNode does not answer, or does not take changes: waited out, all calls alike."""


class UnreachableError(AwayError):
    """A connection failed: to the NameNode, or to a DataNode, which the library does not tell apart."""


class LateError(TimeoutError):
    """A call did not end in its time; it may still be under way."""


_IS_IT_RUNNING = "Look whether the NameNode runs (`hdfs dfsadmin -report`) and whether store.url names its RPC port."
_Row = tuple[tuple[str, ...], type[HansaError], str, str]
_REMOTE_KINDS: tuple[_Row, ...] = (
    (
        ("AccessControlException", "AuthorizationException", "InvalidToken"),
        DeniedError,
        "HDFS refuses access to {what}: {said}.",
        "Give the node's HDFS user the store's folder: `hdfs dfs -chown`, mode 700.",
    ),
    (
        (
            "DSQuotaExceededException",
            "NSQuotaExceededException",
            "QuotaByStorageTypeExceededException",
        ),
        DiskFullError,
        "The HDFS quota is used up: {what} was not written ({said})",
        "Raise it with `hdfs dfsadmin -setSpaceQuota` or -setQuota, or collect the store; nothing was"
        " left half done.",
    ),
    (
        ("SafeModeException",),
        AwayError,
        "The NameNode is in safe mode, so nothing can be changed, at {what}.",
        "After a restart it ends by itself once enough blocks are reported; else `hdfs dfsadmin"
        " -safemode get` tells, and -safemode leave ends it.",
    ),
    (
        ("StandbyException", "ObserverRetryOnActiveException", "RetriableException"),
        AwayError,
        "The NameNode is not active, at {what}: {said}.",
        "Look at the failover: `hdfs haadmin -getAllServiceState`.",
    ),
    (
        ("replication factor",),
        InvalidError,
        "HDFS does not take this replication: {said}.",
        "Set store.replication.",
    ),
    (
        ("block size",),
        InvalidError,
        "HDFS does not take this block size: {said}.",
        "Let dfs.namenode.fs-limits.min-block-size be at most 1 MiB.",
    ),
    (
        ("could only be written to",),
        UnavailableError,
        "HDFS finds no DataNode for {what}: {said}.",
        "They are full or dead: `hdfs dfsadmin -report`.",
    ),
)
"""Java class, or words of its message: what is raised, message, remedy."""
_LOCAL: tuple[_Row, ...] = (
    (
        ("DataTransferError", "No data received"),
        UnavailableError,
        "No DataNode could serve {what}.",
        "See which DataNodes are dead, `hdfs dfsadmin -report`, and what is missing, `hdfs fsck`.",
    ),
    (
        ("GSSAPIError", "SASLError", "NoSASLMechanism", "KerberosError"),
        DeniedError,
        "HDFS refuses who asks, at {what}: {said}.",
        "Check store.kerberos_principal and store.kerberos_keytab, and the machines' clocks.",
    ),
    (
        ("InvalidArgument",),
        InvalidError,
        "HDFS cannot be used with these settings: {said}.",
        "Is the nameservice known? Set store.hadoop_conf_dir or store.config.",
    ),
)
"""The same for what the library itself says."""


def is_expected(error: BaseException) -> bool:
    """Tell whether an error is one that HDFS or its client raises.

    A panic of the library reaches Python as a BaseException of its own (pyo3's PanicException).
    """
    return isinstance(error, OSError | RuntimeError) or type(error).__name__ == "PanicException"


def explain(error: BaseException, what: str) -> HansaError:
    """Return the expected failure that an error of HDFS stands for.

    Args:
        error: raised by the client, for which `is_expected` holds.
        what: what was being done, as "object packs/ab/…".
    """
    text = str(error)
    remote = _REMOTE.search(text)
    if remote is not None:
        return _explain_remote(remote[1], _first_line(remote[2].replace("\\n", "\n")), what)
    if isinstance(error, LateError):
        return AwayError(f"HDFS did not answer in time at {what}.", remedy=_IS_IT_RUNNING)
    for words, kind, message, remedy in _LOCAL:
        if any(word in text for word in words):
            return kind(message.format(what=what, said=_first_line(text)), remedy=remedy)
    if isinstance(error, FileNotFoundError | FileExistsError):
        return UnavailableError(f"Something else changed the store at {what}: {_first_line(text)}")
    if isinstance(error, OSError):
        return UnreachableError(
            f"The NameNode cannot be reached, at {what}: {_first_line(text)}.",
            remedy=_IS_IT_RUNNING,
        )
    return UnavailableError(f"HDFS failed at {what}: {_first_line(text)}.")


def _explain_remote(java_class: str, said: str, what: str) -> HansaError:
    """Return what an exception of the NameNode stands for."""
    for names, kind, message, remedy in _REMOTE_KINDS:
        if java_class in names or any(name in said for name in names):
            return kind(message.format(what=what, said=said), remedy=remedy)
    return UnavailableError(f"HDFS failed at {what}: {java_class}: {said}.")


def explain_read(error: BaseException, what: str, took_ms: int, silence_ms: int) -> HansaError:
    """As `explain`, for a read that failed at every replica: damaged, or only out of reach?

    The library says the same for a checksum that is wrong and for a DataNode that is away. So the
    DataNodes it names are asked for a connection: if all take one, and none kept silent, the
    blocks themselves are bad (HDFS keeps a CRC of each 512 bytes).
    """
    text = str(error)
    nodes = set(_DATANODE.findall(text))
    if "DataTransferError" not in text or took_ms >= silence_ms or not nodes:
        return explain(error, what)
    if not all(_listens(host, int(port)) for host, port in nodes):
        return explain(error, what)
    where = ", ".join(sorted(f"{host}:{port}" for host, port in nodes))
    return CorruptError(
        f"HDFS has no sound replica of {what} ({where}).",
        remedy="`hansa store check --read-data` tells which datasets it hurts; `hdfs fsck -files"
        " -blocks -locations` where the blocks lie.",
    )


def _listens(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), timeout=_PROBE_S):
            return True
    except OSError:
        return False


def _first_line(text: str) -> str:
    """Return an error's first line: the rest is a stack of Java frames."""
    return text.split("\n", 1)[0].split("\\n", 1)[0][:_MESSAGE_CHARACTERS_MAX]
