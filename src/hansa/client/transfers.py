"""Transfers: how many run at once, how progress is told, and which of several failures is reported."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from hansa.errors import HansaError

Progress = Callable[[int, int | None], None]
"""Called with bytes done and bytes to do (None if nobody knows), on the event loop's thread."""


def no_progress(_done: int, _total: int | None) -> None:
    """Tell nobody."""


@contextmanager
def one_failure() -> Iterator[None]:
    """Raise the first expected failure out of a group of tasks, instead of the group.

    Anything unexpected in the group is raised as the group: it must not be hidden.
    """
    try:
        yield
    except BaseExceptionGroup as group:
        expected, others = group.split(HansaError)
        if expected is None or others is not None:
            raise
        raise _first(expected) from group


def _first(group: BaseExceptionGroup[HansaError]) -> HansaError:
    error = group.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error
