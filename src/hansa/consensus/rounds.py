"""What one replica knows about one height: rounds, votes, candidates, its lock and its promises.

Names follow Tendermint (arXiv 1807.04938, algorithm 1): step, locked and valid value and round. Data
and simple derivations only; `agreement` applies the rules.
"""

from dataclasses import dataclass, field
from typing import Literal

from hansa import limits
from hansa.chain.blocks import Block, Certificate, SignedVote, faults_of
from hansa.chain.findings import Finding
from hansa.chain.transition import Execution
from hansa.consensus.messages import Propose
from hansa.consensus.quorum import VoteSet
from hansa.types import NO_DIGEST, Digest, Height, PublicKey, Round

Step = Literal["propose", "review", "confirm"]

ROUNDS_KEPT = 32
"""Votes of rounds further back are dropped: they may cost a decision time, never safety."""


@dataclass(slots=True)
class Candidate:
    """A block that may be decided at this height, with what its public part executes to."""

    block: Block
    digest: Digest
    execution: Execution | None = None
    code: str = ""
    """Why its public part is invalid; empty if it is valid or not judged yet."""


@dataclass(slots=True)
class RoundState:
    """Votes and proposal of one round."""

    number: Round
    reviews: VoteSet
    confirms: VoteSet
    proposal: Propose | None = None
    findings: dict[PublicKey, Finding] = field(default_factory=dict)
    """Why each super node that voted for no block did so, as it signed."""
    is_review_timed: bool = False
    is_confirm_timed: bool = False
    is_compared: bool = False
    is_erase_sent: bool = False

    def votes(self, phase: str) -> VoteSet:
        """Return the votes of a phase."""
        return self.reviews if phase == "review" else self.confirms


class HeightState:
    """One height in progress."""

    def __init__(self, height: Height, members: tuple[PublicKey, ...]) -> None:
        self.height = height
        self.members = members
        self.round = Round(0)
        self.step: Step = "propose"
        self.locked_round = Round(-1)
        self.locked_digest: Digest = NO_DIGEST
        self.valid: Certificate | None = None
        """Latest review certificate whose block is here."""
        self.candidates: dict[Digest, Candidate] = {}
        self.rounds: dict[int, RoundState] = {}
        self.own: dict[tuple[int, str], SignedVote] = {}
        """Own votes by (round, phase): promises; each slot is filled once."""
        self.own_proposals: dict[int, Digest] = {}
        """Own proposals by round, kept promises too."""
        self.persisted: set[Digest] = set()
        """Bodies that are in the vote log."""
        self.erased: dict[int, tuple[Digest, int]] = {}
        """Copies erased, by round: the block proposed in it and how many."""
        self.latest: dict[PublicKey, int] = {}
        """Highest round in which each super node has voted."""

    @property
    def is_touched(self) -> bool:
        """Whether the height is under way: a proposal, an own promise, or votes of f+1 super nodes.

        One super node alone cannot make the others expect a block where there is nothing for one.
        """
        return (
            bool(self.own or self.own_proposals)
            or self.round > 0
            or len(self.latest) > faults_of(len(self.members))
            or self.round_state(self.round).proposal is not None
        )

    @property
    def valid_round(self) -> Round:
        """Round of the latest review certificate, or -1."""
        return self.valid.vote.round if self.valid is not None else Round(-1)

    @property
    def present(self) -> RoundState:
        """The present round."""
        return self.round_state(self.round)

    def round_state(self, number: int) -> RoundState:
        """Return the state of a round, made at first use; the caller bounded `number`."""
        found = self.rounds.get(number)
        if found is None:
            size = len(self.members)
            found = RoundState(Round(number), VoteSet(size), VoteSet(size))
            self.rounds[number] = found
        return found

    def is_round_near(self, number: int) -> bool:
        """Tell whether votes of a round are kept."""
        return self.round - ROUNDS_KEPT < number <= self.round + limits.ROUNDS_AHEAD_MAX

    def note_round(self, voter: PublicKey, number: int) -> None:
        """Note that a super node has voted in a round."""
        if number > self.latest.get(voter, -1):
            self.latest[voter] = number

    def jump_target(self, faults: int) -> int:
        """Return the highest round that f+1 super nodes have reached; one honest one is among them.

        -1 if that is known of none, or if nobody is further than the present round.
        """
        if max(self.latest.values(), default=-1) <= self.round:
            return -1  # asked after every event, and mostly so
        reached = sorted(self.latest.values(), reverse=True)
        return reached[faults] if len(reached) > faults else -1

    def enter(self, number: int) -> None:
        """Move to a round, forgetting what is too old to matter."""
        assert number >= self.round
        self.round = Round(number)
        self.step = "propose"
        for old in [item for item in self.rounds if item <= number - ROUNDS_KEPT]:
            del self.rounds[old]
        wanted = {self.locked_digest}
        if self.valid is not None:
            wanted.add(self.valid.vote.digest)
        for state in self.rounds.values():
            if (named := state.confirms.decided()) is not None:
                wanted.add(named)
            if state.number >= number - 1 and state.proposal is not None:
                wanted.add(state.proposal.proposal.digest)
            elif state.number < number and state.proposal is not None:
                state.proposal = None
        self.candidates = {key: item for key, item in self.candidates.items() if key in wanted}

    def candidate(self, block: Block, named: Digest) -> Candidate:
        """Return the candidate of a block, made at first use."""
        found = self.candidates.get(named)
        if found is None:
            found = self.candidates[named] = Candidate(block, named)
        return found
