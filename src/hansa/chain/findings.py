"""Findings and refusals: what a super node signs about what it rejects, so that it answers for it.

Upon a vote for no block in the first phase (step 4): a finding says why, for which block, at which
height and state. Upon a request that will not be proposed (step 2): a refusal says the same of one
transaction. Of their reasons only those count as evidence that follow from public parts and that
state alone (`PROVABLE`); what rests on an erased copy, on a clock or on I/O never does.
"""

from typing import Final, Literal

import msgspec

from hansa import limits
from hansa.codec import encode
from hansa.crypto.signing import SigningKey, is_signed
from hansa.types import Digest, Height, PublicKey, Round, Signature

FINDING_TAG: Final = "hansa.finding.1"
REFUSAL_TAG: Final = "hansa.refusal.1"

FindingCode = Literal[
    "no-proposal", "invalid", "wrong-origin", "time-ahead", "locked", "copies", "vault-full"
]

PROVABLE: Final = frozenset(
    {
        "wrong-alliance",
        "lifetime",
        "replayed",
        "bad-signature",
        "unknown-user",
        "user-revoked",
        "organisation-suspended",
        "role-missing",
        "malformed-candidate",
        "name-taken",
        "key-in-use",
        "unknown-organisation",
        "already-suspended",
        "costs-quorum",
        "own-organisation",
        "already-voted",
        "too-many-ballots",
        "too-many-organisations",
        "malformed-user",
        "last-admin",
        "malformed-vote",
        "unknown-dataset",
        "not-owner",
        "dataset-retired",
        "malformed-description",
        "false-features",
        "malformed-policy",
        "malformed-version",
        "wrong-attestation",
        "wrong-version",
        "too-many-versions",
        "own-dataset",
        "no-justification",
        "unknown-request",
        "request-decided",
        "not-granted",
        "requester-inactive",
        "malformed-grant",
        "malformed-reason",
    }
)
"""Reasons of a refusal that hold, or do not, whatever the time is: by public parts and state alone."""


class _Value(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Base of the values here."""


class Verdict(_Value, frozen=True):
    """Why a reviewer rejects one transaction."""

    transaction: Digest
    code: str


class Finding(_Value, frozen=True):
    """Step 4: why a super node reviewed a round and voted for no block."""

    alliance: Digest
    height: Height
    round: Round
    state_root: Digest
    """State judged on: the one of the height before."""
    digest: Digest
    """The block judged; NO_DIGEST if there was none."""
    code: FindingCode
    """Why the block as a whole is rejected."""
    verdicts: tuple[Verdict, ...]
    """Rejected transactions; with code "copies" only."""
    reviewer: PublicKey
    signature: Signature
    """Over this struct with an empty signature."""


class Refusal(_Value, frozen=True, tag=2):
    """Step 2: a super node will not propose a transaction, and signs why."""

    alliance: Digest
    transaction: Digest
    code: str
    """Stable reason code; "reseal" if it does not open with the present sealing key."""
    height: Height
    """The height that was to be proposed; judged on the state of the one before."""
    state_root: Digest
    """State judged on."""
    refuser: PublicKey
    signature: Signature
    """Over this struct with an empty signature."""


def sign_finding(finding: Finding, key: SigningKey) -> Finding:
    """Return the finding with its reviewer's signature."""
    bare = msgspec.structs.replace(finding, signature=Signature(b""))
    return msgspec.structs.replace(bare, signature=key.sign(FINDING_TAG, encode(bare)))


def is_finding_signed(finding: Finding) -> bool:
    """Tell whether the named reviewer signed the finding."""
    bare = msgspec.structs.replace(finding, signature=Signature(b""))
    return is_signed(FINDING_TAG, encode(bare), finding.signature, finding.reviewer)


def is_finding_sound(finding: Finding) -> bool:
    """Tell whether a finding's fields have the sizes and the relations that they must have."""
    return (
        len(finding.digest) == len(finding.state_root) == 32
        and 0 <= finding.round <= limits.ROUND_MAX
        and len(finding.verdicts) <= limits.BLOCK_TRANSACTIONS_MAX
        and (finding.code == "copies" or not finding.verdicts)
        and all(
            len(item.transaction) == 32 and len(item.code) <= limits.CODE_CHARACTERS_MAX
            for item in finding.verdicts
        )
    )


def sign_refusal(refusal: Refusal, key: SigningKey) -> Refusal:
    """Return the refusal with the super node's signature."""
    bare = msgspec.structs.replace(refusal, signature=Signature(b""))
    return msgspec.structs.replace(bare, signature=key.sign(REFUSAL_TAG, encode(bare)))


def is_refusal_signed(refusal: Refusal) -> bool:
    """Tell whether the named super node signed the refusal."""
    bare = msgspec.structs.replace(refusal, signature=Signature(b""))
    return is_signed(REFUSAL_TAG, encode(bare), refusal.signature, refusal.refuser)
