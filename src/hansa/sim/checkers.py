"""What must hold after every step of a simulated world; a breach is a violation, with its step.

1. Agreement: one block at each height, under a valid certificate of the set that the block before named.
2. Validity: each block follows from the one before by the rules, judged again with a state of its own.
3. No vote and no proposal twice in a slot, restarts included; each durable before it is sent.
4. Copies only of the round in progress, their buffers overwritten when it is over; none at rest, none
   acknowledged as erased while held, nothing confidential on a disk.
5. A lock names a body that is here and durable; a block is approved again only with a quorum's reviews.
6. No honest node accused by another. Roots equal, and no block ever taken back.
"""

from collections.abc import Iterable

from hansa.chain import records
from hansa.chain.blocks import CertifiedBlock, Erasure, SignedVote, is_certificate_valid
from hansa.chain.draft import Draft
from hansa.chain.evidence import Evidence, accused, kind_of
from hansa.chain.state import State
from hansa.chain.validation import convict_at, validate_block
from hansa.codec import decode
from hansa.consensus.effects import ReportFault
from hansa.consensus.messages import (
    Confirm,
    Erased,
    Propose,
    Review,
    VotesAgain,
    decode_message,
)
from hansa.consensus.records import ProposalRecord, Record, VoteRecord
from hansa.consensus.replica import Replica
from hansa.errors import HansaError
from hansa.sim.disk import Disk
from hansa.sim.members import MARKER
from hansa.types import NO_DIGEST, Digest, PublicKey

VoteSlot = tuple[PublicKey, int, int, str]
ACCUSATIONS = frozenset(
    {
        "malformed",
        "equivocation",
        "double-proposal",
        "invalid-proposal",
        "invalid-decision",
        "wrong-vote",
        "wrong-finding",
        "wrong-refusal",
    }
)
"""Reports that say somebody broke the rules. A differing review is none: both may be honest."""


