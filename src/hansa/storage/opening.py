"""Opening a store wherever it lies, the one place that chooses between the kinds; and what stands on it."""

import contextlib
import shutil
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from hansa.errors import CorruptError, UnavailableError
from hansa.ports import Clock, Entropy, Store
from hansa.storage.chunk_store import ChunkStore
from hansa.storage.journal import Journal
from hansa.storage.local import LocalStore
from hansa.storage.table import distrust, open_table

if TYPE_CHECKING:
    from hansa.storage.hdfs import HdfsSettings

StorePlace: TypeAlias = "Path | HdfsSettings"
"""A folder of this machine, or where and as whom in HDFS."""


@dataclass(frozen=True, slots=True)
class OpenedStore:
    """A store, and what belongs to it."""

    store: Store
    close: Callable[[], None]
    """To be called once."""
    free_bytes: Callable[[], int | None]
    """How many more bytes it would take; None where nothing bounds it."""
    waiting_for: Callable[[], str]
    """What is waited out just now, one sentence; empty if the store answers."""


def open_store(
    place: StorePlace,
    owner: str,
    *,
    clock: Clock,
    entropy: Entropy,
    tell: Callable[[str], None],
) -> OpenedStore:
    """Open or make a store.

    Args:
        place: a folder of this machine, or where and as whom in HDFS.
        owner: one line that names the alliance and the organisation.
        clock: for HDFS's outages.
        entropy: names temporary files in HDFS.
        tell: is told when HDFS is away, and when it is back.

    Raises:
        ConflictError: it belongs to another organisation, or another node has it open.
        DeniedError, DiskFullError, InvalidError, UnavailableError: it cannot be used.
    """
    if isinstance(place, Path):
        local = LocalStore(place, owner)
        return OpenedStore(local, local.close, lambda: shutil.disk_usage(place).free, lambda: "")
    from hansa.storage.hdfs import HdfsStore  # noqa: PLC0415 - only for those who use it

    hdfs = HdfsStore(place, owner, clock=clock, entropy=entropy, tell=tell)
    return OpenedStore(hdfs, hdfs.close, hdfs.free_bytes, lambda: hdfs.waiting_for)


def open_chunks(
    store: Store,
    journal: Journal,
    table_path: Path,
    directory_key: bytes,
    entropy: Entropy,
    *,
    clock: Clock,
    readers: Executor | None,
    tell: Callable[[str], None],
    closing: contextlib.ExitStack,
) -> ChunkStore:
    """Open the chunk store over its table, a cache: one that is damaged is begun anew and filled again.

    Args:
        store: where packs go.
        journal: on the node's own disk; closed by `closing` too.
        table_path: file of the table.
        directory_key: the organisation's, 32 bytes.
        entropy: names journal segments.
        clock: for how long fresh chunks are kept.
        readers: threads for questions that read at several places.
        tell: is told if the table had to be begun anew.
        closing: takes what must be closed.

    Raises:
        UnavailableError: the store cannot be listed. DiskFullError, DeniedError: as the disk.
    """
    closing.callback(journal.close)
    for is_last in (False, True):
        table, _ = open_table(table_path)
        try:
            chunks = ChunkStore(
                store, journal, table, directory_key, entropy, clock=clock, readers=readers
            )
        except CorruptError as error:
            table.close()
            if is_last:
                raise
            # Rows may be missing that no check of the others can tell.
            tell(error.message)
            distrust(table_path)
        except BaseException:
            table.close()
            raise
        else:
            closing.callback(table.close)
            closing.callback(chunks.close)
            return chunks
    raise AssertionError("unreachable")


def hdfs_place(
    *,
    url: str,
    replication: int,
    user: str,
    conf_dir: str,
    kerberos_principal: str,
    kerberos_keytab: str,
    config: dict[str, str],
) -> "HdfsSettings":
    """Return where and as whom a store in HDFS is used; each as in [store] of node.toml.

    Raises:
        InvalidError: the URL or another setting cannot be right.
        UnavailableError: the client library is not there.
    """
    try:
        from hansa.storage.hdfs import HdfsSettings  # noqa: PLC0415 - not on every platform
    except ImportError as error:
        raise UnavailableError(
            "This installation cannot use HDFS: the package hdfs-native is missing.",
            remedy="Install hdfs-native; it has wheels for Linux (x86-64, ARM) and macOS (ARM).",
        ) from error
    settings = HdfsSettings(
        url=url,
        replication=replication,
        user=user,
        conf_dir=conf_dir,
        kerberos_principal=kerberos_principal,
        kerberos_keytab=kerberos_keytab,
        config=config,
    )
    settings.root()
    return settings
