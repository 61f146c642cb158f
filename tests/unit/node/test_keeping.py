"""Tests of node.keeping: one job at a time, told of, cut short when the node stops, by schedule."""

import asyncio
import contextlib
import threading

import pytest
import structlog

from hansa.errors import ConflictError, CorruptError, MissingError
from hansa.node.keeping import HOUR_MS, JOBS_KEPT_MAX, Keeper
from hansa.rest import CheckReport, StoreJobRequest
from hansa.system import WorkerPool
from hansa.testing.doubles import FixedClock

CHECK = StoreJobRequest(work="check")
COLLECT = StoreJobRequest(work="collect")
REPORT = CheckReport(packs=1, chunks=2, bytes_read=3, problems=[], damaged_datasets=[])


class Work:
    """A job whose pieces the test lets through one by one."""

    def __init__(self, clock) -> None:
        self.clock = clock
        self.go_on = threading.Semaphore(0)
        self.requests = []
        self.error = None
        self.last = 0
        self.prepared = 0

    def prepare(self):
        """Count."""
        self.prepared += 1

    def do(self, request, progress):
        """Work in pieces until let through three times."""
        self.requests.append(request)
        for done in range(1, 4):
            progress("pieces", done, 3)
            while not self.go_on.acquire(timeout=0.01):
                progress("pieces", done, 3)
        if self.error:
            raise self.error
        self.last = self.clock.now_ms()
        return REPORT

    def collected_ms(self):
        """Return when it last ended."""
        return self.last


@contextlib.asynccontextmanager
async def running(work, **options):
    """Run a keeper beside the test."""
    with WorkerPool(1) as workers:
        keeper = Keeper(
            work, workers, work.clock, structlog.get_logger(), **{"collect_every_h": 0} | options
        )
        async with asyncio.TaskGroup() as group:
            task = group.create_task(keeper.run())
            try:
                yield keeper
            finally:
                task.cancel()


@pytest.fixture
def work():
    """Work over a clock that stands still."""
    return Work(FixedClock())


async def test_a_job_from_start_to_end(work):
    """It is told of while it runs, and its report is kept."""
    async with running(work) as keeper:
        job = keeper.start(CHECK)
        assert ("running", 1, 0) == (job.status, job.number, job.ended_ms)
        seen = await keeper.wait(1, 30)
        assert ("running", "pieces", 3) == (seen.status, seen.phase, seen.total)
        for _ in range(3):
            work.go_on.release()
        done = await keeper.wait(1, 5_000)
        assert ("done", REPORT, 3) == (done.status, done.check, done.done)
        assert [done] == keeper.jobs()
        assert work.prepared == 1
        with pytest.raises(MissingError):
            keeper.job(2)


async def test_one_at_a_time(work):
    """The same asked for again is the running one; another is refused until it ended."""
    async with running(work) as keeper:
        first = keeper.start(CHECK)
        assert first.number == keeper.start(CHECK).number
        with pytest.raises(ConflictError, match="check"):
            keeper.start(COLLECT)
        for _ in range(3):
            work.go_on.release()
        await keeper.wait(1, 5_000)
        assert keeper.start(COLLECT).number == 2


async def test_a_failure_is_told_and_ends_only_the_job(work):
    """Code, message and remedy are kept; the next job runs."""
    work.error = CorruptError("Nothing was collected.", remedy="Repair.")
    async with running(work) as keeper:
        for number in (1, 2):
            keeper.start(COLLECT)
            for _ in range(3):
                work.go_on.release()
            job = await keeper.wait(number, 5_000)
            assert ("failed", "corrupt", "Nothing was collected.", "Repair.") == (
                job.status, job.code, job.message, job.remedy,
            )  # fmt: skip
            work.error = None if number == 2 else work.error
        assert [2, 1] == [job.number for job in keeper.jobs()]


async def test_stopping_cuts_a_job_short(work):
    """The node's end does not wait for a long job."""
    async with running(work) as keeper:
        keeper.start(CHECK)
        await keeper.wait(1, 30)
    assert work.requests == [CHECK]


async def test_collections_by_the_clock(work):
    """One is due when the last ended long enough ago; none while the node is told never to."""
    for _ in range(30):
        work.go_on.release()
    work.clock.time_ms = 100 * HOUR_MS
    work.last = 99 * HOUR_MS
    async with running(work, collect_every_h=0, tick_s=0.001) as keeper:
        await asyncio.sleep(0.02)
        assert keeper.jobs() == []
    async with running(work, collect_every_h=2, tick_s=0.001) as keeper:
        await asyncio.sleep(0.02)
        assert keeper.jobs() == []
        work.clock.time_ms += HOUR_MS
        async with asyncio.timeout(5):
            while not keeper.jobs() or keeper.jobs()[0].status == "running":
                await asyncio.sleep(0.001)
        await asyncio.sleep(0.02)
        assert [COLLECT] == [job.request for job in keeper.jobs()]


async def test_old_jobs_are_forgotten(work):
    """A bounded number is kept."""
    for _ in range(3 * (JOBS_KEPT_MAX + 2)):
        work.go_on.release()
    async with running(work) as keeper:
        for number in range(1, JOBS_KEPT_MAX + 3):
            keeper.start(CHECK)
            assert (await keeper.wait(number, 5_000)).status == "done"
        assert JOBS_KEPT_MAX == len(keeper.jobs())
