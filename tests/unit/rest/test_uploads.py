"""Tests of hansa.rest.uploads: chunks, manifests and wraps survive their encoding, what is not known is refused."""

from hansa.rest import uploads
from hansa.rest.uploads import WrapSet, compute_wrap_digest
from tests.unit.rest.examples import check, values_of


@values_of(uploads)
def test_each_kind(kind):
    """There and back; a field missing, more or wrong is refused."""
    check(kind)


def test_wrap_digest_binds_all():
    """Another request, salt or wrap gives another digest."""
    base = WrapSet(b"r" * 16, b"s" * 32, ((1, b"w"),))
    others = [
        WrapSet(b"q" * 16, b"s" * 32, ((1, b"w"),)),
        WrapSet(b"r" * 16, b"t" * 32, ((1, b"w"),)),
        WrapSet(b"r" * 16, b"s" * 32, ((2, b"w"),)),
        WrapSet(b"r" * 16, b"s" * 32, ((1, b"v"),)),
    ]
    assert len({compute_wrap_digest(value) for value in (base, *others)}) == 5
