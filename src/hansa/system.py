"""The only clock, entropy and worker pool of a running program; everything else is handed these."""

import os
import secrets
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Self, TypeVar

from hansa.types import Millis

T = TypeVar("T")


class SystemClock:
    """The machine's clocks."""

    def now_ms(self) -> Millis:
        """Return wall-clock time; may jump."""
        return Millis(time.time_ns() // 1_000_000)

    def monotonic_ms(self) -> Millis:
        """Return time for timers; never goes back."""
        return Millis(time.monotonic_ns() // 1_000_000)

    def monotonic_us(self) -> int:
        """Return microseconds for measuring short work; never goes back."""
        return time.monotonic_ns() // 1_000


class SystemEntropy:
    """The machine's randomness."""

    def random_bytes(self, count: int) -> bytes:
        """Return `count` unpredictable bytes."""
        return secrets.token_bytes(count)


class WorkerPool:
    """Threads for work that would hold the event loop; hashing and ciphers release the interpreter."""

    def __init__(self, threads: int | None = None) -> None:
        """Make a pool of `threads`, by default one for each core, at most eight."""
        self._pool = ThreadPoolExecutor(threads or min(8, os.cpu_count() or 1), "hansa-worker")

    async def run(self, function: Callable[..., T], *arguments: object) -> T:
        """Run `function(*arguments)` in the pool; a cancel leaves it running to its end."""
        # Imported by whoever runs a loop; who has none pays for none.
        import asyncio  # noqa: PLC0415

        return await asyncio.get_running_loop().run_in_executor(self._pool, function, *arguments)

    def close(self) -> None:
        """Wait for running work and end the threads; what has not begun is dropped."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
