"""Standing: who of the super nodes was there, counted from the chain alone, so that all count alike.

Upon a block with transactions: each super node owes a confirm and an ERASED for it. Upon an ERASED in a
later block: it is recorded, and counted with the confirm vote it carries; any later master of the epoch
may bring it, so one master's silence costs nobody anything. Upon the epoch's end: whoever lacks more than
half of either sits out the next epoch. What cannot be proved is never evidence; it costs standing only.

1. A height counts if its block has transactions and a window of r masters follows it in its epoch.
2. One ERASED for each super node and height counts, whatever rounds it names.
3. Nothing counts against anybody before at least two heights do.
"""

from collections.abc import Sequence

import msgspec

from hansa import limits
from hansa.chain import records
from hansa.chain.blocks import Erasure, SignedVote, Vote, is_erasure_signed, is_vote_signed
from hansa.chain.draft import Draft
from hansa.chain.records import ErasureEntry, ErasuresRecord, StandingEntry, StandingRecord
from hansa.chain.state import Reads, State
from hansa.types import Digest, Epoch, Height, PublicKey

OWED_MIN = 2
PATIENCE_HEIGHTS = 2
"""After the last height that counts: by then its acknowledgements can be in a block."""


def is_erasure_valid(state: State, erasure: Erasure, height: Height, parent: Digest) -> bool:
    """Tell whether a block at `height` may carry an acknowledgement; the state is the one before it.

    It must be for an earlier height of this or the last epoch, by a super node of that height, well
    signed, remembered still, and the first of that super node for that height and round. One of a
    committed block must name that block; a vote that it carries must be for it.
    """
    past, parameters = erasure.height, state.genesis.parameters
    oldest = max(0, height - parameters.transaction_lifetime_heights)
    if (
        erasure.alliance != state.alliance
        or not oldest < past < height
        or erasure.super_node not in set_of(state, past)
        or not 0 <= erasure.round <= limits.ROUND_MAX
        or len(erasure.digest) != 32
        or not 0 <= erasure.copies <= limits.BLOCK_TRANSACTIONS_MAX
    ):
        return False
    decided = parent if past == state.height else state.trail(past)
    known = {(entry.super_node, entry.round) for entry in state.erasures(past)}
    return (
        (erasure.outcome == "failed" or erasure.digest == decided)
        and (erasure.super_node, erasure.round) not in known
        and is_erasure_signed(erasure)
        and _is_vote_sound(erasure, parameters.epoch_blocks)
    )


def set_of(state: State, past: int) -> tuple[PublicKey, ...]:
    """Return the set that decided a height of this or the last epoch; of an older one nobody."""
    election = state.election
    if past >= election.first_height:
        return election.super_nodes
    if past >= election.first_height - state.genesis.parameters.epoch_blocks:
        return election.previous_super_nodes
    return ()


def _is_vote_sound(erasure: Erasure, epoch_blocks: int) -> bool:
    """Tell whether an acknowledgement carries no vote, or its super node's confirm of that block."""
    if not erasure.vote:
        return True
    if erasure.outcome != "committed":
        return False
    epoch = Epoch((erasure.height - 1) // epoch_blocks)
    vote = Vote(erasure.alliance, epoch, erasure.height, erasure.round, "confirm", erasure.digest)
    return is_vote_signed(SignedVote(vote, erasure.super_node, erasure.vote))


def record_erasures(draft: Draft, height: Height, erasures: Sequence[Erasure]) -> None:
    """Enter acknowledgements that a block carries, and count what they say of who was there."""
    known: dict[Height, list[ErasureEntry]] = {}
    owed: list[ErasureEntry] = []
    for erasure in erasures:
        entries = known.get(erasure.height)
        if entries is None:
            entries = known[erasure.height] = list(draft.erasures(erasure.height))
        entry = ErasureEntry(
            round=erasure.round,
            outcome=erasure.outcome,
            digest=erasure.digest,
            copies=erasure.copies,
            super_node=erasure.super_node,
            recorded_height=height,
            has_voted=bool(erasure.vote),
        )
        is_first = not any(
            (item.super_node, item.outcome) == (entry.super_node, "committed") for item in entries
        )
        entries.append(entry)
        if entry.outcome == "committed" and is_first and _was_owed(draft, height, erasure.height):
            owed.append(entry)
    for past, entries in known.items():
        draft.put(records.erasures_key(past), ErasuresRecord(tuple(entries)))
    if owed:
        _credit(draft, owed)


def count_block(draft: Draft, height: Height, transactions: int) -> None:
    """Note that the super nodes owe for a block with transactions."""
    if transactions and height <= counted_until(draft):
        standing = draft.standing
        draft.put(records.STANDING_KEY, msgspec.structs.replace(standing, owed=standing.owed + 1))


def counted_until(state: Reads) -> int:
    """Return the last height of the epoch that counts: a window of masters follows it."""
    parameters = state.genesis.parameters
    return state.election.first_height + parameters.epoch_blocks - 1 - parameters.super_nodes


def _was_owed(draft: Draft, height: Height, past: Height) -> bool:
    if not draft.election.first_height <= past <= counted_until(draft):
        return False
    assert past < height
    trail = draft.trail_record(past)
    return trail is not None and trail.transactions > 0


def _credit(draft: Draft, owed: Sequence[ErasureEntry]) -> None:
    standing = draft.standing
    credited = {item.node_key: item for item in standing.entries}
    for entry in owed:
        before = credited.get(entry.super_node, StandingEntry(entry.super_node, 0, 0))
        credited[entry.super_node] = StandingEntry(
            entry.super_node, before.acknowledged + 1, before.voted + entry.has_voted
        )
    entries = tuple(credited[key] for key in sorted(credited))
    draft.put(records.STANDING_KEY, StandingRecord(standing.owed, entries))


def sitting_out(state: Reads) -> frozenset[PublicKey]:
    """Return the super nodes that would sit out the next epoch if this one ended now."""
    standing = state.standing
    if standing.owed < OWED_MIN or state.head.height < counted_until(state) + PATIENCE_HEIGHTS:
        return frozenset()
    credited = {item.node_key: item for item in standing.entries}
    found = set()
    for key in state.election.super_nodes:
        item = credited.get(key, StandingEntry(key, 0, 0))
        if 2 * min(item.acknowledged, item.voted) < standing.owed:
            found.add(key)
    return frozenset(found)
