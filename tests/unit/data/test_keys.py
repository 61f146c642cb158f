"""Tests of hansa.data.keys."""

import pytest

from hansa.data.keys import derive_dedup_keys
from hansa.errors import InvalidError


def test_keys_are_pinned():
    """A change of the derivation loses every duplicate, so it is pinned."""
    keys = derive_dedup_keys(bytes(range(32)))
    assert keys.chunker_seed == 4612352386937107469
    assert keys.md5_key.hex()[:16] == "f177592196aae109"
    assert keys.sha1_key.hex()[:16] == "78261e4a6f32c440"
    assert keys.digest_key.hex()[:16] == "c59be39a2b3b99a2"


def test_uses_are_separate():
    """No two derived keys are alike, and another secret gives other keys."""
    one, other = derive_dedup_keys(bytes(32)), derive_dedup_keys(b"\x01" + bytes(31))
    assert len({one.md5_key, one.sha1_key, one.digest_key, other.md5_key}) == 4
    assert 0 < one.chunker_seed < 1 << 63
    assert one.chunker_seed != other.chunker_seed


def test_secret_is_never_printed():
    """Keys print masked."""
    keys = derive_dedup_keys(bytes(32))
    assert keys.digest_key.hex() not in repr(keys)
    assert repr(keys) == "DedupKeys(…)"


@pytest.mark.parametrize("length", [0, 31, 33])
def test_wrong_length_is_refused(length):
    """A secret has exactly 32 bytes."""
    with pytest.raises(InvalidError):
        derive_dedup_keys(bytes(length))
