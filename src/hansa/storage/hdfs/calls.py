"""Calls that may hang, under a deadline; and a store that is away, waited out.

A call of the library cannot be interrupted: a NameNode that hangs holds it for ever. So it runs on a
thread of its own, and who asked goes on when its time is over; the thread is of use again once the
call ends after all. Threads are daemons: a call that hangs does not keep the process from ending.
"""

import threading
import traceback
from collections.abc import Callable
from queue import SimpleQueue
from typing import Generic, TypeVar

from hansa import limits
from hansa.errors import DiskFullError, HansaError, UnavailableError
from hansa.ports import Clock, Entropy
from hansa.storage.hdfs.failures import AwayError, LateError, explain, is_expected

T = TypeVar("T")


class _Call(Generic[T]):
    """One call, and what became of it."""

    def __init__(self, function: Callable[[], T]) -> None:
        self.function = function
        self.done = threading.Event()
        self.result: list[T] = []
        self.error: BaseException | None = None


class Pulse:
    """Between a long transfer and who waits for it: that something moved, that nobody waits any more."""

    def __init__(self) -> None:
        """Nothing moved yet."""
        self.beats = 0
        self.is_cancelled = False

    def beat(self) -> None:
        """Tell that something moved.

        Raises:
            LateError: nobody waits any more; the transfer shall end.
        """
        if self.is_cancelled:
            raise LateError
        self.beats += 1


class BoundedCalls:
    """Runs calls on threads that it keeps, each with a deadline. Thread-safe."""

    def __init__(self, calls_max: int = limits.HDFS_CALLS_MAX) -> None:
        """Start no thread yet.

        Args:
            calls_max: calls under way at a time, those whose time is over included.
        """
        self._calls_max = calls_max
        self._lock = threading.Lock()
        self._idle: list[SimpleQueue[_Call[object] | None]] = []
        self._threads = 0
        self._is_closed = False

    def run(self, function: Callable[[], T], deadline_ms: int, pulse: Pulse | None = None) -> T:
        """Return what `function()` returns.

        Args:
            function: called on another thread.
            deadline_ms: how long it may take.
            pulse: of a transfer that moves piece by piece: it is given up early if nothing moves.

        Raises:
            LateError: it did not end in time; it runs on, and what it returns is dropped.
            UnavailableError: too many calls hang already.
            BaseException: what it raised.
        """
        call = _Call(function)
        self._worker().put(call)  # type: ignore[arg-type]
        _wait(call.done, deadline_ms, pulse)
        if call.error is not None:
            try:
                raise call.error
            finally:
                call.error = None  # else it would hold this frame, and this frame it
        return call.result[0]

    def close(self) -> None:
        """End the threads that are idle, and the others when their call ends."""
        with self._lock:
            self._is_closed = True
            idle, self._idle = self._idle, []
        for worker in idle:
            worker.put(None)

    def _worker(self) -> SimpleQueue[_Call[object] | None]:
        with self._lock:
            if self._is_closed:
                raise UnavailableError("The store is closed.")
            if self._idle:
                return self._idle.pop()
            if self._threads >= self._calls_max:
                raise UnavailableError(
                    f"{self._threads} calls to HDFS are under way or hang.",
                    remedy="Look whether the NameNode and the DataNodes answer.",
                )
            self._threads += 1
        worker: SimpleQueue[_Call[object] | None] = SimpleQueue()
        threading.Thread(target=self._work, args=(worker,), name="hansa-hdfs", daemon=True).start()
        return worker

    def _work(self, worker: SimpleQueue[_Call[object] | None]) -> None:
        while (call := worker.get()) is not None:
            try:
                call.result.append(call.function())
            except BaseException as error:  # noqa: BLE001 - handed to who asked; a panic is one too
                # Frames hold what the call opened: a writer is dropped here, and holds up nobody.
                traceback.clear_frames(error.__traceback__)
                call.error = error
            with self._lock:
                is_wanted = not self._is_closed
                if is_wanted:
                    self._idle.append(worker)
            call.done.set()
            del call  # what it holds, a writer or a reader, must not live until the next call
            if not is_wanted:
                break
        with self._lock:
            self._threads -= 1


