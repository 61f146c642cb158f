"""Tests of hansa.rest.datasets: datasets and requests survive their encoding, what is not known is refused."""

from hansa.rest import datasets
from tests.unit.rest.examples import check, values_of


@values_of(datasets)
def test_each_kind(kind):
    """There and back; a field missing, more or wrong is refused."""
    check(kind)