class Checkers:
    """Collects violations of one world."""

    def __init__(self, genesis: State, faulty: Iterable[PublicKey] = ()) -> None:
        self.violations: list[str] = []
        self.blocks: dict[int, Digest] = {}
        self.rounds: dict[int, int] = {}
        """Round in which each height was decided, as the first certificate says."""
        self.state = genesis
        """The state after all blocks that anybody honest committed, executed here once more."""
        self._parent: CertifiedBlock | None = None
        self._faulty = frozenset(faulty)
        self._votes: dict[VoteSlot, Digest] = {}
        self._proposals: dict[tuple[PublicKey, int, int], Digest] = {}
        self._members: dict[int, tuple[PublicKey, ...]] = {1: genesis.super_nodes()}
        self._heights: dict[PublicKey, int] = {}
        self._copies: dict[PublicKey, list[tuple[tuple[int, int], bytearray]]] = {}
        self._seen: bytes = b""

    def violate(self, text: str) -> None:
        """Note a violation once."""
        if text not in self.violations:
            self.violations.append(text)

    # --- promises ----------------------------------------------------------------------------------

    def persisted(self, who: PublicKey, records: Iterable[bytes]) -> None:
        """A node made promises durable."""
        for data in records:
            if MARKER.encode() in data:
                self.violate("confidential bytes in a vote log")
            record: Record = decode(Record, data)  # type: ignore[arg-type]
            if isinstance(record, VoteRecord):
                self._note_vote(who, record.vote)
            elif isinstance(record, ProposalRecord):
                slot = (who, int(record.height), int(record.round))
                if self._proposals.setdefault(slot, record.digest) != record.digest:
                    self.violate(f"double proposal at height {slot[1]} round {slot[2]}")

    def _note_vote(self, who: PublicKey, signed: SignedVote) -> None:
        vote = signed.vote
        slot = (who, vote.height, vote.round, vote.phase)
        known = self._votes.setdefault(slot, vote.digest)
        if known != vote.digest:
            self.violate(f"double {vote.phase} vote at height {vote.height} round {vote.round}")

    def started(self, who: PublicKey, disk: Disk) -> None:
        """A node reads its disk: what a crash left counts as promised, and no block is missing."""
        self.persisted(who, disk.votes)
        if disk.state.height < self._heights.get(who, 0):
            self.violate("a restart took blocks back")
        self._copies.pop(who, None)

    def joined(self, who: PublicKey, state: State, tip: CertifiedBlock) -> None:
        """A node took a snapshot; of its disk nothing else is left."""
        header = tip.block.header
        if self.blocks.get(header.height) != header.digest():
            self.violate(f"a snapshot of height {header.height} was taken of another chain")
        if (state.height, state.root) != (header.height, header.state_root):
            self.violate(f"a snapshot's state is not that of height {header.height}")
        if any(voter == who and height > state.height for voter, height, *_ in self._votes):
            self.violate("a node that had voted took a snapshot older than its vote")
        self._heights[who] = state.height

    def sent(self, who: PublicKey, replica: Replica | None, data: bytes) -> None:
        """An honest node sent a message."""
        if data is self._seen:
            return
        self._seen = data
        message = decode_message(data)
        votes: tuple[SignedVote, ...] = ()
        if isinstance(message, Review):
            votes = (message.vote,)
            self._erased(replica, who, message.erasures)
        elif isinstance(message, Confirm):
            votes = (message.vote,)
        elif isinstance(message, VotesAgain):
            votes = message.votes
        elif isinstance(message, Erased):
            self._erased(replica, who, message.erasures)
        elif isinstance(message, Propose) and message.proposal.master == who:
            proposal = message.proposal
            slot = (who, int(proposal.height), int(proposal.round))
            if self._proposals.get(slot) != proposal.digest:
                self.violate("a proposal was sent that is not in the vote log")
        for signed in votes:
            vote = signed.vote
            if signed.voter == who and self._votes.get(
                (signed.voter, vote.height, vote.round, vote.phase)
            ) != (vote.digest):
                self.violate("a vote was sent that is not in the vote log")

    # --- blocks ------------------------------------------------------------------------------------

    def committed(self, who: PublicKey, certified: CertifiedBlock, state: State) -> None:
        """An honest node appended a block."""
        header, named = certified.block.header, certified.block.header.digest()
        height = header.height
        known = self.blocks.setdefault(height, named)
        self._heights[who] = max(height, self._heights.get(who, 0))
        if known != named:
            self.violate(f"two blocks at height {height}")
            return
        if state.height == height and state.root != header.state_root:
            self.violate(f"the state root differs at height {height}")
        members = self._members.get(height)
        if members is None or header.super_nodes != members:
            self.violate(f"the set of height {height} is not what the block before named")
            return
        self._members[height + 1] = header.next_super_nodes
        vote = certified.certificate.vote
        if vote.digest != named or vote.phase != "confirm" or vote.height != height:
            self.violate(f"the certificate of height {height} is for something else")
        if vote.epoch != header.epoch or not is_certificate_valid(certified.certificate, members):
            self.violate(f"the certificate of height {height} does not hold")
        self.rounds.setdefault(height, vote.round)
        if height == self.state.height + 1:
            self._follow(certified)

    def _follow(self, certified: CertifiedBlock) -> None:
        """Judge a block anew, from this room's own state and with no signature taken for granted."""
        parent = self._parent.block.header if self._parent is not None else None
        try:
            execution = validate_block(self.state, certified.block, parent)
        except HansaError as error:
            self.violate(f"the block of height {self.state.height + 1} is not valid: {error}")
            return
        self.state = self.state.advanced(execution)
        self._parent = certified

    # --- copies and locks --------------------------------------------------------------------------

    def stepped(self, who: PublicKey, replica: Replica) -> None:
        """A step of an honest node is over."""
        held = replica.copies_of()
        if held:
            for height, round_number in held:
                if height != replica.height + 1 or round_number != replica.round:
                    self.violate(
                        f"a copy of height {height} round {round_number} outlived its round"
                    )
        if held or who in self._copies:
            self._watch_buffers(who, replica)
        state = replica._agreement.height
        locked = state.locked_digest
        if locked != NO_DIGEST and (
            locked not in state.candidates or locked not in state.persisted
        ):
            self.violate(f"a lock of height {state.height} names a body that is not here")
        own = state.own.get((state.round, "review"))
        proposal = state.present.proposal
        if own is not None and proposal is not None and proposal.certificate is not None:
            self._check_approval(own, proposal, state.members)

    def _check_approval(
        self, own: SignedVote, propose: Propose, members: tuple[PublicKey, ...]
    ) -> None:
        """A block proposed again was approved: the quorum that stands for its copies did review it."""
        named, certificate = propose.proposal.digest, propose.certificate
        assert certificate is not None
        vote = certificate.vote
        if own.vote.digest == named and not (
            (vote.height, vote.phase, vote.digest) == (own.vote.height, "review", named)
            and vote.round < own.vote.round
            and is_certificate_valid(certificate, members)
        ):
            self.violate(f"a block of height {vote.height} was approved again without its reviews")

    def _watch_buffers(self, who: PublicKey, replica: Replica) -> None:
        """Keep hold of each copy's buffer: once the vault lets go of it, it must be zeros."""
        slots = replica._vault._rounds
        now = [(slot, item) for slot, copies in slots.items() for item in copies.values()]
        kept = {id(item) for _, item in now}
        for slot, buffer in self._copies.get(who, ()):
            if id(buffer) not in kept and any(buffer):
                self.violate(f"a copy of height {slot[0]} round {slot[1]} was not overwritten")
        if now:
            self._copies[who] = now
        else:
            self._copies.pop(who, None)

    def _erased(
        self, replica: Replica | None, who: PublicKey, erasures: tuple[Erasure, ...]
    ) -> None:
        if replica is None:
            return
        for erasure in erasures:
            if erasure.super_node == who and replica._vault.held(erasure.height, erasure.round):
                self.violate("an erasure was acknowledged while the copies are held")

    # --- accusations -------------------------------------------------------------------------------

    def accused(self, who: PublicKey, fault: ReportFault) -> None:
        """A node reported another."""
        if fault.kind in ACCUSATIONS and not {who, fault.who} & self._faulty:
            self.violate(f"an honest node was accused of {fault.kind}: {fault.detail}")

    def proved(self, who: PublicKey, evidence: Evidence) -> None:
        """A node holds what it takes for the proof of a lie."""
        if who in self._faulty:
            return
        draft = Draft(self.state)
        tip = self.state.alliance if self._parent is None else self._parent.block.header.digest()
        draft.put(records.trail_key(self.state.height), records.TrailRecord(tip, 0))
        if not convict_at(0)(evidence, draft):
            self.violate(f"an honest node accuses of {kind_of(evidence)} and proves nothing")
        if accused(evidence) not in self._faulty:
            self.violate("there is evidence against an honest node")

    def at_rest(self) -> None:
        """All is quiet: nobody honest was expelled."""
        for member in self.state.organisations():
            if member.expelled_height and member.node_key not in self._faulty:
                self.violate("an honest node was expelled")
