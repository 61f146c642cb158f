"""Tests of node.outbox."""

import asyncio

import pytest

from hansa import limits
from hansa.chain.sealed import SealedTransaction
from hansa.errors import DiskFullError, UnavailableError
from hansa.node.outbox import SEALED, DurableOutbox
from hansa.storage.table import MemoryTable
from hansa.types import Digest, Height, PublicKey


class Direct:
    """Workers that work at once."""

    async def run(self, function, *arguments):
        """Run on the loop, after giving it back once."""
        await asyncio.sleep(0)
        return function(*arguments)


class CountingTable(MemoryTable):
    """Counts writes; fails when told to."""

    writes = 0
    is_full = False

    def write(self, changes) -> None:
        """Count and write."""
        if self.is_full:
            raise DiskFullError("The disk is full.")
        self.writes += 1
        super().write(changes)


def sealed(number: int) -> SealedTransaction:
    """Return a distinct sealed transaction."""
    digest = Digest(number.to_bytes(32, "big"))
    return SealedTransaction(
        1, Digest(bytes(32)), digest, PublicKey(bytes(32)), Height(9), b"ciphertext", ()
    )


async def test_kept_until_dropped() -> None:
    """What is kept is there after a restart, until it is settled."""
    table = MemoryTable()
    outbox = DurableOutbox(table, Direct())
    await outbox.keep(sealed(1))
    await outbox.keep(sealed(1))
    await outbox.keep(sealed(2))
    again = DurableOutbox(table, Direct())
    assert [sealed(1), sealed(2)] == again.kept()
    await again.sweep(lambda digest: digest == sealed(1).transaction)
    assert [sealed(2)] == DurableOutbox(table, Direct()).kept()
    assert len(again) == 1


async def test_one_write_for_many() -> None:
    """Submissions that come together share writes, and each is durable when its turn returns."""
    table = CountingTable()
    outbox = DurableOutbox(table, Direct())

    async def keep(number: int) -> None:
        await outbox.keep(sealed(number))
        assert table.get(SEALED + sealed(number).transaction) is not None

    async with asyncio.TaskGroup() as group:
        for number in range(50):
            group.create_task(keep(number))
    assert len(outbox.kept()) == 50
    assert table.writes <= 3


async def test_failures() -> None:
    """A full disk is told and nothing counts as kept; the bound holds; damage is dropped."""
    table = CountingTable()
    outbox = DurableOutbox(table, Direct())
    table.is_full = True
    with pytest.raises(DiskFullError):
        await outbox.keep(sealed(1))
    assert len(outbox) == 0
    table.is_full = False
    table.write([(SEALED + bytes(32), b"damaged")])
    assert outbox.kept() == []
    outbox._kept = {
        Digest(n.to_bytes(4, "big")) for n in range(limits.POOL_TRANSACTIONS_PER_ORGANISATION_MAX)
    }
    with pytest.raises(UnavailableError):
        await outbox.keep(sealed(2))
