"""The system's clock, entropy and worker pool."""

import threading

import pytest

from hansa.system import SystemClock, SystemEntropy, WorkerPool


def test_clock_never_goes_back() -> None:
    """Monotonic time is ordered, wall-clock time is of this century."""
    clock = SystemClock()
    first = clock.monotonic_ms()
    assert first <= clock.monotonic_ms()
    assert clock.monotonic_us() // 1_000_000 == pytest.approx(first / 1000, abs=5)
    assert clock.now_ms() > 1_700_000_000_000


def test_entropy_gives_what_is_asked() -> None:
    """The length is right and two draws differ."""
    entropy = SystemEntropy()
    assert len(entropy.random_bytes(32)) == 32
    assert entropy.random_bytes(16) != entropy.random_bytes(16)


async def test_pool_runs_in_another_thread_and_raises() -> None:
    """Work runs off the loop's thread; its error is the caller's."""
    with WorkerPool(1) as pool:
        assert await pool.run(threading.get_ident) != threading.get_ident()
        with pytest.raises(ZeroDivisionError):
            await pool.run(divmod, 1, 0)
