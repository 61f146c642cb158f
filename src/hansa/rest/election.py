"""The REST contract: super nodes, the tally, and the look at the quorum. See `rest`."""

from hansa.rest.base import Json


class CandidateView(Json, frozen=True):
    """An organisation as a candidate for super node."""

    organisation: str
    votes: int
    """Sum of the weights of its voters."""
    voters: list[str]
    is_super_node: bool
    is_next: bool
    """Would be elected if the epoch ended now."""
    owed: int = 0
    """Blocks of this epoch that super nodes owed a vote and an acknowledgement for."""
    acknowledged: int = 0
    voted: int = 0
    sits_out: bool = False
    """Missed more than half of either: not elected for the next epoch."""
    weight: int = 1
    """How much its own vote counts."""


class SuperNodesView(Json, frozen=True):
    """The present set and the tally."""

    epoch: int
    epoch_ends_at: int
    """Last height of the epoch."""
    seats: int
    faults: int
    quorum: int
    candidates: list[CandidateView]
    lead: int = 1
    """By how many votes a challenger must lead a sitting super node to take its seat."""


class PreflightView(Json, frozen=True):
    """What a vote or a suspension would do, as this node sees the others now."""

    would_decide: list[str]
    """Who would decide from the next epoch, if it began with that change."""
    objections: list[str]
    """Why blocks would stop; empty if they would go on."""
