"""Transfers: one failure out of many tasks."""

import pytest

from hansa.client.transfers import no_progress, one_failure
from hansa.errors import MissingError, UnavailableError


def test_the_first_expected_failure_is_raised():
    """However deep it lies."""
    inner = ExceptionGroup("inner", [MissingError("first"), UnavailableError("second")])
    with pytest.raises(MissingError, match="first"), one_failure():
        raise ExceptionGroup("outer", [inner])
    no_progress(1, None)


def test_the_unexpected_is_never_hidden():
    """A defect beside an expected failure stays visible."""
    with pytest.raises(ExceptionGroup), one_failure():
        raise ExceptionGroup("outer", [MissingError("x"), ZeroDivisionError()])
