"""Tests of hansa.storage.memory beyond the contract (tests/contract/test_stores.py)."""

from hansa.storage.memory import MemoryStore


def test_objects_can_be_damaged_by_tests():
    """The dictionary behind it is open to tests that damage it."""
    store = MemoryStore()
    store.put("a", [b"bytes"])
    store.objects["a"] = b"bites"
    assert store.get("a") == b"bites"
