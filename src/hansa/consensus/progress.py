"""Progress: how far the agreement on the next block has come at one node, for people to look at."""

from dataclasses import dataclass

from hansa.consensus.rounds import HeightState, Step
from hansa.consensus.schedule import Absence
from hansa.types import Height, PublicKey, Round


@dataclass(frozen=True, slots=True)
class Progress:
    """One node's view of the height in progress; nothing in it is agreed on."""

    height: Height
    """The height that is being agreed on."""
    round: Round
    step: Step
    master: PublicKey | None
    """Whose turn it is; None if this node does not know."""
    is_super_node: bool
    is_synced: bool
    """Whether a quorum is known to be no higher; without it this node does not vote."""
    expects_block: bool
    """Whether there is anything to agree on, as far as this node knows."""
    has_proposal: bool
    members: tuple[PublicKey, ...]
    """The super nodes of this height."""
    reviewed: frozenset[PublicKey]
    """Those whose review of the present round is here, for a block or for none."""
    confirmed: frozenset[PublicKey]
    """Those whose confirm of the present round is here."""
    absent: tuple[Absence, ...]
    """Super nodes that others stand in for at this height."""
    locked_round: Round
    """Round in which this node locked on a block; -1 if it is free."""
    waiting_transactions: int
    """Opened or sealed transactions that wait here for a proposal."""
    unsettled_submissions: int
    """Transactions of own users that are in no block yet."""


def measure(
    height: HeightState,
    *,
    master: PublicKey | None,
    is_super_node: bool,
    is_synced: bool,
    expects_block: bool,
    absent: tuple[Absence, ...],
    waiting_transactions: int,
    unsettled_submissions: int,
) -> Progress:
    """Return the progress of a height in progress."""
    present = height.present
    return Progress(
        height=height.height,
        round=height.round,
        step=height.step,
        master=master,
        is_super_node=is_super_node,
        is_synced=is_synced,
        expects_block=expects_block,
        has_proposal=present.proposal is not None,
        members=height.members,
        reviewed=frozenset(vote.voter for vote in present.reviews.votes()).union(
            present.reviews.aside
        ),
        confirmed=frozenset(vote.voter for vote in present.confirms.votes()),
        absent=absent,
        locked_round=height.locked_round,
        waiting_transactions=waiting_transactions,
        unsettled_submissions=unsettled_submissions,
    )
