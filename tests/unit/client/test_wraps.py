"""Wraps: a data key opens for its holder, its version and its request alone."""

import pytest

from hansa.client.wraps import (
    build_wrap_set,
    decode_wraps,
    encode_confidential,
    open_data_key,
    open_note,
    seal_data_key,
    seal_notes,
    unwrap_data_key,
)
from hansa.codec import encode
from hansa.crypto.envelope import DecryptionKey
from hansa.crypto.sealing import seal
from hansa.errors import CorruptError, MissingError
from hansa.rest import UserView, compute_wrap_digest

READER, OTHER = DecryptionKey(b"r" * 32), DecryptionKey(b"o" * 32)
KEY, ROOT, REQUEST = b"k" * 32, b"m" * 32, b"q" * 16


def test_the_publishing_key_opens_its_own():
    """Another key, another manifest or a changed byte does not open."""
    sealed = seal_data_key(b"p" * 32, b"n" * 12, KEY, ROOT)
    assert open_data_key(b"p" * 32, sealed, ROOT) == KEY
    for publishing, wrap, root in (
        (b"x" * 32, sealed, ROOT),
        (b"p" * 32, sealed, b"x" * 32),
        (b"p" * 32, sealed[:-1] + b"?", ROOT),
        (b"p" * 32, seal(b"p" * 32, b"n" * 12, b"short", b"hansa.key-wrap.1" + ROOT), ROOT),
    ):
        with pytest.raises(CorruptError):
            open_data_key(publishing, wrap, root)


def test_a_grant_opens_for_its_requester():
    """Each version with its own key; another reader, root or request does not open."""
    wraps = build_wrap_set(
        REQUEST, b"s" * 32, READER.public, {2: (b"z" * 32, b"K" * 32), 1: (ROOT, KEY)}
    )
    assert [number for number, _ in wraps.wraps] == [1, 2]
    assert unwrap_data_key(wraps, 1, ROOT, READER) == KEY
    for root, key in ((ROOT, OTHER), (b"x" * 32, READER)):
        with pytest.raises(CorruptError):
            unwrap_data_key(wraps, 1, root, key)
    moved = type(wraps)(b"x" * 16, wraps.salt, wraps.wraps)
    with pytest.raises(CorruptError):
        unwrap_data_key(moved, 1, ROOT, READER)
    with pytest.raises(MissingError, match="version 3"):
        unwrap_data_key(wraps, 3, ROOT, READER)
    short = build_wrap_set(REQUEST, b"s" * 32, READER.public, {1: (ROOT, b"short")})
    with pytest.raises(CorruptError):
        unwrap_data_key(short, 1, ROOT, READER)


def test_only_the_wraps_that_the_grant_names_are_taken():
    """Those of another request, and others than the digest on the chain says, are refused."""
    wraps = build_wrap_set(REQUEST, b"s" * 32, READER.public, {1: (ROOT, KEY)})
    named = compute_wrap_digest(wraps)
    assert wraps == decode_wraps(encode(wraps), REQUEST, named)
    for request, digest in ((b"x" * 16, named), (REQUEST, b"x" * 32)):
        with pytest.raises(CorruptError, match="not those"):
            decode_wraps(encode(wraps), request, digest)


def test_a_note_opens_for_its_officer():
    """One note for each officer; nobody else's key opens it."""
    officers = [
        UserView(
            organisation="health",
            name="n",
            key=(bytes([index]) * 32).hex(),
            encryption_key=key.public.hex(),
            roles=[],
            status="active",
        )
        for index, key in enumerate((READER, OTHER))
    ]
    data = encode_confidential(b"s" * 32, "why", "who")
    first, second = seal_notes(REQUEST, "health", officers, data)
    part, opened = open_note(first, READER)
    assert (part.justification, part.contact, opened) == ("why", "who", data)
    with pytest.raises(CorruptError):
        open_note(second, READER)
