"""Tests of hansa.rest.nodes: what a node says of itself and of members survive their encoding, what is not known is refused."""

from hansa.rest import nodes
from tests.unit.rest.examples import check, values_of


@values_of(nodes)
def test_each_kind(kind):
    """There and back; a field missing, more or wrong is refused."""
    check(kind)
