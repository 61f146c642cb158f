"""Sealing packs by age: what small publishes leave in the journal goes to the store when it is quiet.

A pack is sealed by itself when it is full. Where little is published it would wait for ever on the
node's own disk; so once nothing was added for a while, what is there is sealed, however small.
"""

import asyncio
from typing import Protocol

from structlog.typing import FilteringBoundLogger

from hansa import limits
from hansa.errors import HansaError
from hansa.ports import Workers


class Packs(Protocol):
    """The part of the chunk store that is needed here."""

    def waiting_bytes(self) -> int:
        """Return the bytes that are in no pack yet."""
        ...

    def flush(self) -> int:
        """Seal the packs begun, however small; return how many."""
        ...


class PackSealer:
    """Watches the journal; one for each node."""

    def __init__(
        self,
        packs: Packs,
        workers: Workers,
        log: FilteringBoundLogger,
        *,
        tick_s: float = limits.PACK_QUIET_S / 2,
    ) -> None:
        """Take the store; two looks that find the same, `tick_s` apart, are quiet enough."""
        self._packs = packs
        self._workers = workers
        self._log = log
        self._tick_s = tick_s
        self._seen = 0

    async def run(self) -> None:
        """Look now and then until cancelled. A store that cannot be written is tried again."""
        while True:
            await asyncio.sleep(self._tick_s)
            try:
                await self.look()
            except HansaError as error:
                self._log.warning("packs-not-sealed", code=error.code, message=error.message)

    async def look(self) -> int:
        """Seal what has waited since the last look without growing; return how many packs."""
        waiting = self._packs.waiting_bytes()
        is_quiet = 0 < waiting == self._seen
        self._seen = waiting
        if not is_quiet:
            return 0
        sealed = await self._workers.run(self._packs.flush)
        self._seen = self._packs.waiting_bytes()
        self._log.info("packs-sealed", packs=sealed, bytes=waiting)
        return sealed
