"""The contract suite itself: it fails for stores that break it."""

from collections.abc import Callable, Iterable

import pytest

from hansa.errors import HansaError
from hansa.storage.memory import MemoryStore
from hansa.testing.store_contract import StoreContract


class _LosesHalf(MemoryStore):
    """Keeps half of what it was given."""

    def put(self, name: str, parts: Iterable[bytes]) -> int:
        data = b"".join(parts)
        super().put(name, [data[: len(data) // 2]])
        return len(data)


class _ListsNothing(MemoryStore):
    """Finds nothing, whatever is there."""

    def list(self, prefix: str):
        return iter(())


class _KeepsBroken(MemoryStore):
    """Leaves an object behind whose source broke off."""

    def put(self, name: str, parts: Iterable[bytes]) -> int:
        kept = []
        try:
            kept.extend(parts)
        finally:
            size = super().put(name, kept)
        return size


class _Overwrites(MemoryStore):
    """Takes other bytes under a name that is there."""

    def put(self, name: str, parts: Iterable[bytes]) -> int:
        self.delete(name)
        return super().put(name, parts)


def _checks() -> list[str]:
    return [name for name in dir(StoreContract) if name.startswith("test_")]


def _plain(name: str) -> Callable[..., None] | None:
    """Return a check that needs a store alone."""
    check = getattr(StoreContract, name)
    wanted = check.__code__.co_varnames[: check.__code__.co_argcount]
    return check if wanted == ("self", "store") else None


@pytest.mark.parametrize("broken", [_LosesHalf, _ListsNothing, _KeepsBroken])
def test_a_broken_store_fails(broken: type[MemoryStore]) -> None:
    """At least one check of the contract finds each way of breaking it."""
    failed = []
    for name in _checks():
        check = _plain(name)
        if check is None:
            continue
        try:
            check(StoreContract(), broken())
        except (AssertionError, HansaError, pytest.fail.Exception):
            failed.append(name)
    assert failed


def test_an_overwriting_store_fails() -> None:
    """Immutability is checked with other bytes of equal and of other length."""
    with pytest.raises(pytest.fail.Exception):
        StoreContract().test_objects_are_immutable(_Overwrites(), b"other")


def test_a_good_store_passes() -> None:
    """The memory store keeps every check."""
    for name in _checks():
        check = _plain(name)
        if check is not None:
            check(StoreContract(), MemoryStore())
