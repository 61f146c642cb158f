"""The election: approval votes of organisations, tallied at the end of each epoch (seed 3.3, DPoS).

Upon the last block of an epoch: the r candidates with most votes decide from the next height.
An organisation has one vote for each candidate it names, of the weight that the genesis gives it: 1,
unless stated, and never more than the cap. Who sits keeps the seat unless a challenger leads by `lead`
votes (no change without a reason; with a lead of 1, of equals the sitting one stays); then the smaller
SHA-256 of the node key decides. With fewer than r candidates that anyone approves, the old set stays. A
node expelled on evidence (`evidence`) cannot be elected until its organisation is readmitted.

No organisation has more than one node, so none can hold more than f of r ≥ 4 seats. With r = 1 there
is nothing to divide. Who missed too many votes or erasures sits out the next epoch (`standing`), unless
too few others are approved of: then standing is left out of account.
"""

import hashlib
from dataclasses import dataclass

from hansa.chain.records import OrganisationRecord
from hansa.chain.standing import sitting_out
from hansa.chain.state import Reads, State
from hansa.types import OrganisationName, PublicKey


@dataclass(frozen=True, slots=True)
class Standing:
    """One organisation in the tally."""

    organisation: OrganisationName
    node_key: PublicKey
    votes: int
    """Sum of the weights of those who approve of it."""
    voters: tuple[OrganisationName, ...]
    """Active organisations that approve of it, sorted."""
    is_super_node: bool
    """In the set that decides the next block."""
    is_electable: bool
    sits_out: bool
    """Missed too many votes or erasures in this epoch to be elected for the next."""
    is_next: bool
    """Would be in the set if the epoch ended now."""


def tally(state: Reads) -> tuple[Standing, ...]:
    """Return all organisations as they stand, the first first."""
    members = {item.name: item for item in state.organisations()}
    rules = state.genesis.election_rules
    weights = rules.counted()
    approvals: dict[str, list[OrganisationName]] = {name: [] for name in members}
    votes: dict[str, int] = dict.fromkeys(members, 0)
    for vote in state.votes():
        if members[vote.organisation].status == "active":
            weight = weights.get(vote.organisation, 1)
            for name in vote.candidates:
                approvals[name].append(vote.organisation)
                votes[name] += weight
    present = set(state.election.super_nodes)
    absent = sitting_out(state)

    def is_electable(item: OrganisationRecord) -> bool:
        return _is_electable(item) and item.node_key not in absent

    def support(item: OrganisationRecord) -> tuple[int, bool, bytes]:
        # Before a sitting one come only those who lead it: as many votes more as the genesis demands.
        sits = item.node_key in present
        return (
            -(votes[item.name] + (rules.lead - 1 if sits else 0)),
            not sits,
            hashlib.sha256(item.node_key).digest(),
        )

    by_support = sorted(members.values(), key=support)
    ranked = sorted(by_support, key=lambda item: not is_electable(item))
    approved = [item for item in by_support if _is_electable(item) and approvals[item.name]]
    elected = _choose(state, approved, absent)
    return tuple(
        Standing(
            organisation=item.name,
            node_key=item.node_key,
            votes=votes[item.name],
            voters=tuple(approvals[item.name]),
            is_super_node=item.node_key in present,
            is_electable=is_electable(item),
            sits_out=item.node_key in absent,
            is_next=item.node_key in elected,
        )
        for item in ranked
    )


def elect(state: Reads) -> tuple[PublicKey, ...]:
    """Return the node keys, sorted, that would decide the next epoch if this one ended now."""
    return tuple(sorted(item.node_key for item in tally(state) if item.is_next))


def is_election_pending(state: State) -> bool:
    """Tell whether the votes now differ from the present set: a reason to reach the epoch's end."""
    if state.election_pending is None:
        state.election_pending = elect(state) != state.super_nodes()
    return state.election_pending


def _choose(
    state: Reads, approved: list[OrganisationRecord], absent: frozenset[PublicKey]
) -> set[PublicKey]:
    seats = state.genesis.parameters.super_nodes
    rested = [item for item in approved if item.node_key not in absent]
    # Standing must not keep an old set, with somebody expelled in it: then it is left out of account.
    chosen = rested if len(rested) >= seats else approved
    if len(chosen) < seats:
        return set(state.election.super_nodes)
    return {item.node_key for item in chosen[:seats]}


def _is_electable(organisation: OrganisationRecord) -> bool:
    return organisation.status == "active" and not organisation.expelled_height
