"""Every store keeps the contract: memory and local folder (other stores join the list)."""

import pytest

from hansa.storage.local import LocalStore
from hansa.storage.memory import MemoryStore
from hansa.testing.store_contract import StoreContract


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
