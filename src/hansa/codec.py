"""Canonical bytes of each signed, stored or sent value, and digests over them.

MessagePack with structs as arrays (fixed field order, no maps, no floats). One value has one
encoding: what is received is accepted only if encoding the decoded value gives the same bytes, so
non-minimal integers, long headers and trailing bytes are refused (reliability rule: hash and verify
the bytes received).
"""

import hashlib
from collections.abc import Callable
from typing import Any, Generic, TypeVar, overload

import msgspec

from hansa.errors import InvalidError
from hansa.types import Digest

T = TypeVar("T")

_encoder = msgspec.msgpack.Encoder()
_marks: dict[str, bytes] = {}
"""What a digest begins with, by its tag; tags are constants of the program."""
JOINED_BYTES_MAX = 4096
"""A part up to this length is hashed in one call, copied; a longer one in place."""
_decoders: dict[object, msgspec.msgpack.Decoder[object]] = {}


class derived(Generic[T]):  # noqa: N801 - used like a decorator
    """An attribute derived at its first use from a value that never changes; no part of its encoding.

    As `functools.cached_property`, without the lock that this one takes before Python 3.12: two threads
    at once derive the same.
    """

    def __init__(self, derive: Callable[[Any], T]) -> None:
        self._derive = derive
        self._name = derive.__name__
        self.__doc__ = derive.__doc__

    @overload
    def __get__(self, value: None, owner: type) -> "derived[T]": ...

    @overload
    def __get__(self, value: object, owner: type) -> T: ...

    def __get__(self, value: object, owner: type) -> "T | derived[T]":
        """Derive, and put the outcome where it is found before this is asked again."""
        if value is None:
            return self
        found = value.__dict__[self._name] = self._derive(value)
        return found


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
    mark = _marks.get(tag)
    if mark is None:
        name = tag.encode()
        mark = _marks[tag] = len(name).to_bytes(1, "big") + name
    # What is in a buffer to be overwritten is never copied.
    if len(parts) == 1 and type(part := parts[0]) is bytes and len(part) <= JOINED_BYTES_MAX:
        return Digest(hashlib.sha256(mark + len(part).to_bytes(8, "big") + part).digest())
    state = hashlib.sha256(mark)
    for part in parts:
        state.update(len(part).to_bytes(8, "big"))
        state.update(part)
    return Digest(state.digest())
