"""A real HDFS for tests: started once for a run, tied to it, with a folder of its own for each test."""

import getpass
import itertools
import os
import re
from collections import Counter
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlencode
from urllib.request import urlopen

import psutil
import pytest

from hansa.cli.hdfs import HdfsCluster
from hansa.cli.hdfs.configuration import SUPERUSER
from hansa.cli.hdfs.jars import why_not
from hansa.errors import MissingError
from hansa.storage.hdfs import HdfsSettings, HdfsStore
from hansa.system import SystemClock, SystemEntropy

REPLICATION = 2
OWNER = "city transport"
_numbers = itertools.count()


def begin_cluster(folder: Path, *, datanodes: int = 3) -> HdfsCluster:
    """Start a cluster that ends with this process; skip where there is no Java, but never under CI."""
    refuse_without_hadoop()
    try:
        return HdfsCluster(folder, tied=True).start(datanodes=datanodes, replication=REPLICATION)
    except MissingError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))


def own_folder(cluster: HdfsCluster) -> str:
    """Make a folder that belongs to who runs the tests; return its URL."""
    path = f"/test-{next(_numbers)}"
    cluster.web.make_folder(path, getpass.getuser())
    return f"{cluster.url}{path}"


def settings_for(url: str, **changes: object) -> HdfsSettings:
    """Return settings of a store in the test cluster."""
    return HdfsSettings(**{"url": url, "replication": REPLICATION, **changes})


def open_hdfs_store(url: str, owner: str = OWNER, **options: object) -> HdfsStore:
    """Open a store in the test cluster."""
    return HdfsStore(
        settings_for(url), owner, clock=SystemClock(), entropy=SystemEntropy(), **options
    )


def refuse_without_hadoop() -> None:
    """Skip where there is no Java; under CI that is a failure."""
    reason = why_not()
    if reason and not os.environ.get("CI"):
        pytest.skip(reason)


def block_files(cluster: HdfsCluster, number: int) -> list[Path]:
    """Return the block files on one DataNode's disk, those being written too."""
    return list((cluster.folder / f"datanode-{number}").rglob("blk_*"))


def is_whole(cluster: HdfsCluster, figures: dict) -> bool:
    """Tell whether all DataNodes live and each block of a file has its replicas, complete, on their disks.

    The NameNode's word is not enough: it believes in a dead DataNode's replicas for some seconds. Nor
    are the disks: what is left there of files that were given up goes when the NameNode comes to it.
    """
    if figures.get("NumLiveDataNodes") != 3 or figures.get("NumStaleDataNodes"):
        return False
    replicas = Counter(
        path.name
        for number in range(3)
        for path in block_files(cluster, number)
        if "finalized" in path.parts and path.suffix != ".meta"
    )
    return all(
        min(block.live, replicas[block.name]) >= REPLICATION for block in blocks_of_files(cluster)
    )


class FileBlock(NamedTuple):
    """A block of a file, as the NameNode tells it; a file has one unless it is longer than a block."""

    path: str
    name: str
    bytes: int
    live: int


def blocks_of_files(cluster: HdfsCluster) -> list[FileBlock]:
    """Return the blocks of all files, those being written too, as the NameNode's fsck tells them."""
    query = urlencode({"ugi": SUPERUSER, "path": "/", "files": 1, "blocks": 1, "openforwrite": 1})
    with urlopen(f"{cluster.web.url}/fsck?{query}", timeout=30) as answer:
        told = answer.read().decode()
    assert "Status:" in told, told[:500]
    blocks, path = [], ""
    for line in told.splitlines():
        if file := re.match(r"(/.*) \d+ bytes, ", line):
            path = file[1]
        if block := re.search(r"(blk_\d+)_\d+ len=(\d+) .*?Live_repl=(\d+)", line):
            blocks.append(FileBlock(path, block[1], int(block[2]), int(block[3])))
    return blocks


def flip_byte(path: Path, offset: int) -> None:
    """Change one bit of a file, as a failing disk does."""
    with path.open("r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ 1]))


def processes_below(folder: Path) -> list[str]:
    """Return the commands of all processes that name a folder or what lies in it as a word."""
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        words = process.info["cmdline"] or []
        if process.info["status"] != "zombie" and any(_names(word, folder) for word in words):
            found.append(" ".join(words))
    return found


def _names(word: str, folder: Path) -> bool:
    """Tell whether a word of a command is a path, or a setting with a path, in a folder."""
    return "\n" not in word and re.search(rf"{re.escape(str(folder))}(/|$)", word) is not None
