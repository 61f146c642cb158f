"""The deterministic doubles."""

from hansa.testing.doubles import FixedClock, SeededEntropy


def test_clock_stands_until_moved() -> None:
    """Both faces tell the same time, and only an assignment moves it."""
    clock = FixedClock(5)
    assert (clock.now_ms(), clock.monotonic_ms()) == (5, 5)
    clock.time_ms = 9
    assert (clock.now_ms(), clock.monotonic_ms()) == (9, 9)


def test_entropy_repeats_by_seed_and_never_within() -> None:
    """One seed gives one sequence; another seed or another draw gives other bytes."""
    first, again, other = SeededEntropy("a"), SeededEntropy("a"), SeededEntropy("b")
    drawn = [first.random_bytes(16) for _ in range(50)]
    assert drawn == [again.random_bytes(16) for _ in range(50)]
    assert len(set(drawn)) == 50
    assert other.random_bytes(16) not in drawn
