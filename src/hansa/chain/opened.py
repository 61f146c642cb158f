"""What a super node opened: judged in buffers that are overwritten, never as text or immutable bytes.

CPython cannot overwrite `str` and `bytes`, and what it frees stays in memory until something else
lands there. So the confidential part is decrypted into a bytearray, parsed and checked there, and
`erase` puts zeros over it. Counterpart of `sealed`, whose structs say what the bytes mean.
"""

import re

from typing_extensions import override

from hansa import limits
from hansa.errors import InvalidError

SALT_BYTES = 32
_UTF8 = (
    rb"(?:[\x00-\x7f]|[\xc2-\xdf][\x80-\xbf]|\xe0[\xa0-\xbf][\x80-\xbf]"
    rb"|[\xe1-\xec\xee\xef][\x80-\xbf]{2}|\xed[\x80-\x9f][\x80-\xbf]"
    rb"|\xf0[\x90-\xbf][\x80-\xbf]{2}|[\xf1-\xf3][\x80-\xbf]{3}|\xf4[\x80-\x8f][\x80-\xbf]{2})"
)
"""One character (RFC 3629, section 4)."""
_JUSTIFICATION = re.compile(_UTF8 + b"{0,%d}" % limits.JUSTIFICATION_CHARACTERS_MAX)
_TEXT = re.compile(_UTF8 + b"*")


def erase(buffer: bytearray) -> None:
    """Overwrite a buffer in place."""
    buffer[:] = bytes(len(buffer))


class OpenedTransaction:
    """A transaction's public bytes, and its confidential part in a buffer to erase; prints masked."""

    __slots__ = ("confidential", "transaction")

    def __init__(self, transaction: bytes, confidential: bytearray) -> None:
        self.transaction = transaction
        """Canonical bytes of the signed transaction; public."""
        self.confidential = confidential
        """Canonical bytes of the confidential part; empty if there is none."""

    @override
    def __repr__(self) -> str:
        return f"OpenedTransaction({len(self.transaction)} bytes, …)"

    def erase(self) -> None:
        """Overwrite the confidential part."""
        erase(self.confidential)


def split_contents(plain: bytearray) -> OpenedTransaction:
    """Return the two parts of the canonical bytes of `SealedContents`, and erase those.

    Raises:
        InvalidError: malformed, or not the canonical encoding.
    """
    try:
        if plain[:1] != b"\x92":
            raise InvalidError("Malformed bytes: not a transaction with its confidential part.")
        first = _take(plain, 1, _BINARY)
        second = _take(plain, first[1], _BINARY)
        if second[1] != len(plain):
            raise InvalidError("Malformed bytes: something follows the confidential part.")
        return OpenedTransaction(bytes(plain[slice(*first)]), plain[slice(*second)])
    finally:
        erase(plain)


def is_confidential_sound(part: bytearray) -> bool:
    """Tell whether bytes are the canonical encoding of a `ConfidentialPart` within its bounds."""
    if len(part) > limits.CONFIDENTIAL_BYTES_MAX or part[:1] != b"\x93":
        return False
    try:
        salt = _take(part, 1, _BINARY)
        justification = _take(part, salt[1], _STRING)
        contact = _take(part, justification[1], _STRING)
    except InvalidError:
        return False
    return (
        salt[1] - salt[0] == SALT_BYTES
        and contact[1] == len(part)
        and _JUSTIFICATION.fullmatch(part, *justification) is not None
        and _TEXT.fullmatch(part, *contact) is not None
    )


_BINARY = {0xC4: (1, 0), 0xC5: (2, 1 << 8), 0xC6: (4, 1 << 16)}
_STRING = {0xD9: (1, 32), 0xDA: (2, 1 << 8), 0xDB: (4, 1 << 16)}
"""MessagePack's marks: bytes of the length that follows, and the least length so written."""


def _take(data: bytearray, at: int, marks: dict[int, tuple[int, int]]) -> tuple[int, int]:
    """Return where the string that begins at `at` starts and stops."""
    if at >= len(data):
        raise InvalidError("Malformed bytes: too short.")
    mark = data[at]
    if marks is _STRING and 0xA0 <= mark <= 0xBF:
        start, length = at + 1, mark - 0xA0
    elif mark in marks:
        width, least = marks[mark]
        start = at + 1 + width
        length = int.from_bytes(data[at + 1 : start], "big")
        if length < least:
            raise InvalidError("Malformed bytes: not the canonical encoding.")
    else:
        raise InvalidError("Malformed bytes: of another kind.")
    if start + length > len(data):
        raise InvalidError("Malformed bytes: too short.")
    return start, start + length
