"""Reports of misdeeds."""

from hansa.consensus.faults import REPORTS_PER_HEIGHT_MAX, FaultLog
from hansa.types import PublicKey


def test_each_is_reported_once_a_height(context) -> None:
    """A peer cannot fill the operator's log."""
    faults, who = FaultLog(context), context.super_peers()[0]
    faults.report("malformed", who, "a")
    faults.report("malformed", who, "b")
    assert ["a"] == [item.detail for item in context.take_effects()]
    context.height += 1
    faults.report("malformed", who, "c")
    assert ["c"] == [item.detail for item in context.take_effects()]


def test_reports_are_bounded(context) -> None:
    """However many peers misbehave."""
    faults = FaultLog(context)
    for number in range(2 * REPORTS_PER_HEIGHT_MAX):
        faults.report("malformed", PublicKey(number.to_bytes(32, "big")), "")
    assert REPORTS_PER_HEIGHT_MAX == len(context.take_effects())
