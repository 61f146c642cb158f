"""Super nodes that lie with their votes: twice, for nothing, for others, too late, too far, to some only."""

from collections.abc import Sequence

import msgspec
from typing_extensions import override

from hansa.chain.blocks import SignedVote, Vote, sign_vote
from hansa.chain.findings import Finding, sign_finding
from hansa.codec import encode
from hansa.consensus.messages import Confirm, Message, Propose, Response, Review, VotesAgain
from hansa.limits import ROUND_MAX
from hansa.sim.behaviour import SILENCE, Behaviour, Said, Stage
from hansa.types import NO_DIGEST, Digest, Epoch, PublicKey, Round, Signature


def revote(message: Review | Confirm, stage: Stage, **changes: object) -> Review | Confirm:
    """Return a vote message with another vote in it, soundly signed."""
    vote: Vote = msgspec.structs.replace(message.vote.vote, **changes)
    return msgspec.structs.replace(message, vote=sign_vote(vote, stage.key))


class Silent(Behaviour):
    """Says nothing about the agreement."""

    @override
    def speak(self, stage: Stage, to: PublicKey, data: bytes) -> Said:
        return SILENCE


class DoubleVoter(Behaviour):
    """Approves towards one half and votes nil towards the other, in both phases."""

    @override
    def change(self, stage: Stage, to: PublicKey, message: Message) -> Sequence[Message] | None:
        if isinstance(message, Review | Confirm) and stage.is_second_half(to):
            return [revote(message, stage, digest=NO_DIGEST)]
        return None


class BothVoter(Behaviour):
    """Votes for the block and for nil, to everybody, and already in the next round too."""

    @override
    def change(self, stage: Stage, to: PublicKey, message: Message) -> Sequence[Message] | None:
        if not isinstance(message, Review | Confirm):
            return None
        later = Round(message.vote.vote.round + 1)
        return [
            message,
            revote(message, stage, digest=NO_DIGEST),
            revote(message, stage, digest=NO_DIGEST, round=later),
        ]


class WrongReviewer(Behaviour):
    """Calls every block of others invalid, signed, whatever execution says."""

    false_state = False

    @override
    def change(self, stage: Stage, to: PublicKey, message: Message) -> Sequence[Message] | None:
        if not isinstance(message, Review) or message.vote.vote.digest == NO_DIGEST:
            return None
        vote = message.vote.vote
        root = stage.chance.randbytes(32) if self.false_state else stage.replica.state.root
        finding = Finding(
            vote.alliance,
            vote.height,
            vote.round,
            Digest(root),
            vote.digest,
            "invalid",
            (),
            stage.key.public,
            Signature(b""),
        )
        nil = revote(message, stage, digest=NO_DIGEST)
        return [msgspec.structs.replace(nil, finding=sign_finding(finding, stage.key))]


class WrongState(WrongReviewer):
    """Rejects every block of others as if it judged on another state."""

    false_state = True


class EpochShifter(Behaviour):
    """Signs its votes for the epoch after the present one."""

    shift = 1

    @override
    def change(self, stage: Stage, to: PublicKey, message: Message) -> Sequence[Message] | None:
        if not isinstance(message, Review | Confirm):
            return None
        return [revote(message, stage, epoch=Epoch(message.vote.vote.epoch + self.shift))]


class EpochLaggard(EpochShifter):
    """Signs its votes for the epoch before the present one."""

    shift = -1


class UnseenVoter(Behaviour):
    """Votes for blocks that nobody has seen, in both phases."""

    @override
    def change(self, stage: Stage, to: PublicKey, message: Message) -> Sequence[Message] | None:
        if not isinstance(message, Review | Confirm):
            return None
        return [revote(message, stage, digest=Digest(stage.chance.randbytes(32)))]


class SignerForger(Behaviour):
    """Sends votes in the names of the others, under its own signature."""

    @override
    def change(self, stage: Stage, to: PublicKey, message: Message) -> Sequence[Message] | None:
        if not isinstance(message, Review | Confirm):
            return None
        forged = [
            msgspec.structs.replace(
                message, vote=msgspec.structs.replace(message.vote, voter=member)
            )
            for member in stage.members
            if member != stage.key.public
        ]
        return [message, *forged]


class VoteMultiplier(Behaviour):
    """Says each of its votes many times over, in every kind of message that holds votes."""

    @override
    def change(self, stage: Stage, to: PublicKey, message: Message) -> Sequence[Message] | None:
        if not isinstance(message, Review | Confirm):
            return None
        signed = message.vote
        return [message, message, VotesAgain((signed,) * 8), Confirm(signed), message]


class FarRounds(Behaviour):
    """Votes in rounds that are far away, not reached by anybody, or no rounds at all."""

    @override
    def change(self, stage: Stage, to: PublicKey, message: Message) -> Sequence[Message] | None:
        if not isinstance(message, Review | Confirm):
            return None
        number = message.vote.vote.round
        rounds = (number + 1, number + 5, number + 17, ROUND_MAX, ROUND_MAX + 1, -1, 2**62)
        return [message, *(revote(message, stage, round=Round(item)) for item in rounds)]


class MalformedVoter(Behaviour):
    """Sends votes whose fields have lengths that they cannot have."""

    @override
    def change(self, stage: Stage, to: PublicKey, message: Message) -> Sequence[Message] | None:
        if not isinstance(message, Review | Confirm):
            return None
        signed = message.vote
        short = msgspec.structs.replace(signed, signature=Signature(signed.signature[:63]))
        return [
            message,
            revote(message, stage, digest=Digest(b"short")),
            msgspec.structs.replace(message, vote=short),
            msgspec.structs.replace(
                message, vote=SignedVote(signed.vote, PublicKey(b""), signed.signature)
            ),
        ]


class YesSayer(Behaviour):
    """Keeps to no lock: approves and confirms whatever was last proposed."""

    def __init__(self) -> None:
        self._last: dict[tuple[int, int], Digest] = {}

    @override
    def change(self, stage: Stage, to: PublicKey, message: Message) -> Sequence[Message] | None:
        height = stage.replica._agreement.height
        proposal = height.present.proposal
        if proposal is not None:
            named = proposal.proposal.digest
            self._last[(int(height.height), int(height.round))] = named
        if not isinstance(message, Review | Confirm):
            return None
        vote = message.vote.vote
        known = self._last.get((vote.height, vote.round))
        return None if known is None else [revote(message, stage, digest=known)]


class FewListeners(Behaviour):
    """Sends proposals and votes to one super node too few for a quorum."""

    @override
    def change(self, stage: Stage, to: PublicKey, message: Message) -> Sequence[Message] | None:
        others = [key for key in stage.members if key != stage.key.public]
        if isinstance(message, Propose | Review | Confirm) and to in others[-1:]:
            return []
        return None


class JustInTime(Behaviour):
    """Says everything just before the others lose patience."""

    @override
    def speak(self, stage: Stage, to: PublicKey, data: bytes) -> Said:
        parameters = stage.replica.state.genesis.parameters
        return ((parameters.proposal_timeout_ms - 15, data),)


class FalseAccuser(Behaviour):
    """Tells masters of reviews that nobody made, as if others differed."""

    @override
    def change(self, stage: Stage, to: PublicKey, message: Message) -> Sequence[Message] | None:
        if not isinstance(message, Review):
            return None
        signed = message.vote
        nil = msgspec.structs.replace(signed.vote, digest=NO_DIGEST)
        invented = tuple(
            SignedVote(nil, member, stage.key.sign("hansa.vote.1", encode(nil)))
            for member in stage.members
        )
        return [message, Response(signed, message.finding, invented)]
