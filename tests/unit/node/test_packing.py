"""Packs are sealed when they are full, or once the journal is quiet, and not before."""

import asyncio
from collections.abc import Callable

import structlog
from structlog.testing import capture_logs

from hansa.errors import UnavailableError
from hansa.node.packing import PackSealer
from hansa.system import WorkerPool


class _Packs:
    def __init__(self) -> None:
        self.waiting = 0
        self.full = 0
        self.flushed: list[int] = []
        self.when_full: Callable[[], None] | None = None

    def waiting_bytes(self) -> int:
        return self.waiting

    def flush(self) -> int:
        self.flushed.append(self.waiting)
        self.waiting = 0
        return 1

    def seal_full(self) -> int:
        sealed, self.full = self.full, 0
        return sealed


async def _run_until(sealer: PackSealer, is_done: Callable[[], bool]) -> None:
    """Run a sealer until something is so."""
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        task = group.create_task(sealer.run())
        while not is_done():
            await asyncio.sleep(0.001)
        task.cancel()


async def test_quiet_chunks_are_sealed_once() -> None:
    """Growing: wait. Unchanged since the last look: seal. Empty: nothing to do."""
    packs = _Packs()
    with WorkerPool(1) as workers:
        sealer = PackSealer(packs, workers, structlog.get_logger())
        assert await sealer.look() == 0
        for size in (10, 20):
            packs.waiting = size
            assert await sealer.look() == 0
        assert await sealer.look() == 1
        assert packs.flushed == [20]
        assert [await sealer.look(), await sealer.look()] == [0, 0]


async def test_full_segments_are_sealed_at_once() -> None:
    """An upload's thread tells; no look is waited for. What was full at the start is sealed too."""
    packs = _Packs()
    packs.full = 1
    with WorkerPool(1) as workers:
        sealer = PackSealer(packs, workers, structlog.get_logger(), tick_s=1_000)

        def is_done() -> bool:
            if packs.when_full is None or packs.full:
                return False
            if not packs.waiting:
                packs.waiting, packs.full = 5, 2
                asyncio.get_running_loop().run_in_executor(None, packs.when_full)
                return False
            return True

        await _run_until(sealer, is_done)
    assert packs.flushed == []
    assert packs.when_full is None, "uploads seal themselves once nobody does it for them"


async def test_a_store_that_fails_is_tried_again() -> None:
    """A full disk is logged, and the next look tries again."""

    class Failing(_Packs):
        def flush(self) -> int:
            if not self.flushed:
                self.flushed.append(0)
                raise UnavailableError("The disk is full.")
            return super().flush()

    packs = Failing()
    packs.waiting = 5
    with WorkerPool(1) as workers, capture_logs() as logs:
        sealer = PackSealer(packs, workers, structlog.get_logger(), tick_s=0.001, retry_s=0.001)
        await _run_until(sealer, lambda: not packs.waiting)
    assert packs.flushed == [0, 5]
    assert logs[0]["event"] == "packs-not-sealed"


async def test_full_segments_are_tried_again_more_slowly(monkeypatch) -> None:
    """While the store is away the tries get rarer, whatever uploads tell; then all is sealed."""

    class Failing(_Packs):
        def seal_full(self) -> int:
            assert self.when_full is not None
            self.when_full()
            if len(self.flushed) < 4:
                self.flushed.append(0)
                raise UnavailableError("It is away.")
            return super().seal_full()

    packs = Failing()
    packs.full = 3
    waits: list[float] = []
    real = asyncio.sleep

    async def sleep(seconds: float) -> None:
        waits.append(seconds)
        await real(0)

    with WorkerPool(1) as workers:
        sealer = PackSealer(packs, workers, structlog.get_logger(), tick_s=1_000, retry_s=3.0)
        monkeypatch.setattr("hansa.node.packing.asyncio.sleep", sleep)
        await _run_until(sealer, lambda: not packs.full)
    assert [wait for wait in waits if wait >= 3] == [3, 6, 12, 24]
