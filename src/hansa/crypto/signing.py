"""Ed25519 signatures (RFC 8032): the one signer and the one verifier of the whole system.

Two verifiers disagree on edge cases, which is enough to split a chain; so there is one, and inputs
on which libraries differ (small-order points, non-canonical encodings) are refused before it.
"""

import nacl.signing
from nacl._sodium import ffi, lib  # type: ignore[import-not-found]
from typing_extensions import override

from hansa.errors import InvalidError
from hansa.types import PublicKey, Signature

FIELD_PRIME = 2**255 - 19
GROUP_ORDER = 2**252 + 27742317777372353535851937790883648493

# The y coordinates of the eight points of small order; y and the sign bit are judged apart, so
# each encoding, canonical or not, is met.
_SMALL_ORDER_Y = frozenset(
    {
        0,
        1,
        FIELD_PRIME - 1,
        int.from_bytes(
            bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"),
            "little",
        ),
        int.from_bytes(
            bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"),
            "little",
        ),
    }
)
_SIGN_BIT = 1 << 255
_sodium, _NOTHING = lib, ffi.NULL
"""The library that `nacl.bindings` calls, and has initialised."""
_marks: dict[str, bytes] = {}
"""What a signed message begins with, by its tag; tags are constants of the program."""
REMEMBERED_MAX = 4_096
"""Sound signatures that are remembered at most: half of them newer, half older ones."""
REMEMBERED_BYTES_MAX = 512
"""Of one of them, with what it signs; longer ones are checked each time."""
_newer: set[bytes] = set()
_older: set[bytes] = set()


def is_sound_point(encoded: bytes) -> bool:
    """Tell whether 32 bytes encode a point canonically and not one of small order."""
    y = int.from_bytes(encoded, "little") & ~_SIGN_BIT
    return len(encoded) == 32 and y < FIELD_PRIME and y not in _SMALL_ORDER_Y


class SigningKey:
    """An Ed25519 private key; prints masked."""

    __slots__ = ("_key", "public")

    public: PublicKey
    """The key that others know, 32 bytes."""

    def __init__(self, seed: bytes) -> None:
        """Derive the key from 32 random bytes.

        Raises:
            InvalidError: the seed is not 32 bytes.
        """
        if len(seed) != 32:
            raise InvalidError("A signing key needs a seed of 32 bytes.")
        self._key = nacl.signing.SigningKey(seed)
        self.public = PublicKey(bytes(self._key.verify_key))

    @override
    def __repr__(self) -> str:
        return f"SigningKey(public={self.public.hex()[:16]}…)"

    def seed(self) -> bytes:
        """Return the 32 secret bytes; for the keystore only."""
        return bytes(self._key)

    def sign(self, tag: str, message: bytes) -> Signature:
        """Sign `message` for the use named by `tag`."""
        return Signature(self._key.sign(_tagged(tag, message)).signature)


def is_signed(tag: str, message: bytes, signature: bytes, public: bytes) -> bool:
    """Tell whether `public` signed `message` for the use named by `tag`. Never raises."""
    if len(signature) != 64 or len(public) != 32:
        return False
    if int.from_bytes(signature[32:], "little") >= GROUP_ORDER:
        return False
    if not is_sound_point(public) or not is_sound_point(signature[:32]):
        return False
    return opens(signature + _tagged(tag, message), public)


def is_signed_somewhere(tag: str, message: bytes, signature: bytes, public: bytes) -> bool:
    """As `is_signed`, for what comes by several ways: a vote stands in an ERASED, and that in a block.

    What was sound once is so for ever, so it is remembered, by all of its bytes; what was not is
    checked each time.
    """
    known = b"".join((public, signature, _tagged(tag, message)))
    if known in _newer or known in _older:
        return True
    if not is_signed(tag, message, signature, public):
        return False
    _remember(known)
    return True


def sign_for_many(key: SigningKey, tag: str, message: bytes) -> Signature:
    """Sign what will come back inside of something else, and need not be checked then."""
    signature = key.sign(tag, message)
    _remember(b"".join((key.public, signature, _tagged(tag, message))))
    return signature


def _remember(known: bytes) -> None:
    """Enter a sound signature; half of all are forgotten at once when there are too many."""
    global _newer, _older
    if len(known) > REMEMBERED_BYTES_MAX:
        return
    if len(_newer) >= REMEMBERED_MAX // 2:
        _newer, _older = set(), _newer
    _newer.add(known)


def opens(signed: bytes, public: bytes) -> bool:
    """Tell what libsodium says of a signature, 64 bytes, before what it signs.

    As `nacl.bindings.crypto_sign_open`, which also hands back a copy of what was signed: a tenth of
    the work of a check, in a program that spends half of its time on checks.
    """
    assert len(signed) >= 64
    assert len(public) == 32
    outcome: int = _sodium.crypto_sign_open(_NOTHING, _NOTHING, signed, len(signed), public)
    return outcome == 0


def _tagged(tag: str, message: bytes) -> bytes:
    mark = _marks.get(tag)
    if mark is None:
        name = tag.encode()
        mark = _marks[tag] = b"hansa\x00" + len(name).to_bytes(1, "big") + name
    return mark + message
