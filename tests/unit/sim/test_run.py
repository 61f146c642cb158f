"""A run as a whole."""

from hansa.sim.run import run


def test_a_report_tells_how_to_repeat() -> None:
    """Seed and settings are in the replay line."""
    report = run(3, byzantine=1, chaos_ms=500)
    assert () == report.violations
    assert "--first-seed 3" in report.replay
    assert "--byzantine 1" in report.replay
    assert report.committed >= 3
    assert report.height > 0
