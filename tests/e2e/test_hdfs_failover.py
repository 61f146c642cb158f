"""A store on a nameservice of two NameNodes: the active one is killed, the other takes over, nothing is lost."""

import getpass
import itertools
import random
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from hansa.storage.hdfs import HdfsSettings, HdfsStore
from hansa.system import SystemClock, SystemEntropy
from tests.hdfs import OWNER, REPLICATION, refuse_without_hadoop
from tests.hdfs_pair import NAMESERVICE, NameNodePair

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]
PACK_BYTES = 3_000_000


@pytest.fixture
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NameNodePair]:
    """Two NameNodes, the first active; a folder of the store's own."""
    refuse_without_hadoop()
    with NameNodePair(tmp_path_factory.mktemp("pair") / "hdfs") as pair:
        pair.web("nn1").make_folder("/transport", getpass.getuser())
        yield pair


def test_the_active_namenode_dies(pair: NameNodePair) -> None:
    """Writes and reads under way wait for the other; what was acknowledged is there, also after a way back."""
    told: list[str] = []
    settings = HdfsSettings(
        url=f"hdfs://{NAMESERVICE}/transport",
        replication=REPLICATION,
        conf_dir=str(pair.conf_dir),
    )
    store = HdfsStore(
        settings, OWNER, clock=SystemClock(), entropy=SystemEntropy(), tell=told.append
    )
    chance = random.Random(5)
    packs = {f"packs/aa/{number:02}": chance.randbytes(PACK_BYTES) for number in range(10)}
    written: list[str] = []
    with ThreadPoolExecutor(3) as pool:

        def begin_puts(count: int) -> list[Future[int]]:
            some = list(itertools.islice(packs.items(), len(written), len(written) + count))
            written.extend(name for name, _ in some)
            return [pool.submit(store.put, name, [data]) for name, data in some]

        for active, other in (("nn1", "nn2"), ("nn2", "nn1")):
            for future in begin_puts(2):
                future.result()
            pair.kill(active)
            waiting = begin_puts(3)
            pair.make_active(other)
            for future in waiting:
                future.result()
            pair.start(active)
            pair.wait_until_standby(active)
    for name in written:
        assert store.get(name) == packs[name]
    assert sorted(store.list("packs/")) == written
    assert any("cannot be reached" in text or "standby" in text for text in told), told
    store.close()
