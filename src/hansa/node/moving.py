"""Where a node's store lies, and moving it elsewhere: all objects copied and compared, then one switch.

The node is stopped meanwhile. node.toml is replaced in one step after the last object was compared;
before that the old store is in use, after it the new one. The old store is not touched and can be
removed by hand once the node has run on the new one.
"""

import contextlib
import os
import re
import sys
from pathlib import Path

import msgspec

from hansa.chain.genesis import decode_genesis
from hansa.errors import ConflictError, InvalidError, MissingError
from hansa.node.config import (
    CONFIG_FILE,
    GENESIS_FILE,
    NodeConfig,
    decode_config,
    is_hdfs,
    load_config,
    store_folder,
    validate_store,
)
from hansa.ports import Clock, Entropy, Store
from hansa.storage.migrate import MigrateReport, migrate
from hansa.storage.opening import StorePlace, hdfs_place, open_store
from hansa.storage.progress import Progress


def store_place(config: NodeConfig, folder: Path) -> StorePlace:
    """Return where the store of a node lies, as `open_store` takes it.

    Raises:
        InvalidError, UnavailableError: no place of a store, or HDFS cannot be used here.
    """
    section = config.store
    if not is_hdfs(config):
        return store_folder(config, folder)
    return hdfs_place(
        url=section.url,
        replication=section.replication,
        user=section.user,
        conf_dir=_beside(folder, section.hadoop_conf_dir),
        kerberos_principal=section.kerberos_principal,
        kerberos_keytab=_beside(folder, section.kerberos_keytab),
        config=section.config,
    )


def owner_line(alliance: bytes, organisation: str) -> str:
    """Return the line by which a store knows whose it is."""
    return f"{alliance.hex()} {organisation}"


def move_store(
    folder: Path, url: str, *, clock: Clock, entropy: Entropy, progress: Progress
) -> MigrateReport:
    """Copy a stopped node's store to another place and have the node use that; resumable.

    Args:
        folder: the node's, locked by the caller.
        url: of the new place, as in node.toml; HDFS takes its other settings from there.
        clock: for outages of HDFS.
        entropy: for names of temporary files.
        progress: told of bytes.

    Raises:
        InvalidError: no URL of a store, or the very store that is in use.
        ConflictError: the place belongs to another organisation, or is in use.
        HansaError: the node still uses its old store; run it again.
    """
    config = load_config(folder)
    wanted = msgspec.structs.replace(config, store=msgspec.structs.replace(config.store, url=url))
    validate_store(wanted)
    if is_hdfs(wanted) == is_hdfs(config) and _place_text(wanted, folder) == _place_text(
        config, folder
    ):
        raise InvalidError(f"The node's store is at {config.store.url} already.")
    text = _switched((folder / CONFIG_FILE).read_text(encoding="utf-8"), wanted)
    owner = owner_line(_alliance(folder), config.organisation)
    with contextlib.ExitStack() as closing:
        stores: list[Store] = []
        for which in (config, wanted):
            opened = open_store(
                store_place(which, folder), owner, clock=clock, entropy=entropy, tell=_tell_operator
            )
            closing.callback(opened.close)
            stores.append(opened.store)
        report = migrate(stores[0], stores[1], progress)
    _replace_file(folder / CONFIG_FILE, text)
    return report


def _tell_operator(text: str) -> None:
    """Say what a store is waited for to who moves it."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def _alliance(folder: Path) -> bytes:
    try:
        return decode_genesis((folder / GENESIS_FILE).read_bytes()).digest()
    except FileNotFoundError as error:
        raise MissingError(f"{folder} has no {GENESIS_FILE}.") from error


def _place_text(config: NodeConfig, folder: Path) -> str:
    if is_hdfs(config):
        return config.store.url.rstrip("/")
    return str(store_folder(config, folder).resolve())


def _switched(text: str, wanted: NodeConfig) -> str:
    """Return the text of node.toml with another store.url; all else stays, comments too."""
    url = msgspec.json.encode(wanted.store.url).decode()
    lines, section = text.splitlines(keepends=True), ""
    for at, line in enumerate(lines):
        head = re.match(r"\s*\[([^\]]*)\]", line)
        if head:
            section = head[1].strip()
        if section == "store" and re.match(r"\s*url\s*=", line):
            lines[at] = f"url = {url}\n"
            break
    else:
        lines.append(f"\n[store]\nurl = {url}\n")
    switched = "".join(lines)
    try:
        is_right = decode_config(switched.encode()) == wanted
    except InvalidError:
        is_right = False
    if not is_right:
        raise ConflictError(
            f"{CONFIG_FILE} is written in a way that cannot be changed by a program.",
            remedy='Write the store\'s address on a line of its own below [store]: url = "…".',
        )
    return switched


def _replace_file(path: Path, text: str) -> None:
    """Replace a small file in one durable step."""
    temporary = path.with_suffix(".new")
    with temporary.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    descriptor = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _beside(folder: Path, name: str) -> str:
    """Return a path of node.toml as seen from the node's folder; empty stays empty."""
    return str(folder / name) if name else ""
