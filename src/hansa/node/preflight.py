"""Pre-flight: what a vote or a suspension would cost, told before anything is signed.

The chain refuses a suspension that leaves fewer than a quorum of members in the set (`costs-quorum`). It
cannot know whose node is down; a node does. Upon a planned change: it is applied to a draft of the state as
if it were decided, and of the set that decides now, and of the one that the tally would then name, those
are counted that are active, were never proved to lie, and are reached from here. Fewer than a quorum is an
objection. An admission changes neither set, so nothing is asked about it.
"""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass

import msgspec

from hansa.chain import records
from hansa.chain.blocks import quorum_of
from hansa.chain.draft import Draft
from hansa.chain.election import elect
from hansa.chain.records import VoteRecord
from hansa.chain.state import Reads, State
from hansa.errors import MissingError
from hansa.types import Height, OrganisationName, PublicKey


@dataclass(frozen=True, slots=True)
class Preflight:
    """What a change would do to the sets of super nodes."""

    deciding: tuple[PublicKey, ...]
    """Who would decide from the next epoch, sorted."""
    objections: tuple[str, ...]
    """Why blocks would stop, in words; none if they would go on."""


def suspending(
    state: State, organisation: OrganisationName, reached: AbstractSet[PublicKey]
) -> Preflight:
    """Look at a suspension as if its ballot were decided.

    Args:
        state: after the last block.
        organisation: who would be suspended.
        reached: node keys that are connected, this node's own among them.

    Raises:
        MissingError: no such member.
    """
    target = state.organisation(organisation)
    if target is None:
        raise MissingError(f"No organisation is named {organisation[:64]!r}.")
    draft = Draft(state)
    suspended = msgspec.structs.replace(target, status="suspended")
    draft.put(records.organisation_key(target.name), suspended)
    return _judge(state, draft, reached, changes_present=True)


def voting(
    state: State,
    organisation: OrganisationName,
    candidates: tuple[OrganisationName, ...],
    reached: AbstractSet[PublicKey],
) -> Preflight:
    """Look at an organisation's vote as if the epoch ended with it; without candidates it is withdrawn.

    Raises:
        MissingError: a candidate is no active member.
    """
    for name in candidates:
        member = state.organisation(name)
        if member is None or member.status != "active":
            raise MissingError(f"No active organisation is named {name[:64]!r}.")
    draft, key = Draft(state), records.vote_key(organisation)
    if candidates:
        names = tuple(sorted(set(candidates)))
        draft.put(key, VoteRecord(organisation, names, Height(state.height + 1)))
    elif state.vote(organisation) is not None:
        draft.delete(key)
    return _judge(state, draft, reached, changes_present=False)


def _judge(
    state: State, draft: Draft, reached: AbstractSet[PublicKey], *, changes_present: bool
) -> Preflight:
    present, following = state.super_nodes(), elect(draft)
    found = [_objection(draft, present, reached, "that decide now")] if changes_present else []
    if following not in (present, elect(state)):
        found.append(_objection(draft, following, reached, "that the next epoch would have"))
    return Preflight(following, tuple(text for text in found if text))


def _objection(
    state: Reads, seats: tuple[PublicKey, ...], reached: AbstractSet[PublicKey], which: str
) -> str:
    """Return why a set would decide nothing, or an empty text."""
    lacking = []
    for key in seats:
        member = state.organisation_by_node_key(key)
        assert member is not None, "a seat is a member's"
        if member.status != "active":
            lacking.append(f"{member.name} (suspended)")
        elif member.expelled_height:
            lacking.append(f"{member.name} (expelled)")
        elif key not in reached:
            lacking.append(f"{member.name} (not reached)")
    left, quorum = len(seats) - len(lacking), quorum_of(len(seats))
    if left >= quorum:
        return ""
    return (
        f"Of the {len(seats)} super nodes {which}, {left} would be left and {quorum} are needed:"
        f" without {', '.join(sorted(lacking))}."
    )
