"""Sealed transactions of own users, kept on disk until they are settled.

The agreement's core holds them in memory and forwards them to each new master; this is their second
leg: a node that dies between its answer and the block takes them up again. What is kept is the
ciphertext that came in, nothing opened. Submissions that come together share one write.

    sealed/<transaction>    SealedTransaction
"""

import asyncio
from collections.abc import Callable, Iterable

from hansa import limits
from hansa.chain.sealed import SealedTransaction
from hansa.codec import decode, encode
from hansa.errors import InvalidError, UnavailableError
from hansa.ports import Table, Workers
from hansa.types import Digest

SEALED = b"sealed/"


class DurableOutbox:
    """What was answered "pending" and is not settled, over a table."""

    def __init__(self, table: Table, workers: Workers) -> None:
        self._table = table
        self._workers = workers
        self._kept = {Digest(key[len(SEALED) :]) for key, _ in table.scan(SEALED)}
        self._waiting: list[SealedTransaction] = []
        self._writing = asyncio.Lock()

    def __len__(self) -> int:
        return len(self._kept) + len(self._waiting)

    async def keep(self, sealed: SealedTransaction) -> None:
        """Make a transaction durable; again is harmless. A cancel leaves it kept or not.

        Raises:
            UnavailableError: too many wait already. DiskFullError: it is not kept.
        """
        if len(self) >= limits.POOL_TRANSACTIONS_PER_ORGANISATION_MAX:
            raise UnavailableError(
                "Too many transactions wait at this node.", remedy="Try again in a few seconds."
            )
        self._waiting.append(sealed)
        async with self._writing:
            # Whoever came first has written for all who waited.
            if sealed.transaction in self._kept and sealed not in self._waiting:
                return
            batch, self._waiting = self._waiting, []
            rows = [(SEALED + item.transaction, encode(item)) for item in batch]
            await self._workers.run(self._table.write, rows)
            self._kept.update(item.transaction for item in batch)

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
