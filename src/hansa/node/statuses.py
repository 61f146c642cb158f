"""Where each submitted transaction stands: a bounded register that callers may wait on."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterable

from hansa.chain.reasons import REASONS
from hansa.errors import MissingError
from hansa.rest import TransactionStatus
from hansa.types import Digest, Height

STATUSES_MAX = 50_000
PENDING = "pending"

Locate = Callable[[Digest], TransactionStatus | None]
"""Finds a transaction in the ledger: what is in a block is known for ever."""


def status_of(
    transaction: Digest, status: str, code: str = "", height: int = 0
) -> TransactionStatus:
    """Return a status with the text that belongs to its reason code."""
    return TransactionStatus(
        transaction=transaction.hex(),
        status=status,
        code=code,
        message=REASONS.get(code, "") if code else "",
        height=height,
    )


class Statuses:
    """What became of the transactions given to this node, newest kept; older ones the ledger tells."""

    def __init__(self, locate: Locate) -> None:
        self._locate = locate
        self._known: OrderedDict[Digest, TransactionStatus] = OrderedDict()
        self._changed: dict[Digest, asyncio.Event] = {}

    def __len__(self) -> int:
        return len(self._known)

    def pending_count(self) -> int:
        """Return how many transactions have no outcome yet."""
        return sum(status.status == PENDING for status in self._known.values())

    def submitted(self, transaction: Digest) -> TransactionStatus:
        """Enter a transaction as pending unless it is settled for good; return where it stands.

        After `expired` and `reseal` the same transaction may be given again.
        """
        known = self.get_or_none(transaction)
        if known is not None and known.status in {"committed", "refused", PENDING}:
            return known
        return self._enter(transaction, status_of(transaction, PENDING))

    def peek(self, transaction: Digest) -> TransactionStatus | None:
        """Return what was entered here, without asking the ledger."""
        return self._known.get(transaction)

    def enter_pending(self, transaction: Digest) -> None:
        """Enter a transaction that the caller knows to be in no block."""
        self._enter(transaction, status_of(transaction, PENDING))

    def settle(self, transaction: Digest, status: str, code: str, height: Height) -> None:
        """Enter an outcome and wake who waits for it."""
        known = self._known.get(transaction)
        if known is not None and known.height and not height:
            return  # What a block says outlives what a message said.
        self._enter(transaction, status_of(transaction, status, code, height))

    def settle_by_block(self, transaction: Digest) -> bool:
        """Enter what the block that holds a transaction says of it; tell whether there is one."""
        located = self._locate(transaction)
        if located is not None:
            self._enter(transaction, located)
        return located is not None

    def get_or_none(self, transaction: Digest) -> TransactionStatus | None:
        """Return where a transaction stands, or None if it was never seen."""
        known = self._known.get(transaction)
        if known is None or known.status == PENDING:
            located = self._locate(transaction)
            if located is not None:
                return located
        return known

    def get(self, transaction: Digest) -> TransactionStatus:
        """Return where a transaction stands.

        Raises:
            MissingError: this node never saw it and no block holds it.
        """
        known = self.get_or_none(transaction)
        if known is None:
            raise MissingError(
                "This node knows no such transaction.",
                remedy="It may have restarted since: submit the same transaction again.",
            )
        return known

    async def wait(self, transaction: Digest, wait_ms: int) -> TransactionStatus:
        """Return the status once it is settled, or as it stands after `wait_ms`.

        A cancel leaves nothing behind but an entry that the next outcome removes.
        """
        status = self.get(transaction)
        if status.status != PENDING or wait_ms <= 0:
            return status
        event = self._changed.setdefault(transaction, asyncio.Event())
        try:
            async with asyncio.timeout(wait_ms / 1000):
                await event.wait()
        except TimeoutError:
            pass
        return self.get(transaction)

    async def wait_all(
        self, transactions: Iterable[Digest], wait_ms: int
    ) -> list[TransactionStatus]:
        """Return the statuses once all are settled, or as they stand after `wait_ms`.

        A cancel leaves nothing behind but entries that the next outcomes remove.
        """
        wanted = list(transactions)
        try:
            async with asyncio.timeout(wait_ms / 1000):
                for transaction in wanted:
                    known = self._known.get(transaction)
                    if known is not None and known.status == PENDING:
                        await self._changed.setdefault(transaction, asyncio.Event()).wait()
        except TimeoutError:
            pass
        return [self.get(transaction) for transaction in wanted]

    def _enter(self, transaction: Digest, status: TransactionStatus) -> TransactionStatus:
        self._known[transaction] = status
        self._known.move_to_end(transaction)
        while len(self._known) > STATUSES_MAX:
            dropped, _ = self._known.popitem(last=False)
            self._wake(dropped)
        if status.status != PENDING:
            self._wake(transaction)
        return status

    def _wake(self, transaction: Digest) -> None:
        event = self._changed.pop(transaction, None)
        if event is not None:
            event.set()
