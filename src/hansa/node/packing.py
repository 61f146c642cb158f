"""Sealing packs beside uploads: full ones at once, begun ones when it is quiet.

A full segment is handed over by the upload that filled it, and sealed here while uploads go on in the
next one. Where little is published a pack would never get full and wait for ever on the node's own
disk; so once nothing was added for a while, what is there is sealed, however small. A store that does
not take a pack is tried again, ever more slowly; until then everything stays durable and readable.
"""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Protocol

from structlog.typing import FilteringBoundLogger

from hansa import limits
from hansa.errors import HansaError
from hansa.ports import Workers


class Packs(Protocol):
    """The part of the chunk store that is needed here."""

    when_full: Callable[[], None] | None
    """Called from any thread when a segment is full."""

    def waiting_bytes(self) -> int:
        """Return the bytes that are in no pack yet."""
        ...

    def flush(self) -> int:
        """Seal the packs begun, however small; return how many."""
        ...

    def seal_full(self) -> int:
        """Seal the segments that are full; return how many."""
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
        retry_s: float = limits.PACK_RETRY_S_MIN,
    ) -> None:
        """Take the store; two looks that find the same, `tick_s` apart, are quiet enough.

        Args:
            packs: the chunk store.
            workers: where sealing runs.
            log: of the node.
            tick_s: seconds between two looks.
            retry_s: seconds after a first failure; doubled with each further one.
        """
        self._packs = packs
        self._workers = workers
        self._log = log
        self._tick_s = tick_s
        self._retry_s = retry_s
        self._failures = 0
        self._seen = 0
        self._full = asyncio.Event()

    async def run(self) -> None:
        """Seal until cancelled. A store that cannot be written is tried again."""
        loop = asyncio.get_running_loop()

        def wake() -> None:
            # The loop may be closing while a last upload ends: the next start seals what is full.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(self._full.set)

        self._packs.when_full = wake
        # What was full before is sealed now.
        self._full.set()
        try:
            while True:
                is_quiet_time = not await self._wait()
                try:
                    await self._seal_full()
                    if is_quiet_time:
                        await self.look()
                    self._failures = 0
                except HansaError as error:
                    self._failures += 1
                    self._log.warning("packs-not-sealed", code=error.code, message=error.message)
        finally:
            self._packs.when_full = None

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

    async def _wait(self) -> bool:
        """Wait for a full segment (True), or for the time of a look or of another try (False)."""
        if self._failures:
            tries = min(self._failures - 1, 16)
            await asyncio.sleep(min(self._retry_s * 2**tries, limits.PACK_QUIET_S))
            return False
        try:
            async with asyncio.timeout(self._tick_s):
                await self._full.wait()
        except TimeoutError:
            return False
        return True

    async def _seal_full(self) -> None:
        self._full.clear()
        sealed = await self._workers.run(self._packs.seal_full)
        if sealed:
            self._log.info("packs-sealed", packs=sealed)
