"""Tests of hansa.storage.hdfs.calls: deadlines, and outages that are waited out once for all."""

import threading

import pytest

from hansa import limits
from hansa.errors import DeniedError, DiskFullError, UnavailableError
from hansa.storage.hdfs.calls import BoundedCalls, Patience, Pulse
from hansa.storage.hdfs.failures import AwayError, LateError
from hansa.testing.doubles import FixedClock, SeededEntropy

AWAY = OSError("Connection refused")


@pytest.fixture
def calls():
    """Return bounded calls, two at a time."""
    made = BoundedCalls(2)
    yield made
    made.close()


class QuickPatience(Patience):
    """Waits without waiting: each pause moves the clock."""

    def __init__(self) -> None:
        self.clock = FixedClock()
        self.told: list[str] = []
        super().__init__(self.clock, SeededEntropy(), self.told.append)
        quick = self

        class Closing:
            def __init__(self) -> None:
                self.is_closed = False
                self.pauses: list[float] = []

            def wait(self, seconds: float) -> bool:
                self.pauses.append(seconds)
                quick.clock.time_ms += int(seconds * 1000) + 1
                return self.is_closed

            def is_set(self) -> bool:
                return self.is_closed

            def set(self) -> None:
                self.is_closed = True

        self._closing = Closing()  # type: ignore[assignment]


def test_results_and_errors_come_back(calls) -> None:
    """What the function returns or raises is what the caller gets, on a thread that is kept."""
    assert calls.run(lambda: 7, 1000) == 7
    names = {calls.run(lambda: threading.current_thread().name, 1000) for _ in range(3)}
    assert len(names) == 1
    with pytest.raises(ValueError, match="bad"):
        calls.run(lambda: int("bad"), 1000)


def test_a_late_call_is_left(calls) -> None:
    """The caller goes on at the deadline; the thread is of use again once the call has ended."""
    release = threading.Event()
    for _ in range(2):
        with pytest.raises(LateError):
            calls.run(lambda: release.wait(20), 10)
    with pytest.raises(UnavailableError, match="2 calls"):
        calls.run(lambda: 1, 1000)
    release.set()
    for _ in range(1000):
        try:
            assert calls.run(lambda: 1, 1000) == 1
            break
        except UnavailableError:
            threading.Event().wait(0.001)
    else:
        pytest.fail("no thread came back")


def test_a_transfer_that_stands_still_is_given_up(calls, monkeypatch) -> None:
    """As long as something moves it has its whole deadline; when nothing does it ends early."""
    monkeypatch.setattr(limits, "HDFS_STALL_MS_MAX", 60)
    release = threading.Event()
    pulse = Pulse()

    def move() -> int:
        for _ in range(8):
            release.wait(0.03)
            pulse.beat()
        return pulse.beats

    assert calls.run(move, 60_000, pulse) == 8
    still = Pulse()

    def hang_after_one() -> None:
        still.beat()
        release.wait(20)
        still.beat()

    with pytest.raises(LateError):
        calls.run(hang_after_one, 60_000, still)
    assert still.is_cancelled
    release.set()
    with pytest.raises(LateError):
        still.beat()


def test_what_a_failed_call_held_is_dropped_by_its_thread(calls) -> None:
    """A writer that fails is dropped before the caller sees the error: its destructor may hang."""
    dropped_by: list[str] = []

    class Writer:
        def __del__(self) -> None:
            dropped_by.append(threading.current_thread().name)

    def write() -> None:
        writer = Writer()
        assert writer
        raise OSError("failed")

    with pytest.raises(OSError, match="failed"):
        calls.run(write, 1000)
    assert dropped_by == ["hansa-hdfs"]


def test_closed_calls_are_refused(calls) -> None:
    """After closing nothing more is taken, and no thread stays."""
    calls.run(lambda: 1, 1000)
    calls.close()
    with pytest.raises(UnavailableError, match="closed"):
        calls.run(lambda: 1, 1000)


def test_what_passes_is_tried_again() -> None:
    """An outage is told once, waited out with growing pauses, and its end told."""
    patience = QuickPatience()
    left = [AWAY] * 5

    def operation() -> str:
        if left:
            assert patience.waiting_for == "" or "reached" in patience.waiting_for
            raise left.pop()
        return "done"

    assert patience.attempt(operation, "object a") == "done"
    assert len(patience.told) == 2
    assert "cannot be reached" in patience.told[0]
    assert "Waiting for at most" in patience.told[0]
    assert "answers again" in patience.told[1]
    assert patience.waiting_for == ""
    pauses = patience._closing.pauses
    assert len(pauses) == 5
    assert pauses[-1] > pauses[0]
    assert max(pauses) <= limits.HDFS_BACKOFF_MS_MAX / 1000


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ('RPCError("a.AccessControlException", "no")', DeniedError),
        ('RPCError("a.DSQuotaExceededException", "full")', DiskFullError),
    ],
)
def test_what_is_permanent_is_raised_at_once(text: str, kind: type[Exception]) -> None:
    """Denied and quota used up are not tried again."""
    patience = QuickPatience()
    tried: list[int] = []

    def operation() -> None:
        tried.append(1)
        raise RuntimeError(text)

    with pytest.raises(kind):
        patience.attempt(operation, "object a")
    assert tried == [1]


def test_an_outage_is_waited_out_once() -> None:
    """The first call waits the whole bound; those that come later fail soon, until one succeeds."""
    patience = QuickPatience()

    def away() -> None:
        raise AWAY

    with pytest.raises(AwayError):
        patience.attempt(away, "object a")
    waited_ms = patience.clock.time_ms - 1_000_000
    assert limits.HDFS_OUTAGE_MS_MAX <= waited_ms <= limits.HDFS_OUTAGE_MS_MAX + 5_000
    before = len(patience._closing.pauses)
    with pytest.raises(AwayError):
        patience.attempt(away, "object b")
    assert len(patience._closing.pauses) == before
    assert patience.attempt(lambda: 1, "object b") == 1
    with pytest.raises(AwayError):
        patience.attempt(away, "object c")
    assert len(patience._closing.pauses) > before


def test_patience_ends_for_what_never_passes() -> None:
    """A failure that is no outage is tried for as long as asked, then raised as it is."""
    patience = QuickPatience()

    def fails() -> None:
        raise UnavailableError("No DataNode.")

    with pytest.raises(UnavailableError, match="No DataNode"):
        patience.attempt(fails, "object a", 1_000)
    assert 1_000 <= patience.clock.time_ms - 1_000_000 < 4_000
    assert patience.told == []


def test_strange_errors_and_closing_end_the_waiting() -> None:
    """An error of our own is not tried again, and closing ends a wait."""
    patience = QuickPatience()
    with pytest.raises(KeyError):
        patience.attempt(lambda: {}["x"], "object a")
    patience.close()
    with pytest.raises(AwayError):
        patience.attempt(_refuse, "object a")


def _refuse() -> None:
    raise AWAY
