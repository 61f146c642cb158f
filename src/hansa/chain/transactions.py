"""Transactions: signed lists of operations, the only way anything on the chain changes.

Upon a transaction: decode canonically, check the signature over the received bytes, then judge it
against the state (`transition`). Public parts only; what reviewers must read and may not keep is the
confidential part, whose salted digest alone is here (`sealed`).
"""

from typing import Literal

import msgspec

from hansa import limits
from hansa.codec import decode, derived, digest, encode
from hansa.crypto.signing import SigningKey, is_signed
from hansa.errors import InvalidError
from hansa.types import (
    NO_DIGEST,
    Box,
    DatasetId,
    Digest,
    EncryptionKey,
    Height,
    Interval,
    Millis,
    OrganisationName,
    PublicKey,
    RequestId,
    Signature,
)

TRANSACTION_TAG = "hansa.transaction.1"
ATTESTATION_TAG = "hansa.attestation.1"
SIGNATURE_BYTES = 64
_SIGNATURE_ENCODED_BYTES = len(encode(bytes(SIGNATURE_BYTES)))


class _Value(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Base of the signed values here: immutable, in fixed field order."""


Role = Literal["admin", "publisher", "officer", "reader"]
"""admin governs and keeps users, publisher registers data, officer decides requests, reader asks."""

Purpose = Literal[
    "planning",
    "operations",
    "emergency",
    "research",
    "statistics",
    "public-service",
    "maintenance",
    "audit",
    "other",
]
"""Public purpose of a request; the words that justify it are confidential."""


class Candidate(_Value, frozen=True):
    """An organisation as it is admitted: at genesis or by vote."""

    name: OrganisationName
    title: str
    """Name for people, 1 to 300 characters."""
    node_key: PublicKey
    """Ed25519 key of its node: signs votes, attestations and TLS handshakes."""
    certificate: bytes
    """Self-signed X.509 certificate of the node key (DER), opaque here; peers check it."""
    peer_address: str
    """host:port where its node listens for other nodes."""
    api_url: str
    """https://host:port of its node's REST API."""
    admin_key: PublicKey
    """Ed25519 key of its first user, who is admin, publisher, officer and reader."""
    admin_encryption_key: EncryptionKey
    """X25519 key of that user."""
    admin_name: str
    """Name for people of that user."""


Rhythm = Literal[
    "",
    "continuous",
    "hourly",
    "daily",
    "weekly",
    "biweekly",
    "monthly",
    "bimonthly",
    "quarterly",
    "semiannual",
    "annual",
    "biennial",
    "irregular",
    "never",
]
"""How often data is brought up to date; empty if not told. Words, for they are found by words."""

ColumnType = Literal[
    "", "boolean", "integer", "number", "date", "time", "text", "geometry", "object"
]
"""What the values of a column are; empty if not known. A time is a date with an hour, or an hour."""


class Description(_Value, frozen=True):
    """What anyone in the alliance may read about a dataset; personal data has no place here."""

    title: str
    description: str
    keywords: tuple[str, ...]
    themes: tuple[str, ...]
    place: str
    """Name of the place covered, may be empty."""
    box: Box | None
    """Bounds of the place covered."""
    interval: Interval | None
    """Time covered."""
    rhythm: Rhythm
    """How often it is brought up to date."""
    licence: str
    formats: tuple[str, ...]
    """Lower-case short names: csv, geojson, …"""
    columns: tuple[str, ...]
    """Names of columns or properties found in the data; empty if withheld."""
    column_types: tuple[ColumnType, ...]
    """The type of each of them; empty if none is known."""
    words: tuple[str, ...]
    """Normalised words of the texts above, sorted, unique; computed again by super nodes."""
    feature_model: int
    """Version of the feature model."""
    features: tuple[int, ...]
    """Feature vector, integers from -127 to 127; computed again by super nodes."""


class Attestation(_Value, frozen=True):
    """An organisation's node says: this manifest and all packs it needs are stored, durable, leased."""

    organisation: OrganisationName
    manifest_root: Digest
    manifest_bytes: int
    stored_bytes: int
    """Sealed bytes of all chunks of the version, shared ones included."""
    leased_until_ms: Millis
    """Until then nothing of it is collected even if no transaction refers to it."""
    node_key: PublicKey
    signature: Signature
    """By the node key, over this struct with an empty signature."""


class VersionClaim(_Value, frozen=True):
    """The public facts of one version."""

    manifest_root: Digest
    """Salted digest of the manifest."""
    content_bytes: int
    """Plain bytes of all files."""
    files: int
    chunks: int
    attestation: Attestation


class Constraint(_Value, frozen=True):
    """ODRL constraint: left operand, operator, right operand."""

    left_operand: Literal["organisation", "role", "purpose", "time", "count"]
    operator: Literal["eq", "neq", "isAnyOf", "isNoneOf", "lteq", "gteq"]
    right_operand: tuple[str, ...]
    """Names, purposes, or one decimal number (milliseconds or a count)."""


class Rule(_Value, frozen=True):
    """ODRL rule for the action "use": all constraints must hold for it to apply."""

    effect: Literal["permission", "prohibition"]
    constraints: tuple[Constraint, ...]


class Policy(_Value, frozen=True):
    """A prohibition that applies refuses; else a permission that applies pre-approves; else undecided."""

    rules: tuple[Rule, ...] = ()
    undecided: Literal["ask", "deny"] = "ask"


# --- operations: one struct each; the tag is part of the format --------------------------------


class AdmitOrganisation(_Value, frozen=True, tag=1):
    """Ballot of the author's organisation for a candidate; more than half of the active ones admit."""

    candidate: Candidate


class SuspendOrganisation(_Value, frozen=True, tag=2):
    """Ballot for suspending a member; more than half of the other active ones suspend."""

    organisation: OrganisationName
    reason: str


class UpdateOrganisation(_Value, frozen=True, tag=3):
    """An admin changes where the own node is reached, or its certificate for the same node key."""

    certificate: bytes
    peer_address: str
    api_url: str


class AddUser(_Value, frozen=True, tag=4):
    """An admin registers a user of the own organisation."""

    key: PublicKey
    encryption_key: EncryptionKey
    name: str
    roles: tuple[Role, ...]


class RevokeUser(_Value, frozen=True, tag=5):
    """An admin revokes a user of the own organisation; refused everywhere from the next block."""

    key: PublicKey


class VoteSuperNodes(_Value, frozen=True, tag=6):
    """Approval vote of the author's organisation; replaces its earlier vote; empty withdraws it."""

    candidates: tuple[OrganisationName, ...]


class RegisterDataset(_Value, frozen=True, tag=10):
    """A publisher registers a dataset with its first version."""

    description: Description
    version: VersionClaim
    policy: Policy


class AddVersion(_Value, frozen=True, tag=11):
    """A publisher of the owner adds the next version."""

    dataset: DatasetId
    number: int
    """The next version number, so that two publishers cannot both add it unawares."""
    description: Description
    version: VersionClaim


class Redescribe(_Value, frozen=True, tag=12):
    """A publisher of the owner replaces the description."""

    dataset: DatasetId
    description: Description


class RetireDataset(_Value, frozen=True, tag=13):
    """A publisher of the owner retires a dataset: no longer found, no longer served."""

    dataset: DatasetId


class SetPolicy(_Value, frozen=True, tag=14):
    """An officer of the owner replaces the policy."""

    dataset: DatasetId
    policy: Policy


class RequestAccess(_Value, frozen=True, tag=20):
    """A reader asks for a dataset (all its versions); the justification is in the confidential part."""

    dataset: DatasetId
    purpose: Purpose


class GrantAccess(_Value, frozen=True, tag=21):
    """An officer of the owner grants a request; the wraps of the keys travel off chain."""

    request: RequestId
    wrap_digest: Digest
    """Salted digest of the wraps that the owner's node holds for the requester."""
    expires_ms: Millis
    """The grant ends at the first block with a later time; 0 for no end."""


class DenyAccess(_Value, frozen=True, tag=22):
    """An officer of the owner denies a request."""

    request: RequestId
    reason: str


class RevokeAccess(_Value, frozen=True, tag=23):
    """An officer of the owner ends a grant; reads and releases stop with the block."""

    request: RequestId
    reason: str


class SubmitEvidence(_Value, frozen=True, tag=30):
    """Anybody proves that a node lied; the node is expelled from the election."""

    evidence: bytes
    """Canonical bytes of an `Evidence`, at most EVIDENCE_BYTES_MAX."""


Operation = (
    AdmitOrganisation
    | SuspendOrganisation
    | UpdateOrganisation
    | AddUser
    | RevokeUser
    | VoteSuperNodes
    | RegisterDataset
    | AddVersion
    | Redescribe
    | RetireDataset
    | SetPolicy
    | RequestAccess
    | GrantAccess
    | DenyAccess
    | RevokeAccess
    | SubmitEvidence
)


class TransactionBody(_Value, frozen=True):
    """What an author signs."""

    format: Literal[1]
    alliance: Digest
    author: PublicKey
    expires: Height
    """Last height at which it may be in a block."""
    time_ms: Millis
    """The author's clock; freshness is judged against the block's time."""
    nonce: bytes
    """16 random bytes, so that equal operations are different transactions."""
    operations: tuple[Operation, ...]
    confidential: Digest = NO_DIGEST
    """Salted digest of the confidential part, or NO_DIGEST."""


class Transaction(_Value, frozen=True, dict=True):
    """A body with its author's signature over the body's canonical bytes.

    What is derived from a value that never changes is derived once; it takes no part in encoding
    and comparison.
    """

    body: TransactionBody
    signature: Signature

    @derived
    def canonical(self) -> bytes:
        """The transaction's canonical bytes."""
        return encode(self)

    @derived
    def _digest(self) -> Digest:
        return digest(TRANSACTION_TAG, self.canonical)

    def digest(self) -> Digest:
        """Return the transaction's id: over body and signature, 32 bytes."""
        return self._digest


def sign_transaction(body: TransactionBody, key: SigningKey) -> Transaction:
    """Sign a body with its author's key."""
    assert key.public == body.author
    return Transaction(body, key.sign(TRANSACTION_TAG, encode(body)))


def decode_transaction(data: bytes) -> Transaction:
    """Decode received bytes and check the signature.

    Raises:
        InvalidError: too long, malformed, without operations, with too many, or wrongly signed.
    """
    transaction = decode(Transaction, data, bytes_max=limits.TRANSACTION_BYTES_MAX)
    validate_form(transaction)
    if not is_author_signature(transaction):
        raise InvalidError("The transaction's signature does not match its author and contents.")
    return transaction


def decode_named(data: bytes, named: Digest) -> Transaction:
    """Decode bytes whose digest is known; neither is derived again. The signature is not checked.

    Args:
        data: canonical bytes of a transaction, as received.
        named: their digest, which the caller has compared.

    Raises:
        InvalidError: too long, malformed, or not canonical.
    """
    transaction = decode(Transaction, data, bytes_max=limits.TRANSACTION_BYTES_MAX)
    transaction.__dict__.update(canonical=data, _digest=named)
    return transaction


def validate_form(transaction: Transaction) -> None:
    """Check lengths and counts that hold for every transaction.

    Raises:
        InvalidError: the message names what is wrong.
    """
    body = transaction.body
    if not 1 <= len(body.operations) <= limits.OPERATIONS_PER_TRANSACTION_MAX:
        raise InvalidError(
            f"A transaction carries 1 to {limits.OPERATIONS_PER_TRANSACTION_MAX} operations."
        )
    if len(body.nonce) != 16 or len(body.alliance) != 32 or len(body.confidential) != 32:
        raise InvalidError("A field of the transaction has the wrong length.")


def is_author_signature(transaction: Transaction) -> bool:
    """Tell whether the author signed the body: for transactions that came inside a block."""
    signature = transaction.signature
    if len(signature) != SIGNATURE_BYTES:
        return False
    # The body's canonical bytes lie in the transaction's, between the head and the signature.
    body = transaction.canonical[1:-_SIGNATURE_ENCODED_BYTES]
    return is_signed(TRANSACTION_TAG, body, signature, transaction.body.author)


def derive_id(transaction: Digest, index: int) -> bytes:
    """Return the 16-byte id of what operation `index` of a transaction makes (dataset or request)."""
    return digest("hansa.id.1", transaction, index.to_bytes(2, "big"))[:16]


def sign_attestation(unsigned: Attestation, key: SigningKey) -> Attestation:
    """Return the attestation with the node's signature."""
    assert key.public == unsigned.node_key
    bare = msgspec.structs.replace(unsigned, signature=Signature(b""))
    return msgspec.structs.replace(bare, signature=key.sign(ATTESTATION_TAG, encode(bare)))


def is_attested(attestation: Attestation) -> bool:
    """Tell whether the attestation's node key signed it."""
    bare = msgspec.structs.replace(attestation, signature=Signature(b""))
    return is_signed(ATTESTATION_TAG, encode(bare), attestation.signature, attestation.node_key)
