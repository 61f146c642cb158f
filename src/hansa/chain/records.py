"""Values of the state: what the alliance knows after a block, each under a key that starts with its kind."""

from typing import Literal

import msgspec

from hansa.chain.transactions import Candidate, Description, Policy, Purpose, Role
from hansa.types import (
    DatasetId,
    Digest,
    EncryptionKey,
    Epoch,
    Height,
    Millis,
    OrganisationName,
    PublicKey,
    RequestId,
    Round,
)

# --- kinds: the first byte of every key; part of the format -------------------------------------
HEAD = 0x01
ELECTION = 0x02
COUNTERS = 0x03
STANDING = 0x04
ORGANISATION = 0x10
NODE_KEY = 0x11
USER = 0x12
BALLOT = 0x13
VOTE = 0x14
DATASET = 0x20
REQUEST = 0x30
ACCESS = 0x31
GRANT_COUNT = 0x32
SEEN = 0x40
SEEN_UNTIL = 0x41
SEEN_AT = 0x42
ERASURES = 0x43
TRAIL = 0x44


class Record(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Base of the state's values: immutable, in fixed field order."""


class HeadRecord(Record, frozen=True):
    """Where the chain stands."""

    height: Height
    time_ms: Millis
    total_transactions: int
    transactions: int
    """Of the last block alone."""


class ElectionRecord(Record, frozen=True):
    """Who decides the next block."""

    epoch: Epoch
    """Epoch of the next block."""
    first_height: Height
    """First height of that epoch."""
    super_nodes: tuple[PublicKey, ...]
    """Node keys of the set, sorted."""
    previous_super_nodes: tuple[PublicKey, ...]
    """The set of the epoch before, whose last acknowledgements may still come."""
    changes: tuple[Height, ...]
    """Last heights of the epochs after which the set changed: a receipt carries their headers."""


class CountersRecord(Record, frozen=True):
    """Numbers that would otherwise need a walk over the state."""

    organisations: int
    active_organisations: int
    users: int
    datasets: int
    requests: int


class StandingEntry(Record, frozen=True):
    """What one super node did of what it owed in this epoch."""

    node_key: PublicKey
    acknowledged: int
    """Blocks whose update and erasure it acknowledged in time."""
    voted: int
    """Those of them that its confirm vote helped to decide."""


class StandingRecord(Record, frozen=True):
    """Who was there in this epoch, counted from its blocks; empty again at its end."""

    owed: int
    """Heights that count."""
    entries: tuple[StandingEntry, ...]
    """Sorted by node key; who did nothing has none."""


class OrganisationRecord(Record, frozen=True):
    """A member, active or suspended."""

    name: OrganisationName
    title: str
    node_key: PublicKey
    certificate: bytes
    peer_address: str
    api_url: str
    status: Literal["active", "suspended"]
    admitted_height: Height
    """0 for a founder."""
    changed_height: Height
    """Height of the last change of its status."""
    users: int
    """Active users."""
    admins: int
    """Active users with the role admin; never 0."""
    datasets: int
    """Datasets registered, retired ones included."""
    expelled_height: Height
    """Height of the block whose evidence expelled its node from the election; 0 while in good standing."""
    readmitted_height: Height
    """Height of its last readmission; evidence from heights up to it is settled."""


class NodeKeyRecord(Record, frozen=True):
    """Whose node a key is. A key once taken is never given to another."""

    organisation: OrganisationName


class UserRecord(Record, frozen=True):
    """A user of an organisation. A revoked key stays revoked for ever."""

    key: PublicKey
    encryption_key: EncryptionKey
    organisation: OrganisationName
    name: str
    roles: tuple[Role, ...]
    """Sorted, each once."""
    status: Literal["active", "revoked"]
    added_height: Height
    revoked_height: Height
    """0 while active."""


class BallotRecord(Record, frozen=True):
    """An open question about membership and the organisations that said yes."""

    subject: Literal["admit", "suspend"]
    organisation: OrganisationName
    """The organisation it is about."""
    candidate: Candidate | None
    """Who is to be admitted; None for a suspension."""
    proposer: OrganisationName
    """Who cast the first ballot."""
    opened_height: Height
    voters: tuple[OrganisationName, ...]
    """Sorted, each once."""


class VoteRecord(Record, frozen=True):
    """An organisation's approval vote for super nodes."""

    organisation: OrganisationName
    candidates: tuple[OrganisationName, ...]
    """Sorted, each once."""
    height: Height


class VersionRecord(Record, frozen=True):
    """One version of a dataset."""

    number: int
    manifest_root: Digest
    content_bytes: int
    stored_bytes: int
    files: int
    chunks: int
    transaction: Digest
    height: Height
    time_ms: Millis
    """Time of its block."""


class DatasetRecord(Record, frozen=True):
    """A dataset: its description, policy and versions."""

    id: DatasetId
    owner: OrganisationName
    description: Description
    policy: Policy
    status: Literal["active", "retired"]
    versions: tuple[VersionRecord, ...]
    """In order of their numbers, which start at 1 and have no gaps."""
    transaction: Digest
    """The registering transaction."""
    height: Height
    time_ms: Millis
    changed_height: Height
    """Height of the last change of any field."""


class RequestRecord(Record, frozen=True):
    """A request for access and what became of it."""

    id: RequestId
    dataset: DatasetId
    requester: PublicKey
    organisation: OrganisationName
    purpose: Purpose
    is_preapproved: bool
    """A permission of the policy applied when it was asked: the owner need not think, only wrap."""
    confidential: Digest
    """Salted digest of the justification, or NO_DIGEST."""
    transaction: Digest
    height: Height
    time_ms: Millis
    status: Literal["open", "granted", "denied", "revoked"]
    reason: str
    """The owner's words for a denial or a revocation."""
    wrap_digest: Digest
    """Salted digest of the wraps held for the requester; NO_DIGEST unless granted once."""
    expires_ms: Millis
    """End of the grant, 0 for none."""
    decided_by: PublicKey
    """Officer who decided last; empty while open."""
    decided_height: Height
    """Height of the last decision, 0 while open."""


class AccessRecord(Record, frozen=True):
    """Requests of one user for one dataset that were ever granted, newest last."""

    requests: tuple[RequestId, ...]


class GrantCountRecord(Record, frozen=True):
    """How many grants of one dataset one organisation was given so far."""

    grants: int


class SeenRecord(Record, frozen=True):
    """Where a transaction is; kept until it has expired, which is what stops replay."""

    height: Height
    index: int


class SeenUntilRecord(Record, frozen=True):
    """Heights of the blocks with transactions whose last possible height is this one."""

    heights: tuple[Height, ...]


class SeenAtRecord(Record, frozen=True):
    """Transactions of one block whose last possible height is the same: forgotten together."""

    transactions: tuple[Digest, ...]


class ErasureEntry(Record, frozen=True):
    """One super node's acknowledgement, as it stood in a block."""

    round: Round
    outcome: Literal["committed", "failed"]
    digest: Digest
    copies: int
    super_node: PublicKey
    recorded_height: Height
    """Height of the block that carries it."""
    has_voted: bool
    """Whether it carried the super node's confirm vote for that block."""


class ErasuresRecord(Record, frozen=True):
    """Acknowledgements for one height, in the order of the blocks that carry them."""

    entries: tuple[ErasureEntry, ...]


class TrailRecord(Record, frozen=True):
    """Digest of the block of one height: what evidence about the height after it must rest on."""

    digest: Digest
    transactions: int
    """How many that block has."""


HEAD_KEY = bytes([HEAD])
ELECTION_KEY = bytes([ELECTION])
COUNTERS_KEY = bytes([COUNTERS])
STANDING_KEY = bytes([STANDING])


def organisation_key(name: str) -> bytes:
    """Return the key of an organisation's record."""
    return bytes([ORGANISATION]) + name.encode()


def node_key_key(key: bytes) -> bytes:
    """Return the key under which the name of a node key's organisation stands."""
    return bytes([NODE_KEY]) + key


def user_key(key: bytes) -> bytes:
    """Return the key of a user's record."""
    return bytes([USER]) + key


def ballot_key(subject: bytes) -> bytes:
    """Return the key of a ballot; `subject` is a digest of what is voted on."""
    return bytes([BALLOT]) + subject


def vote_key(organisation: str) -> bytes:
    """Return the key of an organisation's vote."""
    return bytes([VOTE]) + organisation.encode()


def dataset_key(dataset: bytes) -> bytes:
    """Return the key of a dataset's record."""
    return bytes([DATASET]) + dataset


def request_key(request: bytes) -> bytes:
    """Return the key of a request's record."""
    return bytes([REQUEST]) + request


def access_key(dataset: bytes, user: bytes) -> bytes:
    """Return the key of one user's grants for one dataset."""
    return bytes([ACCESS]) + dataset + user


def grant_count_key(dataset: bytes, organisation: str) -> bytes:
    """Return the key of the number of grants to one organisation for one dataset."""
    return bytes([GRANT_COUNT]) + dataset + organisation.encode()


def seen_key(transaction: bytes) -> bytes:
    """Return the key of a remembered transaction."""
    return bytes([SEEN]) + transaction


def seen_until_key(height: int) -> bytes:
    """Return the key of the heights of which something is forgotten after a height."""
    return bytes([SEEN_UNTIL]) + height.to_bytes(8, "big")


def seen_at_key(until: int, height: int) -> bytes:
    """Return the key of the transactions of block `height` that are forgotten after `until`."""
    return bytes([SEEN_AT]) + until.to_bytes(8, "big") + height.to_bytes(8, "big")


def erasures_key(height: int) -> bytes:
    """Return the key of the acknowledgements for a height."""
    return bytes([ERASURES]) + height.to_bytes(8, "big")


def trail_key(height: int) -> bytes:
    """Return the key of the digest of a height's block; height 0 is the genesis."""
    return bytes([TRAIL]) + height.to_bytes(8, "big")
