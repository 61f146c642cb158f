"""What must hold after every step of a simulated world; a breach is a violation, with its step.

Agreement (one block at each height, a valid certificate over it), no double vote (restarts included),
every sent vote durable before, copies only of the present height and none at rest, nothing
confidential on a disk, roots equal, nothing acknowledged lost.
"""

from collections.abc import Iterable

from hansa.chain.blocks import CertifiedBlock, SignedVote, is_certificate_valid
from hansa.chain.state import State
from hansa.codec import decode
from hansa.consensus.messages import Confirm, Review, VotesAgain, decode_message
from hansa.consensus.records import Record, VoteRecord
from hansa.consensus.replica import Replica
from hansa.sim.members import MARKER
from hansa.types import Digest, PublicKey

VoteSlot = tuple[PublicKey, int, int, str]


class Checkers:
    """Collects violations of one world."""

    def __init__(self) -> None:
        self.violations: list[str] = []
        self.blocks: dict[int, Digest] = {}
        self._votes: dict[VoteSlot, Digest] = {}
        self._members: dict[int, tuple[PublicKey, ...]] = {}
        self._seen: bytes = b""

    def violate(self, text: str) -> None:
        """Note a violation once."""
        if text not in self.violations:
            self.violations.append(text)

    def genesis(self, state: State) -> None:
        """Note the founding set."""
        self._members[1] = state.super_nodes()

    def persisted(self, who: PublicKey, records: Iterable[bytes]) -> None:
        """A node wrote promises."""
        for data in records:
            if MARKER.encode() in data:
                self.violate("confidential bytes in a vote log")
            record: Record = decode(Record, data)  # type: ignore[arg-type]
            if isinstance(record, VoteRecord):
                self._note_vote(who, record.vote)

    def _note_vote(self, who: PublicKey, signed: SignedVote) -> None:
        vote = signed.vote
        slot = (who, vote.height, vote.round, vote.phase)
        known = self._votes.setdefault(slot, vote.digest)
        if known != vote.digest:
            self.violate(f"double {vote.phase} vote at height {vote.height} round {vote.round}")

    def sent(self, who: PublicKey, data: bytes) -> None:
        """An honest node sent a message."""
        if data is self._seen:
            return
        self._seen = data
        message = decode_message(data)
        votes: tuple[SignedVote, ...] = ()
        if isinstance(message, Review | Confirm):
            votes = (message.vote,)
        elif isinstance(message, VotesAgain):
            votes = message.votes
        for signed in votes:
            vote = signed.vote
            slot = (signed.voter, vote.height, vote.round, vote.phase)
            if signed.voter == who and self._votes.get(slot) != vote.digest:
                self.violate("a vote was sent that is not in the vote log")

    def committed(self, who: PublicKey, certified: CertifiedBlock, state: State) -> None:
        """An honest node appended a block."""
        header, named = certified.block.header, certified.block.header.digest()
        height = header.height
        known = self.blocks.setdefault(height, named)
        if known != named:
            self.violate(f"two blocks at height {height}")
            return
        if state.root != header.state_root:
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
        del who

    def stepped(self, replica: Replica) -> None:
        """A step of an honest node is over: copies belong to the round in progress only."""
        for height, round_number in replica.copies_of():
            if height != replica.height + 1 or round_number != replica.round:
                self.violate(f"a copy of height {height} round {round_number} outlived its round")
