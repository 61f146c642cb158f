"""The tree of errors: stable codes, statuses, exit codes; messages that say what to do."""

from hansa.errors import (
    ERRORS_BY_CODE,
    DeniedError,
    DiskFullError,
    HansaError,
    UnauthenticatedError,
    UnavailableError,
)


def tree(kind: type[HansaError]) -> set[type[HansaError]]:
    """Return a class and all below it."""
    return {kind}.union(*(tree(below) for below in kind.__subclasses__()))


def test_every_error_has_its_code() -> None:
    """Codes are unique and all of them can be found."""
    ours = {kind for kind in tree(HansaError) if kind.__module__ == "hansa.errors"}
    assert ours == set(ERRORS_BY_CODE.values())
    for code, kind in ERRORS_BY_CODE.items():
        assert code == kind.code
        assert 400 <= kind.http_status <= 599


def test_exit_codes_by_class() -> None:
    """Classes a script may tell apart differ; 0 and 2 stay the shell's and the parser's."""
    direct = [kind.exit_code for kind in HansaError.__subclasses__()]
    assert len(direct) == len(set(direct))
    assert not {0, 1, 2} & set(direct)
    assert DeniedError.exit_code == UnauthenticatedError.exit_code


def test_only_unavailable_is_worth_a_retry() -> None:
    """Whoever retries does so by class."""
    retryable = {kind for kind in ERRORS_BY_CODE.values() if kind.retryable}
    assert {UnavailableError, DiskFullError} == retryable


def test_text() -> None:
    """Message and remedy, without a trailing space if there is none."""
    assert "It broke. Mend it." == str(HansaError("It broke.", remedy="Mend it."))
    assert "It broke." == str(HansaError("It broke."))
    assert ("It broke.", "Mend it.") == (
        HansaError("It broke.", remedy="Mend it.").message,
        HansaError("It broke.", remedy="Mend it.").remedy,
    )
