"""How long work on a store tells how far it is, and is held back or stopped."""

from collections.abc import Callable

Progress = Callable[[str, int, int], None]
"""progress(phase, done, total): called after each small piece of work, units as the phase has them.

It may wait, so that uploads and reads go on beside, and it may raise to end the work: everything here
can be stopped after any piece and begun again.
"""


def no_progress(_phase: str, _done: int, _total: int) -> None:
    """Show nothing, wait for nobody."""
