"""The genesis: founding organisations and everything all nodes must share. Its digest is the alliance id."""

import re
from typing import Literal

import msgspec
from typing_extensions import override

from hansa import limits
from hansa.chain.transactions import Candidate
from hansa.codec import decode, digest, encode
from hansa.crypto.signing import is_sound_point
from hansa.errors import InvalidError
from hansa.types import Digest, Millis, OrganisationName

GENESIS_TAG = "hansa.genesis.1"
NAME_PATTERN = re.compile(r"[a-z][a-z0-9-]{1,31}")


class Parameters(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What all nodes must share; changed only by agreement."""

    super_nodes: int = 4
    """r, of the form 3f+1: 1, 4, 7, … 31."""
    epoch_blocks: int = 64
    """Blocks in an epoch, a multiple of r."""
    proposal_timeout_ms: int = 2_000
    """How long round 0 waits for a proposal."""
    vote_timeout_ms: int = 1_000
    """How long a phase of round 0 waits once a quorum has voted differently."""
    timeout_growth_ms: int = 1_000
    """By how much each further round waits longer."""
    idle_receipt_ms: int = 300
    """After this much quiet, waiting erasures go into a block of their own."""
    block_transactions_max: int = 500
    block_bytes_max: int = 4 * limits.MIB
    transaction_lifetime_heights: int = 1_000
    """Furthest a transaction's expiry may lie ahead; digests are remembered as long."""
    transaction_age_ms_max: int = 600_000
    """A transaction's time may differ from the block's time by this much."""
    block_time_ahead_ms: int = 10_000
    """A block's time may be ahead of a reviewer's clock by this much."""
    fingerprint_profile: Literal["md5+sha1", "blake3"] = "md5+sha1"
    feature_model: int = 1
    """Version of the rule that vectors of descriptions follow from; all of a chain are of one."""
    recluster_registrations: int = 512
    """The index clusters anew after this many registrations."""


FULL = Parameters(feature_model=2)
"""For an alliance of organisations on different machines."""

SMALL = Parameters(
    epoch_blocks=8, proposal_timeout_ms=1_000, vote_timeout_ms=500, timeout_growth_ms=500
)
"""For one machine: short epochs, short timeouts."""


class VoteWeight(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """How much one founding organisation's vote for super nodes weighs."""

    organisation: OrganisationName
    weight: int
    """1 to VOTE_WEIGHT_MAX; counted up to the cap."""


class ElectionRules(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """How votes for super nodes count, and when a seat changes hands. Ballots on members know no weights."""

    weights: tuple[VoteWeight, ...] = ()
    """Sorted by organisation; whoever is not named, or is admitted later, weighs 1."""
    weight_cap: int = 1
    """No vote weighs more than this, whatever `weights` says: 1 is one organisation, one vote."""
    lead: int = 1
    """By how many votes a challenger must lead a sitting super node to take its seat."""

    def counted(self) -> dict[OrganisationName, int]:
        """Return what the votes of those named weigh, from 1 to the cap; all others weigh 1."""
        return {item.organisation: min(item.weight, self.weight_cap) for item in self.weights}


PLAIN = ElectionRules()
"""One organisation, one vote; of equals, who sits stays."""


class Genesis(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Block 0 of format 1: elections by plain rules."""

    format: Literal[1, 2]
    name: str
    """Name of the alliance, for people."""
    time_ms: Millis
    parameters: Parameters
    organisations: tuple[Candidate, ...]
    """Founding organisations, sorted by name."""
    super_nodes: tuple[OrganisationName, ...]
    """The founding set, sorted; elections replace it at the end of each epoch."""

    @property
    def election_rules(self) -> ElectionRules:
        """How votes for super nodes count."""
        return PLAIN

    def digest(self) -> Digest:
        """Return the alliance id, 32 bytes."""
        return digest(GENESIS_TAG, encode(self))


class RuledGenesis(Genesis, frozen=True):
    """Block 0 of format 2, which states its rules of election; with plain rules it is format 1."""

    election: ElectionRules

    @property
    @override
    def election_rules(self) -> ElectionRules:
        return self.election


def validate_candidate(candidate: Candidate) -> None:
    """Check the form of an organisation.

    Raises:
        InvalidError: a field is malformed; the message names it.
    """
    if not NAME_PATTERN.fullmatch(candidate.name):
        raise InvalidError(
            f"{candidate.name!r} is no organisation name.",
            remedy="Use a lower-case letter, then letters, digits or hyphens, 2 to 32 in all.",
        )
    if not 1 <= len(candidate.title) <= limits.TITLE_CHARACTERS_MAX:
        raise InvalidError(f"The title of {candidate.name} must have 1 to 300 characters.")
    if not 1 <= len(candidate.admin_name) <= limits.USER_NAME_CHARACTERS_MAX:
        raise InvalidError(f"The admin of {candidate.name} needs a name of 1 to 100 characters.")
    for what, key in (("node", candidate.node_key), ("admin", candidate.admin_key)):
        if not is_sound_point(key):
            raise InvalidError(f"The {what} key of {candidate.name} is no sound Ed25519 key.")
    if len(candidate.admin_encryption_key) != 32:
        raise InvalidError(f"The encryption key of {candidate.name} must be 32 bytes.")
    if not 1 <= len(candidate.certificate) <= limits.CERTIFICATE_BYTES_MAX:
        raise InvalidError(f"The certificate of {candidate.name} is empty or too long.")
    for what, address in (("peer", candidate.peer_address), ("API", candidate.api_url)):
        if not 1 <= len(address) <= limits.ADDRESS_CHARACTERS_MAX:
            raise InvalidError(f"The {what} address of {candidate.name} is empty or too long.")


def validate_parameters(parameters: Parameters) -> None:
    """Check the parameters and their relations.

    Raises:
        InvalidError: the message names the parameter and its range.
    """
    r = parameters.super_nodes
    if not 1 <= r <= limits.SUPER_NODES_MAX or r % 3 != 1:
        raise InvalidError(
            f"{r} super nodes will not do.",
            remedy=f"Choose 3f+1, at most {limits.SUPER_NODES_MAX}: 1, 4, 7, …",
        )
    if parameters.epoch_blocks < r or parameters.epoch_blocks % r:
        raise InvalidError("An epoch must be a multiple of the number of super nodes.")
    ranges = {
        "proposal_timeout_ms": (10, 600_000),
        "vote_timeout_ms": (10, 600_000),
        "timeout_growth_ms": (0, 600_000),
        "idle_receipt_ms": (0, 600_000),
        "block_transactions_max": (1, limits.BLOCK_TRANSACTIONS_MAX),
        "block_bytes_max": (limits.TRANSACTION_BYTES_MAX, limits.BLOCK_BYTES_MAX),
        "transaction_lifetime_heights": (1, limits.TRANSACTION_LIFETIME_HEIGHTS_MAX),
        "transaction_age_ms_max": (1_000, 86_400_000),
        "block_time_ahead_ms": (1_000, 600_000),
        "feature_model": (1, 1_000),
        "recluster_registrations": (1, 1_000_000),
    }
    for name, (low, high) in ranges.items():
        if not low <= getattr(parameters, name) <= high:
            raise InvalidError(f"Parameter {name} must be from {low} to {high}.")


def validate_genesis(genesis: Genesis) -> None:
    """Check a genesis whole.

    Raises:
        InvalidError: the message names what is wrong.
    """
    validate_parameters(genesis.parameters)
    names = [candidate.name for candidate in genesis.organisations]
    if not names or len(names) > limits.ORGANISATIONS_MAX or names != sorted(set(names)):
        raise InvalidError("Founding organisations must be sorted by name, each once.")
    for candidate in genesis.organisations:
        validate_candidate(candidate)
    for field in ("node_key", "admin_key"):
        if len({getattr(candidate, field) for candidate in genesis.organisations}) != len(names):
            raise InvalidError(f"Two founding organisations share one {field}.")
    chosen = genesis.super_nodes
    if list(chosen) != sorted(set(chosen)) or not set(chosen) <= set(names):
        raise InvalidError("The founding super nodes must be founding organisations, sorted.")
    if len(chosen) != genesis.parameters.super_nodes:
        raise InvalidError(
            f"{genesis.parameters.super_nodes} founding super nodes are needed, not {len(chosen)}."
        )
    if genesis.format != (2 if isinstance(genesis, RuledGenesis) else 1):
        raise InvalidError(f"A genesis of this form is not of format {genesis.format}.")
    if isinstance(genesis, RuledGenesis):
        _validate_rules(genesis.election, names)


def _validate_rules(rules: ElectionRules, founders: list[OrganisationName]) -> None:
    if rules == PLAIN:
        raise InvalidError("A genesis with plain rules of election is of format 1.")
    for what, value in (("weight cap", rules.weight_cap), ("lead", rules.lead)):
        if not 1 <= value <= limits.VOTE_WEIGHT_MAX:
            raise InvalidError(f"The {what} must be from 1 to {limits.VOTE_WEIGHT_MAX}.")
    named = [item.organisation for item in rules.weights]
    if named != sorted(set(named)) or not set(named) <= set(founders):
        raise InvalidError("Weights must be of founding organisations, sorted, each once.")
    if any(not 1 <= item.weight <= limits.VOTE_WEIGHT_MAX for item in rules.weights):
        raise InvalidError(f"A vote's weight must be from 1 to {limits.VOTE_WEIGHT_MAX}.")
    if named and rules.weight_cap == 1:
        raise InvalidError(
            "Under a cap of 1 the weights have no effect.",
            remedy="Raise the cap, or leave both out.",
        )
    counted = rules.counted()
    weights = [counted.get(name, 1) for name in founders]
    # Approval voting lets whoever has the majority choose every seat.
    if len(founders) > 1 and 2 * max(weights) >= sum(weights):
        raise InvalidError(
            "One organisation's vote would weigh as much as all others' together.",
            remedy="Lower the weight cap.",
        )


def decode_genesis(data: bytes) -> Genesis:
    """Decode and check a genesis file, of either format.

    Raises:
        InvalidError: malformed or inconsistent.
    """
    # The first byte is the array's length, the second the format; the strict decoding checks both.
    kind = RuledGenesis if data[1:2] == b"\x02" else Genesis
    genesis = decode(kind, data, bytes_max=64 * limits.MIB)
    validate_genesis(genesis)
    return genesis
