"""Every store keeps the contract: memory, local folder, real HDFS."""

import pytest

from hansa.storage.local import LocalStore
from hansa.storage.memory import MemoryStore
from hansa.testing.store_contract import StoreContract
from tests.hdfs import open_hdfs_store, own_folder


class TestMemoryStore(StoreContract):
    """The plain model."""

    @pytest.fixture
    def store(self):
        """Return an empty store."""
        return MemoryStore()


class TestLocalStore(StoreContract):
    """A folder on disk."""

    @pytest.fixture
    def store(self, tmp_path):
        """Return an empty store in a folder of its own."""
        opened = LocalStore(tmp_path / "store", "city/transport")
        yield opened
        opened.close()


@pytest.mark.slow
@pytest.mark.timeout(300)
class TestHdfsStore(StoreContract):
    """A folder of a real HDFS: a NameNode and three DataNodes."""

    @pytest.fixture
    def store(self, hdfs):
        """Return an empty store in a folder of its own."""
        opened = open_hdfs_store(own_folder(hdfs))
        yield opened
        opened.close()