def _wait(done: threading.Event, deadline_ms: int, pulse: Pulse | None) -> None:
    """Wait for the end of a call.

    Raises:
        LateError: it did not come in time, or nothing moved for HDFS_STALL_MS_MAX.
    """
    left_ms, seen = deadline_ms, -1
    while left_ms > 0:
        slice_ms = left_ms if pulse is None else min(left_ms, limits.HDFS_STALL_MS_MAX)
        if done.wait(slice_ms / 1000):
            return
        left_ms -= slice_ms
        if pulse is not None:
            if pulse.beats == seen:
                break
            seen = pulse.beats
    if pulse is not None:
        pulse.is_cancelled = True
    raise LateError


class Patience:
    """Tries again what may yet succeed, with growing pauses; an outage is waited out once for all.

    How long is counted from the first call that found the store away: later calls do not each wait
    their full time, so a node whose store is gone answers its users soon, and does not pile up work.
    """

    def __init__(self, clock: Clock, entropy: Entropy, tell: Callable[[str], None]) -> None:
        """Wait for nothing yet.

        Args:
            clock: measures outages.
            entropy: spreads the pauses of many callers.
            tell: is told once when an outage begins, and once when it is over.
        """
        self._clock = clock
        self._entropy = entropy
        self._tell = tell
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._away_since_ms: int | None = None
        self.outage_ms_max: int | None = None
        """How long an outage is waited out; None: HDFS_OUTAGE_MS_MAX."""
        self.waiting_for = ""
        """What is waited out just now; empty if nothing is."""

    def attempt(self, operation: Callable[[], T], what: str, patience_ms: int | None = None) -> T:
        """Return what `operation()` returns, once it does.

        Args:
            operation: does all of it anew at each call.
            what: named in errors.
            patience_ms: how long it is tried anew, whatever fails; by default as long as an outage.

        Raises:
            HansaError: it failed for good, or for longer than there is patience.
            BaseException: whatever else it raises.
        """
        if patience_ms is None:
            patience_ms = self._outage_ms()
        started_ms = self._clock.monotonic_ms()
        pause_ms = limits.HDFS_BACKOFF_MS_MIN
        while True:
            try:
                result = operation()
            except BaseException as error:
                failure = error if isinstance(error, HansaError) else None
                if failure is None:
                    if not is_expected(error):
                        raise
                    failure = explain(error, what)
                self._refuse(failure, error, started_ms, patience_ms)
            else:
                self._note_success()
                return result
            if self._closing.wait(self._spread(pause_ms) / 1000):
                raise UnavailableError("The store is closed.")
            pause_ms = min(2 * pause_ms, limits.HDFS_BACKOFF_MS_MAX)

    def close(self) -> None:
        """End all waiting."""
        self._closing.set()

    def _refuse(
        self, failure: HansaError, error: BaseException, started_ms: int, patience_ms: int
    ) -> None:
        """Raise what trying again does not mend, or no more."""
        cause = None if error is failure else error
        if not failure.retryable or isinstance(failure, DiskFullError):
            raise failure from cause
        now_ms = self._clock.monotonic_ms()
        since_ms = self._note_outage(failure) if isinstance(failure, AwayError) else now_ms
        if (
            now_ms - started_ms >= patience_ms
            or now_ms - since_ms >= self._outage_ms()
            or self._closing.is_set()
        ):
            raise failure from cause

    def _note_outage(self, failure: HansaError) -> int:
        """Return since when the store is away."""
        with self._lock:
            is_new = self._away_since_ms is None
            if self._away_since_ms is None:
                self._away_since_ms = self._clock.monotonic_ms()
            since_ms = self._away_since_ms
            self.waiting_for = failure.message
        if is_new:
            self._tell(f"{failure} Waiting for at most {self._outage_ms() // 1000} s.")
        return since_ms

    def _outage_ms(self) -> int:
        return limits.HDFS_OUTAGE_MS_MAX if self.outage_ms_max is None else self.outage_ms_max

    def _note_success(self) -> None:
        if self._away_since_ms is None:
            return
        with self._lock:
            since_ms, self._away_since_ms = self._away_since_ms, None
            self.waiting_for = ""
        if since_ms is not None:
            away_ms = self._clock.monotonic_ms() - since_ms
            self._tell(f"HDFS answers again, after {away_ms / 1000:.1f} s.")

    def _spread(self, pause_ms: int) -> int:
        """Return between half and all of a pause."""
        share = int.from_bytes(self._entropy.random_bytes(2), "big")
        return pause_ms // 2 + pause_ms * share // (2 * 65_536)
