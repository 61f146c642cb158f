"""Tests of hansa.rest.transactions: transactions and blocks survive their encoding, what is not known is refused."""

from hansa.rest import transactions
from tests.unit.rest.examples import check, values_of


@values_of(transactions)
def test_each_kind(kind):
    """There and back; a field missing, more or wrong is refused."""
    check(kind)
