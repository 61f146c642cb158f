"""Tests of hansa.rest.reads: what is asked and answered survives its encoding."""

from hansa.errors import ERRORS_BY_CODE
from hansa.rest import reads
from tests.unit.rest.examples import check, values_of


@values_of(reads)
def test_each_kind(kind):
    """There and back; a field missing, more or wrong is refused."""
    check(kind)


def test_marks_are_no_errors():
    """What an answer says of a version that is put off is never taken for a failure."""
    assert not {reads.LARGE, reads.LATER, ""} & set(ERRORS_BY_CODE)
