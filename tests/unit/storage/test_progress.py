"""Tests of hansa.storage.progress."""

from hansa.storage.progress import Progress, no_progress


def test_no_progress_never_ends_work():
    """It takes what every progress is told, and lets go on."""
    progress: Progress = no_progress
    assert [None, None] == [progress("phase", done, 2) for done in (1, 2)]
