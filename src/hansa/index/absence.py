"""A signed "not here": a node's word that nothing answered a question at a height of its chain.

Whoever holds it can compare the index digest with that of any other node at the same height, and the
node cannot deny what it said. It is given on request only; an ordinary answer is not signed.
"""

from typing import Literal

import msgspec

from hansa.codec import decode, encode
from hansa.crypto.signing import SigningKey, is_signed
from hansa.errors import InvalidError
from hansa.index.question import Question
from hansa.types import Digest, Height, PublicKey, Signature

ABSENCE_TAG = "hansa.index.absence.1"
_BYTES_MAX = 1 << 20


class Absence(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What is signed."""

    format: Literal[1]
    alliance: Digest
    """The alliance's id: the digest of its genesis."""
    height: Height
    """Of the index that was asked."""
    index_digest: Digest
    """Of all rows and clusters at that height."""
    question: Question
    """As the index understood it."""
    node_key: PublicKey
    signature: Signature
    """By the node, over the other fields with this one empty."""


def sign_absence(
    alliance: Digest, height: Height, index_digest: Digest, question: Question, key: SigningKey
) -> bytes:
    """Return the encoded statement with the node's signature."""
    bare = Absence(1, alliance, height, index_digest, question, key.public, Signature(b""))
    return encode(msgspec.structs.replace(bare, signature=key.sign(ABSENCE_TAG, encode(bare))))


def verify_absence(data: bytes, alliance: Digest) -> Absence:
    """Return a statement whose signature holds.

    Which node's key it names is for the caller to compare with the alliance's members.

    Raises:
        InvalidError: malformed, of another alliance, or not signed by the key that it names.
    """
    absence = decode(Absence, data, bytes_max=_BYTES_MAX)
    if absence.alliance != alliance:
        raise InvalidError("The statement is about another alliance.")
    bare = encode(msgspec.structs.replace(absence, signature=Signature(b"")))
    if not is_signed(ABSENCE_TAG, bare, absence.signature, absence.node_key):
        raise InvalidError("The statement is not signed by the node that it names.")
    return absence
