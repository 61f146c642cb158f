"""Sealed transactions and the confidential part: how a request travels to the super nodes.

A transaction travels as one ciphertext, its content key wrapped to each super node's sealing key of
the epoch (HPKE). The signed, salted digest judges what was opened. Counterpart: `consensus.copies`
keeps what was opened, in memory, until its round ends.
"""

from collections.abc import Iterable
from typing import Literal

import msgspec

from hansa import limits
from hansa.chain.opened import OpenedTransaction, split_contents
from hansa.codec import digest, encode
from hansa.crypto.envelope import DecryptionKey, wrap
from hansa.crypto.sealing import open_into_buffer, seal
from hansa.crypto.signing import SigningKey, is_signed
from hansa.errors import InvalidError, MissingError
from hansa.types import (
    NO_DIGEST,
    Digest,
    EncryptionKey,
    Epoch,
    Height,
    OrganisationName,
    PublicKey,
    RequestId,
    Signature,
)

SEALING_KEY_TAG = "hansa.sealing-key.1"
CONFIDENTIAL_TAG = "hansa.confidential.1"


class _Value(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Base of the values here."""


class ConfidentialPart(_Value, frozen=True):
    """What reviewers must read and may not keep."""

    salt: bytes
    """32 random bytes: without them a guess could be confirmed against the digest on the chain."""
    justification: str
    """Why the data is needed, with whatever personal details that takes; at most 8,000 characters."""
    contact: str
    """Whom the owner may ask; may be empty."""


class SealingKeyNotice(_Value, frozen=True):
    """A super node announces the key that transactions are sealed to; a restart announces a new one."""

    alliance: Digest
    epoch: Epoch
    node_key: PublicKey
    sealing_key: EncryptionKey
    serial: int
    """Milliseconds of its announcement: of two notices for one epoch the later counts."""
    signature: Signature
    """By the node key, over this struct with an empty signature."""


class KeyWrap(_Value, frozen=True):
    """The content key, wrapped to one super node."""

    node_key: PublicKey
    sealing_key: EncryptionKey
    wrapped: bytes


class SealedTransaction(_Value, frozen=True):
    """What a client gives to its node, and nodes to the master."""

    format: Literal[1]
    alliance: Digest
    transaction: Digest
    """Digest of the signed transaction inside."""
    author: PublicKey
    expires: Height
    ciphertext: bytes
    wraps: tuple[KeyWrap, ...]


class SealedContents(_Value, frozen=True):
    """What the ciphertext holds."""

    transaction: bytes
    """Canonical bytes of the signed transaction."""
    confidential: bytes
    """Canonical bytes of the confidential part; empty if there is none."""


class OwnerNote(_Value, frozen=True):
    """The confidential part once more, sealed to one user of the owner; carried by nodes off chain."""

    request: RequestId
    owner: OrganisationName
    recipient: PublicKey
    """Signing key of the user it is for."""
    wrapped: bytes
    """HPKE of the confidential part's bytes to that user's encryption key."""


def confidential_digest(confidential: bytes | bytearray) -> Digest:
    """Return what stands on the chain for a confidential part; NO_DIGEST for none."""
    return digest(CONFIDENTIAL_TAG, confidential) if confidential else NO_DIGEST


def sign_sealing_key(notice: SealingKeyNotice, key: SigningKey) -> SealingKeyNotice:
    """Return the notice with the super node's signature."""
    bare = msgspec.structs.replace(notice, signature=Signature(b""))
    return msgspec.structs.replace(bare, signature=key.sign(SEALING_KEY_TAG, encode(bare)))


def is_sealing_key_signed(notice: SealingKeyNotice) -> bool:
    """Tell whether the notice's node key signed it."""
    bare = msgspec.structs.replace(notice, signature=Signature(b""))
    return is_signed(SEALING_KEY_TAG, encode(bare), notice.signature, notice.node_key)


def _associated(alliance: bytes, transaction: bytes) -> bytes:
    return b"hansa.sealed-transaction.1" + alliance + transaction


def _info(alliance: bytes, transaction: bytes, node_key: bytes) -> bytes:
    return b"hansa.content-key.1" + alliance + transaction + node_key


def seal_transaction(
    contents: SealedContents,
    *,
    alliance: Digest,
    transaction: Digest,
    author: PublicKey,
    expires: Height,
    notices: tuple[SealingKeyNotice, ...],
    content_key: bytes,
    nonce: bytes,
) -> SealedTransaction:
    """Seal a transaction to the super nodes that announced keys.

    Args:
        content_key: 32 fresh random bytes; nonce: 12 fresh random bytes.
    """
    ciphertext = seal(content_key, nonce, encode(contents), _associated(alliance, transaction))
    wraps = tuple(
        KeyWrap(
            notice.node_key,
            notice.sealing_key,
            wrap(notice.sealing_key, _info(alliance, transaction, notice.node_key), content_key),
        )
        for notice in sorted(notices, key=lambda notice: notice.node_key)
    )
    return SealedTransaction(1, alliance, transaction, author, expires, ciphertext, wraps)


def unwrap_content_key(
    sealed: SealedTransaction, node_key: PublicKey, sealing_key: DecryptionKey
) -> bytes:
    """Return the content key that is wrapped to one super node.

    Raises:
        MissingError: no wrap for this node and sealing key (the client must reseal).
        CorruptError: the wrap does not open.
        InvalidError: what was inside is no key.
    """
    for entry in sealed.wraps:
        if entry.node_key == node_key and entry.sealing_key == sealing_key.public:
            break
    else:
        raise MissingError("The transaction is not sealed to this super node's present key.")
    content_key = sealing_key.unwrap(
        _info(sealed.alliance, sealed.transaction, node_key), entry.wrapped
    )
    if len(content_key) != 32:
        raise InvalidError("The wrapped content key is not 32 bytes.")
    return content_key


def add_wraps(
    sealed: SealedTransaction, content_key: bytes, notices: Iterable[SealingKeyNotice]
) -> SealedTransaction:
    """Return it with the content key wrapped to more super nodes; replaces their older wraps."""
    wraps = {entry.node_key: entry for entry in sealed.wraps}
    for notice in notices:
        info = _info(sealed.alliance, sealed.transaction, notice.node_key)
        wraps[notice.node_key] = KeyWrap(
            notice.node_key, notice.sealing_key, wrap(notice.sealing_key, info, content_key)
        )
    return msgspec.structs.replace(sealed, wraps=tuple(wraps[key] for key in sorted(wraps)))


def open_transaction(
    sealed: SealedTransaction, node_key: PublicKey, sealing_key: DecryptionKey
) -> OpenedTransaction:
    """Open a sealed transaction as one super node. The caller checks the contents, and erases them.

    Raises:
        MissingError: no wrap for this node and sealing key (the client must reseal).
        CorruptError: the wrap or the ciphertext does not open.
        InvalidError: what was inside is malformed or has another digest.
    """
    content_key = unwrap_content_key(sealed, node_key, sealing_key)
    if len(sealed.ciphertext) > limits.SEALED_TRANSACTION_BYTES_MAX:
        raise InvalidError("The sealed transaction is too long.")
    contents = split_contents(
        open_into_buffer(
            content_key, sealed.ciphertext, _associated(sealed.alliance, sealed.transaction)
        )
    )
    if digest("hansa.transaction.1", contents.transaction) != sealed.transaction:
        contents.erase()
        raise InvalidError("The sealed transaction holds another than it names.")
    return contents
