"""Packs are sealed once the journal is quiet, and not before."""

import structlog
from structlog.testing import capture_logs

from hansa.errors import UnavailableError
from hansa.node.packing import PackSealer
from hansa.system import WorkerPool


class _Packs:
    def __init__(self) -> None:
        self.waiting = 0
        self.flushed: list[int] = []

    def waiting_bytes(self) -> int:
        return self.waiting

    def flush(self) -> int:
        self.flushed.append(self.waiting)
        self.waiting = 0
        return 1


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
        sealer = PackSealer(packs, workers, structlog.get_logger(), tick_s=0.001)
        import asyncio

        async with asyncio.TaskGroup() as group:
            task = group.create_task(sealer.run())
            while packs.waiting:
                await asyncio.sleep(0.001)
            task.cancel()
    assert packs.flushed == [0, 5]
    assert logs[0]["event"] == "packs-not-sealed"
