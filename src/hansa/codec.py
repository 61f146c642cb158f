"""Canonical bytes of each signed, stored or sent value, and digests over them.

MessagePack with structs as arrays (fixed field order, no maps, no floats). One value has one
encoding: what is received is accepted only if encoding the decoded value gives the same bytes, so
non-minimal integers, long headers and trailing bytes are refused (reliability rule: hash and verify
the bytes received).
"""

import hashlib
from typing import TypeVar

import msgspec

from hansa.errors import InvalidError
from hansa.types import Digest

T = TypeVar("T")

_encoder = msgspec.msgpack.Encoder()
_decoders: dict[object, msgspec.msgpack.Decoder[object]] = {}


def encode(value: object) -> bytes:
    """Return the canonical bytes of a struct, tuple, integer, text or bytes."""
    return _encoder.encode(value)


def decode(kind: type[T], data: bytes, *, bytes_max: int | None = None) -> T:
    """Return the value of `kind` that `data` is the canonical encoding of.

    Args:
        kind: a struct type, or a tagged union of such.
        data: the bytes as received; they are not copied and not kept.
        bytes_max: refuse longer input before decoding it.

    Raises:
        InvalidError: too long, malformed, of another kind, or not canonical.
    """
    if bytes_max is not None and len(data) > bytes_max:
        raise InvalidError(f"A message of {len(data)} bytes is longer than {bytes_max} allowed.")
    decoder = _decoders.get(kind)
    if decoder is None:
        decoder = _decoders[kind] = msgspec.msgpack.Decoder(kind)
    try:
        value: T = decoder.decode(data)  # type: ignore[assignment]
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise InvalidError(f"Malformed bytes: {error}") from error
    if _encoder.encode(value) != data:
        raise InvalidError("Malformed bytes: not the canonical encoding.")
    return value


def digest(tag: str, *parts: bytes | bytearray) -> Digest:
    """Return SHA-256 over a domain tag and length-prefixed parts, 32 bytes.

    The tag separates uses, so a digest of one kind is never one of another; the lengths make the
    split into parts unambiguous.
    """
    state = hashlib.sha256()
    name = tag.encode()
    state.update(len(name).to_bytes(1, "big") + name)
    for part in parts:
        state.update(len(part).to_bytes(8, "big"))
        state.update(part)
    return Digest(state.digest())
