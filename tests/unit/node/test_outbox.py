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
    failures = 0
    """Writes that fail before the next one holds."""

    def write(self, changes) -> None:
        """Count and write."""
        if self.is_full or self.failures:
            self.failures = max(0, self.failures - 1)
            raise DiskFullError("The disk is full.")
        self.writes += 1
        super().write(changes)


def sealed(number: int) -> SealedTransaction:
    """Return a distinct sealed transaction."""
    digest = Digest(number.to_bytes(32, "big"))
    return SealedTransaction(
        2, Digest(bytes(32)), digest, PublicKey(bytes(32)), Height(9), b"ciphertext", ()
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


async def test_a_failed_write_fails_all_who_shared_it() -> None:
    """Nobody is told "kept" by a write that failed; the next write serves those who come then."""
    table = CountingTable()
    outbox = DurableOutbox(table, Direct())
    table.failures = 2  # of the first alone, and of the others together
    tried = [asyncio.ensure_future(outbox.keep(sealed(number))) for number in range(5)]
    done, _ = await asyncio.wait(tried, timeout=5)
    assert 5 == sum(isinstance(task.exception(), DiskFullError) for task in done)
    assert len(outbox) == 0
    await outbox.keep(sealed(7))
    assert [sealed(7)] == outbox.kept()


async def test_all_of_a_batch_return_together() -> None:
    """No turn of the loop for each: who shared a write goes on in the turn after it."""
    turns = 0
    outbox = DurableOutbox(MemoryTable(), Direct())
    tried = [asyncio.ensure_future(outbox.keep(sealed(number))) for number in range(200)]
    while not all(task.done() for task in tried):
        turns += 1
        await asyncio.sleep(0)
    assert turns < 20


async def test_a_cancelled_writer_leaves_nobody_behind() -> None:
    """Who waits for a write whose first comer was cancelled is kept all the same."""
    table = CountingTable()
    outbox = DurableOutbox(table, Direct())
    tried = [asyncio.ensure_future(outbox.keep(sealed(number))) for number in range(4)]
    await asyncio.sleep(0)
    tried[0].cancel()
    await asyncio.wait(tried, timeout=5)
    assert [sealed(1), sealed(2), sealed(3)] == [
        item for item in outbox.kept() if item != sealed(0)
    ]
    assert all(task.exception() is None for task in tried[1:])
