"""Inside a simulation identical bytes are signed, verified and decoded once: the same answers, sooner.

Six nodes in one process check the same signature six times, and thousands of scripts start alike.
Ed25519 (RFC 8032) is deterministic, so an answer that was right once is right again; what is asked is
part of the key, so a forgery is checked like everything else. A message decoded is a frozen value: whoever
receives the same bytes may read the same one. A node remembers the votes and ERASED of its own past alone.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

import nacl.bindings

from hansa.chain import authenticated
from hansa.consensus import dialogue
from hansa.crypto import signing
from hansa.sim import checkers

ANSWERS_MAX = 200_000
MESSAGES_MAX = 4_000
"""A message arrives everywhere within some hundred others; one with a block is tens of KiB."""


@contextmanager
def remembered() -> Iterator[None]:
    """Remember signatures made and checked, places of keys in the state, messages, while inside."""
    opens, sign = signing.opens, nacl.bindings.crypto_sign
    place_of = authenticated.place_of
    readers = (vars(dialogue), vars(checkers))
    decoded = [names["decode_message"] for names in readers]
    signing.opens = lru_cache(ANSWERS_MAX)(opens)
    nacl.bindings.crypto_sign = lru_cache(ANSWERS_MAX)(sign)
    authenticated.place_of = lru_cache(ANSWERS_MAX)(place_of)
    decode_once = lru_cache(MESSAGES_MAX)(decoded[0])
    for names in readers:
        names["decode_message"] = decode_once
    try:
        yield
    finally:
        signing.opens, nacl.bindings.crypto_sign = opens, sign
        authenticated.place_of = place_of
        for names, plain in zip(readers, decoded, strict=True):
            names["decode_message"] = plain
