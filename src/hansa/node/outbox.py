"""Sealed transactions of own users that were answered "pending", kept on disk until they are settled.

The agreement's core holds them in memory and forwards them to each new master; this is their second
leg: a node that dies between its answer and the block takes them up again. What is kept is the
ciphertext that came in, nothing opened. Submissions that come together share one write, and all of
them return in the turn of the loop that follows it.

    sealed/<transaction>    SealedTransaction
"""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from hansa import limits
from hansa.chain.sealed import SealedTransaction
from hansa.codec import decode, encode
from hansa.errors import HansaError, InvalidError, UnavailableError
from hansa.ports import Table, Workers
from hansa.types import Digest

SEALED = b"sealed/"


@dataclass(slots=True, eq=False)
class _Batch:
    """Submissions that share one write; the first to come writes for all."""

    items: list[SealedTransaction] = field(default_factory=list)
    done: asyncio.Event = field(default_factory=asyncio.Event)
    error: HansaError | None = None


class DurableOutbox:
    """What was answered "pending" and is not settled, over a table."""

    def __init__(self, table: Table, workers: Workers) -> None:
        self._table = table
        self._workers = workers
        self._kept = {Digest(key[len(SEALED) :]) for key, _ in table.scan(SEALED)}
        self._batch = _Batch()
        self._writing = asyncio.Lock()

    def __len__(self) -> int:
        return len(self._kept) + len(self._batch.items)

    async def keep(self, *sealed: SealedTransaction) -> None:
        """Make transactions durable; again is harmless. A cancel leaves them kept or not.

        Raises:
            UnavailableError: too many wait already. DiskFullError: it is not kept.
        """
        if len(self) + len(sealed) > limits.POOL_TRANSACTIONS_PER_ORGANISATION_MAX:
            raise UnavailableError(
                "Too many transactions wait at this node.", remedy="Try again in a few seconds."
            )
        while True:
            batch = self._batch
            is_first = not batch.items
            batch.items.extend(sealed)
            if is_first:
                await self._write(batch)
                return
            await batch.done.wait()
            if batch.error is not None:
                raise batch.error
            if self._kept.issuperset(item.transaction for item in sealed):
                return
            # Whoever should have written was cancelled: once more, with those who still wait.

    async def _write(self, batch: _Batch) -> None:
        """Write a batch once the one before it is written, and wake all of it at once."""
        try:
            async with self._writing:
                self._batch = _Batch()  # who comes from now on shares the next write
                rows = [(SEALED + item.transaction, encode(item)) for item in batch.items]
                await self._workers.run(self._table.write, rows)
                self._kept.update(item.transaction for item in batch.items)
        except HansaError as error:
            batch.error = error
            raise
        finally:
            if self._batch is batch:
                self._batch = _Batch()
            batch.done.set()

    def kept(self) -> list[SealedTransaction]:
        """Return what is kept, to be submitted again after a restart; what is damaged is dropped."""
        found = []
        for key, value in list(self._table.scan(SEALED)):
            try:
                found.append(decode(SealedTransaction, value))
            except InvalidError:
                self.drop([Digest(key[len(SEALED) :])])
        return found

    def drop(self, transactions: Iterable[Digest]) -> None:
        """Forget what is settled."""
        gone = list(transactions)
        if gone:
            self._table.write([(SEALED + transaction, None) for transaction in gone])
            self._kept.difference_update(gone)

    async def sweep(self, is_settled: Callable[[Digest], bool]) -> None:
        """Forget all that is settled."""
        await self._workers.run(self.drop, [item for item in self._kept if is_settled(item)])
