"""A real HDFS for tests: started once for a run, tied to it, with a folder of its own for each test."""

import getpass
import itertools
import os
from pathlib import Path

import pytest

from hansa.cli.hdfs import HdfsCluster
from hansa.cli.hdfs.jars import why_not
from hansa.errors import MissingError
from hansa.storage.hdfs import HdfsSettings, HdfsStore
from hansa.system import SystemClock, SystemEntropy

REPLICATION = 2
OWNER = "city transport"
_numbers = itertools.count()


def begin_cluster(folder: Path, *, datanodes: int = 3) -> HdfsCluster:
    """Start a cluster that ends with this process; skip where there is no Java, but never under CI."""
    reason = why_not()
    if reason and not os.environ.get("CI"):
        pytest.skip(reason)
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
