"""Sealed transactions and the confidential part: how a request travels to the super nodes.

A transaction travels as one ciphertext. Its author draws a secret for a session, at most an epoch
long, and wraps it once to each super node's sealing key (HPKE); each transaction's content key is
derived from that secret, its own nonce and its names (HKDF), so that opening costs less than a
signature. A super node may add the content key itself for one whose wrap does not open. The signed,
salted digest judges what was opened. Counterpart: `consensus.copies` keeps what was opened, in memory,
until its round ends.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

import msgspec

from hansa import limits
from hansa.chain.opened import OpenedTransaction, split_contents
from hansa.codec import digest, encode
from hansa.crypto.envelope import DecryptionKey, wrap
from hansa.crypto.sealing import KEY_BYTES, NONCE_BYTES, derive_key, open_into_buffer, seal
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
    """A key, wrapped to one super node."""

    node_key: PublicKey
    sealing_key: EncryptionKey
    wrapped: bytes


class SealedTransaction(_Value, frozen=True):
    """What a client gives to its node, and nodes to the master."""

    format: Literal[2]
    alliance: Digest
    transaction: Digest
    """Digest of the signed transaction inside."""
    author: PublicKey
    expires: Height
    ciphertext: bytes
    """Nonce, 12 bytes ‖ AES-256-GCM of `SealedContents` under the content key."""
    wraps: tuple[KeyWrap, ...]
    """The session's secret for each super node, in order of node keys; the same in all of a session."""
    added: tuple[KeyWrap, ...] = ()
    """The content key, for super nodes that lack a wrap of their present key; added by another one."""


Secrets = dict[bytes, bytes]
"""Secrets of sessions unwrapped with one key, by author ‖ wrap; as secret as that key, and dropped with it."""
SECRETS_MAX = 4_096


@dataclass(frozen=True, slots=True)
class SealingSession:
    """An author's secret with the wraps that take it to the super nodes; prints masked."""

    alliance: Digest
    author: PublicKey
    secret: bytes = field(repr=False)
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
    return b"hansa.sealed-transaction.2" + alliance + transaction


def _session_info(alliance: bytes, author: bytes, node_key: bytes) -> bytes:
    return b"hansa.session.1" + alliance + author + node_key


def _info(alliance: bytes, transaction: bytes, node_key: bytes) -> bytes:
    return b"hansa.content-key.1" + alliance + transaction + node_key


def _derive_content_key(
    secret: bytes, nonce: bytes, alliance: bytes, transaction: bytes, author: bytes
) -> bytes:
    return derive_key(secret, nonce, b"hansa.content-key.2" + alliance + transaction + author)


def open_session(
    alliance: Digest, author: PublicKey, notices: Iterable[SealingKeyNotice], secret: bytes
) -> SealingSession:
    """Return a session of an author with the super nodes that announced keys.

    Args:
        secret: 32 fresh random bytes, for these notices and this author only.
    """
    assert len(secret) == KEY_BYTES
    wraps = tuple(
        KeyWrap(
            notice.node_key,
            notice.sealing_key,
            wrap(notice.sealing_key, _session_info(alliance, author, notice.node_key), secret),
        )
        for notice in sorted(notices, key=lambda notice: notice.node_key)
    )
    return SealingSession(alliance, author, secret, wraps)


def seal_transaction(
    contents: SealedContents,
    session: SealingSession,
    *,
    transaction: Digest,
    expires: Height,
    nonce: bytes,
) -> SealedTransaction:
    """Seal a transaction of the session's author.

    Args:
        contents: the signed transaction, and its confidential part.
        session: whose secret the content key is derived from.
        transaction: digest of the signed transaction.
        expires: as in its body.
        nonce: 12 fresh random bytes.
    """
    alliance, author = session.alliance, session.author
    content_key = _derive_content_key(session.secret, nonce, alliance, transaction, author)
    ciphertext = seal(content_key, nonce, encode(contents), _associated(alliance, transaction))
    return SealedTransaction(2, alliance, transaction, author, expires, ciphertext, session.wraps)


def unwrap_content_key(
    sealed: SealedTransaction,
    node_key: PublicKey,
    sealing_key: DecryptionKey,
    secrets: Secrets | None = None,
) -> bytes:
    """Return the content key of a transaction that is sealed to one super node.

    Args:
        sealed: the transaction.
        node_key: of the super node.
        sealing_key: of the super node.
        secrets: what this key has unwrapped already; taken from and filled.

    Raises:
        MissingError: no wrap for this node and sealing key (the client must reseal).
        CorruptError: the wrap does not open.
        InvalidError: what was inside is no key.
    """
    alliance, transaction = sealed.alliance, sealed.transaction
    for entry in sealed.wraps:
        if entry.node_key == node_key and entry.sealing_key == sealing_key.public:
            secret = _unwrap_secret(sealed, entry, sealing_key, {} if secrets is None else secrets)
            nonce = sealed.ciphertext[:NONCE_BYTES]
            return _derive_content_key(secret, nonce, alliance, transaction, sealed.author)
    for entry in sealed.added:
        if entry.node_key == node_key and entry.sealing_key == sealing_key.public:
            info = _info(alliance, transaction, node_key)
            return _checked(sealing_key.unwrap(info, entry.wrapped))
    raise MissingError("The transaction is not sealed to this super node's present key.")


def _unwrap_secret(
    sealed: SealedTransaction, entry: KeyWrap, sealing_key: DecryptionKey, secrets: Secrets
) -> bytes:
    place = sealed.author + entry.wrapped
    secret = secrets.get(place)
    if secret is None:
        info = _session_info(sealed.alliance, sealed.author, entry.node_key)
        secret = _checked(sealing_key.unwrap(info, entry.wrapped))
        secrets[place] = secret
        if len(secrets) > SECRETS_MAX:
            del secrets[next(iter(secrets))]
    return secret


def _checked(key: bytes) -> bytes:
    if len(key) != KEY_BYTES:
        raise InvalidError("The wrapped key is not 32 bytes.")
    return key


def add_wraps(
    sealed: SealedTransaction, content_key: bytes, notices: Iterable[SealingKeyNotice]
) -> SealedTransaction:
    """Return it with the content key itself wrapped to more super nodes; replaces what was added."""
    added = {entry.node_key: entry for entry in sealed.added}
    for notice in notices:
        info = _info(sealed.alliance, sealed.transaction, notice.node_key)
        added[notice.node_key] = KeyWrap(
            notice.node_key, notice.sealing_key, wrap(notice.sealing_key, info, content_key)
        )
    return msgspec.structs.replace(sealed, added=tuple(added[key] for key in sorted(added)))


def open_transaction(
    sealed: SealedTransaction,
    node_key: PublicKey,
    sealing_key: DecryptionKey,
    secrets: Secrets | None = None,
) -> OpenedTransaction:
    """Open a sealed transaction as one super node. The caller checks the contents, and erases them.

    Raises:
        MissingError: no wrap for this node and sealing key (the client must reseal).
        CorruptError: the wrap or the ciphertext does not open.
        InvalidError: what was inside is malformed or has another digest.
    """
    content_key = unwrap_content_key(sealed, node_key, sealing_key, secrets)
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
