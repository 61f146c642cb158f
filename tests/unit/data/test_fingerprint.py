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


# The first 320 bytes of the two files of Stevens, Bursztein, Karpman, Albertini & Markov (2017): one SHA-1.
_SHATTERED_HEAD = (
    "255044462d312e330a25e2e3cfd30a0a0a312030206f626a0a3c3c2f57696474"
    "682032203020522f4865696768742033203020522f547970652034203020522f"
    "537562747970652035203020522f46696c7465722036203020522f436f6c6f72"
    "53706163652037203020522f4c656e6774682038203020522f42697473506572"
    "436f6d706f6e656e7420383e3e0a73747265616d0affd8fffe00245348412d31"
    "20697320646561642121212121852fec092339759c39b1a1c63c4c97e1fffe01"
)
_SHATTERED_TAILS = (
    "7f46dc93a6b67e013b029aaa1db2560b45ca67d688c7f84b8c4c791fe02b3df6"
    "14f86db1690901c56b45c1530afedfb76038e972722fe7ad728f0e4904e046c2"
    "30570fe9d41398abe12ef5bc942be33542a4802d98b5d70f2a332ec37fac3514"
    "e74ddc0f2cc1a874cd0c78305a21566461309789606bd0bf3f98cda8044629a1",
    "7346dc9166b67e118f029ab621b2560ff9ca67cca8c7f85ba84c79030c2b3de2"
    "18f86db3a90901d5df45c14f26fedfb3dc38e96ac22fe7bd728f0e45bce046d2"
    "3c570feb141398bb552ef5a0a82be331fea48037b8b5d71f0e332edf93ac3500"
    "eb4ddc0decc1a864790c782c76215660dd309791d06bd0af3f98cda4bc4629b1",
)


def shattered_pair():
    """Return both messages."""
    return tuple(bytes.fromhex(_SHATTERED_HEAD + tail) for tail in _SHATTERED_TAILS)


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


def test_shattered_pair_is_real():
    """The inline pair collides under plain SHA-1."""
    first, second = shattered_pair()
    assert first != second
    assert hashlib.sha1(first).digest() == hashlib.sha1(second).digest()


def test_a_collision_is_none_of_ours():
    """Keyed fingerprints and digests of a collision differ, in both halves."""
    for first, second in (wang_pair(), shattered_pair()):
        one, other = compute_fingerprint(KEYS, first), compute_fingerprint(KEYS, second)
        assert one[:16] != other[:16]
        assert one[16:] != other[16:]
        assert compute_chunk_id(KEYS, first) != compute_chunk_id(KEYS, second)


def test_collision_stays_apart_without_keys():
    """With the keys switched off one half collides, but neither the pair nor the digest does."""
    for first, second in (wang_pair(), shattered_pair()):
        pairs = [hashlib.md5(m).digest() + hashlib.sha1(m).digest() for m in (first, second)]
        assert pairs[0] != pairs[1]
        assert (pairs[0][:16] == pairs[1][:16]) != (pairs[0][16:] == pairs[1][16:])
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
