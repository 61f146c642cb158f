"""Tests of hansa.data.fingerprint, with published collisions."""

import hashlib
import hmac

from blake3 import blake3

from hansa.data.fingerprint import FINGERPRINT_BYTES, compute_chunk_id, compute_fingerprint
from hansa.data.keys import derive_dedup_keys

KEYS = derive_dedup_keys(b"k" * 32)

# The two 128-byte messages of Wang, Feng, Lai & Yu (CRYPTO 2004 rump session): one MD5, two contents.
_WANG = (
    "d131dd02c5e6eec4693d9a0698aff95c2fcab58712467eab4004583eb8fb7f89"
    "55ad340609f4b30283e488832571415a085125e8f7cdc99fd91dbdf280373c5b"
    "d8823e3156348f5bae6dacd436c919c6dd53e2b487da03fd02396306d248cda0"
    "e99f33420f577ee8ce54b67080a80d1ec69821bcb6a8839396f9652b6ff72a70"
)
_CHANGED = {19: 0x80, 45: 0x80, 59: 0x80, 83: 0x80, 109: 0x80, 123: 0x80}


def wang_pair():
    """Return both messages."""
    first = bytes.fromhex(_WANG)
    second = bytes(byte ^ _CHANGED.get(at, 0) for at, byte in enumerate(first))
    return first, second


def test_wang_pair_is_real():
    """The inline pair collides under plain MD5."""
    first, second = wang_pair()
    assert first != second
    assert hashlib.md5(first).digest() == hashlib.md5(second).digest()


def test_collision_of_md5_is_none_of_ours():
    """Keyed fingerprints and digests of an MD5 collision differ, in both halves."""
    first, second = wang_pair()
    one, other = compute_fingerprint(KEYS, first), compute_fingerprint(KEYS, second)
    assert one[:16] != other[:16]
    assert one[16:] != other[16:]
    assert compute_chunk_id(KEYS, first) != compute_chunk_id(KEYS, second)


def test_collision_stays_apart_without_keys():
    """With the keys switched off the MD5 half collides, but neither the pair nor the digest does."""
    first, second = wang_pair()
    pairs = [hashlib.md5(m).digest() + hashlib.sha1(m).digest() for m in (first, second)]
    assert pairs[0] != pairs[1]
    assert blake3(first).digest() != blake3(second).digest()


def test_form():
    """The pair is HMAC-MD5 then HMAC-SHA1; the id is keyed BLAKE3."""
    found = compute_fingerprint(KEYS, b"chunk")
    assert len(found) == FINGERPRINT_BYTES == 36
    assert found[:16] == hmac.new(KEYS.md5_key, b"chunk", "md5").digest()
    assert found[16:] == hmac.new(KEYS.sha1_key, b"chunk", "sha1").digest()
    assert compute_chunk_id(KEYS, b"chunk") == blake3(b"chunk", key=KEYS.digest_key).digest()


def test_profile_blake3_drops_the_pair():
    """Profile `blake3` keeps no fingerprint."""
    assert compute_fingerprint(KEYS, b"chunk", "blake3") == b""


def test_another_organisation_has_other_names():
    """The same content is named differently under another secret, and not by a plain hash."""
    other = derive_dedup_keys(b"o" * 32)
    assert compute_chunk_id(KEYS, b"chunk") != compute_chunk_id(other, b"chunk")
    assert compute_fingerprint(KEYS, b"chunk") != compute_fingerprint(other, b"chunk")
    assert hashlib.md5(b"chunk").digest() not in compute_fingerprint(KEYS, b"chunk")
