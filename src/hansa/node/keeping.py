"""Keeping the store: check, collect and repair as long work beside uploads and reads, one at a time.

The work runs in a thread of its own; after each small piece it tells how far it is, waits a little (so
that it takes at most two thirds of a core and of the disk) and looks whether the node stops. A
collection also runs by itself, every `store.collect_every_h` hours.
"""

import asyncio
import threading
from collections import OrderedDict
from typing import Protocol

import msgspec
from structlog.typing import FilteringBoundLogger

from hansa.errors import ConflictError, HansaError, MissingError, UnavailableError
from hansa.ports import Clock, Workers
from hansa.rest import CheckReport, CollectReport, RepairReport, StoreJob, StoreJobRequest
from hansa.storage.progress import Progress

JOBS_KEPT_MAX = 16
TICK_S = 60
HOUR_MS = 3_600_000
PAUSE_S_MAX = 0.05
Report = CheckReport | CollectReport | RepairReport


class Storekeeping(Protocol):
    """The work itself."""

    def prepare(self) -> None:
        """Look at what belongs to the event loop; called on it just before `do`."""
        ...

    def do(self, request: StoreJobRequest, progress: Progress) -> Report:
        """Do one job to its end; called in a worker thread.

        Raises:
            HansaError: it ended early; the store is sound.
        """
        ...

    def collected_ms(self) -> int:
        """Return when the last collection ended; 0 if none did."""
        ...


class Keeper:
    """Runs the jobs of one node's store."""

    def __init__(
        self,
        work: Storekeeping,
        workers: Workers,
        clock: Clock,
        log: FilteringBoundLogger,
        *,
        collect_every_h: int,
        tick_s: float = TICK_S,
    ) -> None:
        """Take the parts.

        Args:
            work: what a job does.
            workers: a pool with a thread for it; not the one that uploads and reads run in.
            clock: for times and pauses.
            log: told of each job's end.
            collect_every_h: hours between collections; 0: only when asked.
            tick_s: how often the schedule is looked at.
        """
        self._work = work
        self._workers = workers
        self._clock = clock
        self._log = log
        self._every_ms = collect_every_h * HOUR_MS
        self._tick_s = tick_s
        self._jobs: OrderedDict[int, StoreJob] = OrderedDict()
        self._running: int | None = None
        self._wanted = asyncio.Event()
        self._ended = asyncio.Event()
        self._stopping = threading.Event()
        self._count = 0

    def start(self, request: StoreJobRequest) -> StoreJob:
        """Begin a job; the same one asked for again while it runs is returned as it is.

        Raises:
            ConflictError: another job runs.
        """
        if self._running is not None:
            job = self._jobs[self._running]
            if job.request == request:
                return job
            raise ConflictError(
                f"A {job.request.work} of the store is running ({job.phase}).",
                remedy="Wait for its end, then ask again.",
            )
        self._count += 1
        job = StoreJob(
            number=self._count,
            request=request,
            status="running",
            phase="begin",
            done=0,
            total=0,
            started_ms=self._clock.now_ms(),
            ended_ms=0,
        )
        self._jobs[job.number] = job
        while len(self._jobs) > JOBS_KEPT_MAX:
            self._jobs.popitem(last=False)
        self._running = job.number
        self._ended.clear()
        self._wanted.set()
        return job

    def jobs(self) -> list[StoreJob]:
        """Return the last jobs, newest first."""
        return list(reversed(self._jobs.values()))

    def job(self, number: int) -> StoreJob:
        """Return a job.

        Raises:
            MissingError: there is none with this number since the node started.
        """
        found = self._jobs.get(number)
        if found is None:
            raise MissingError(
                f"There is no job {number}.", remedy="Jobs are forgotten when the node restarts."
            )
        return found

    async def wait(self, number: int, wait_ms: int) -> StoreJob:
        """Return a job once it ended, or after `wait_ms` as it is then."""
        if self.job(number).status == "running":
            try:
                async with asyncio.timeout(wait_ms / 1000):
                    await self._ended.wait()
            except TimeoutError:
                pass
        return self.job(number)

    async def run(self) -> None:
        """Do what is asked for, and collect by the clock, until cancelled."""
        try:
            while True:
                try:
                    async with asyncio.timeout(self._tick_s):
                        await self._wanted.wait()
                except TimeoutError:
                    if self._is_due():
                        self.start(StoreJobRequest(work="collect"))
                self._wanted.clear()
                if self._running is not None:
                    await self._do(self._running)
        finally:
            # The thread ends at its next look; the pool waits for it when it is closed.
            self._stopping.set()

    def _is_due(self) -> bool:
        if not self._every_ms or self._running is not None:
            return False
        return self._clock.now_ms() - self._work.collected_ms() >= self._every_ms

    async def _do(self, number: int) -> None:
        request = self._jobs[number].request
        self._log.info("store-job-started", work=request.work, number=number)
        self._work.prepare()
        try:
            report = await self._workers.run(self._work.do, request, self._progress(number))
        except HansaError as error:
            self._log.warning(
                "store-job-failed", work=request.work, code=error.code, message=error.message
            )
            self._end(number, error)
        else:
            figures = {
                name: value
                for name, value in msgspec.structs.asdict(report).items()
                if isinstance(value, int)
            }
            self._log.info("store-job-done", work=request.work, **figures)
            self._end(number, report)

    def _end(self, number: int, outcome: Report | HansaError) -> None:
        changes: dict[str, object] = {"status": "done", "ended_ms": self._clock.now_ms()}
        if isinstance(outcome, HansaError):
            changes |= {
                "status": "failed",
                "code": outcome.code,
                "message": outcome.message,
                "remedy": outcome.remedy,
            }
        elif isinstance(outcome, CheckReport):
            changes["check"] = outcome
        elif isinstance(outcome, CollectReport):
            changes["collect"] = outcome
        else:
            changes["repair"] = outcome
        self._jobs[number] = msgspec.structs.replace(self._jobs[number], **changes)
        self._running = None
        self._ended.set()

    def _progress(self, number: int) -> Progress:
        """Return what the work calls, in its thread, after each piece."""
        before = self._clock.monotonic_ms()

        def tell(phase: str, done: int, total: int) -> None:
            nonlocal before
            took_s = (self._clock.monotonic_ms() - before) / 1000
            job = msgspec.structs.replace(
                self._jobs[number], phase=phase, done=done, total=max(done, total)
            )
            self._jobs[number] = job
            if self._stopping.wait(min(took_s / 2, PAUSE_S_MAX)):
                raise UnavailableError(
                    "The node is stopping; the work was cut short.", remedy="Begin it again."
                )
            before = self._clock.monotonic_ms()

        return tell
