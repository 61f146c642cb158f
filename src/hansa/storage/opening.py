"""Opening a store wherever it lies: the one place that chooses between the kinds."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from hansa.errors import UnavailableError
from hansa.ports import Clock, Entropy, Store
from hansa.storage.local import LocalStore

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
        return OpenedStore(local, local.close, lambda: shutil.disk_usage(place).free)
    from hansa.storage.hdfs import HdfsStore  # noqa: PLC0415 - only for those who use it

    hdfs = HdfsStore(place, owner, clock=clock, entropy=entropy, tell=tell)
    return OpenedStore(hdfs, hdfs.close, hdfs.free_bytes)


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
