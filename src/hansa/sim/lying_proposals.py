"""Masters that lie: two blocks, false headers, invalid transactions, certificates that prove nothing."""

from collections.abc import Sequence

import msgspec
from typing_extensions import override

from hansa import limits
from hansa.chain.blocks import (
    Block,
    Certificate,
    CertificateSignature,
    Vote,
    sign_proposal,
    sign_vote,
)
from hansa.chain.validation import build_block
from hansa.consensus.messages import Certified, Confirm, Message, Propose, Review
from hansa.sim.behaviour import Behaviour, Stage
from hansa.types import Digest, Millis, PublicKey, Round, Signature


def rebuild(stage: Stage, block: Block, later_ms: int, **parts: object) -> Block:
    """Return a block that is as sound as `block`, with another time and other contents."""
    tip = stage.replica.tip
    header = block.header
    chosen = {"transactions": block.transactions, "erasures": block.erasures, **parts}
    made, _ = build_block(
        stage.replica.state,
        tip.block.header if tip is not None else None,
        master=header.master,
        round=header.round,
        time_ms=Millis(header.time_ms + later_ms),
        **chosen,  # type: ignore[arg-type]
    )
    return made


class Reproposer(Behaviour):
    """Base: gives some of the super nodes another proposal than its own, and the votes that match."""

    is_for_all = True

    def __init__(self) -> None:
        self._others: dict[Digest, Propose] = {}

    def remake(self, stage: Stage, propose: Propose) -> Propose | None:
        """Return the other proposal, not signed yet; None to leave it."""
        raise NotImplementedError

    @override
    def change(
        self, stage: Stage, to: PublicKey, message: Message
    ) -> Sequence[Message | bytes] | None:
        if not (self.is_for_all or stage.is_second_half(to)):
            return None
        if isinstance(message, Propose) and message.proposal.master == stage.key.public:
            other = self._other(stage, message)
            return None if other is None else [other]
        if isinstance(message, Review | Confirm):
            vote = message.vote.vote
            other = self._others.get(vote.digest)
            if other is not None:
                named = other.proposal.digest
                signed = sign_vote(msgspec.structs.replace(vote, digest=named), stage.key)
                return [msgspec.structs.replace(message, vote=signed)]
        return None

    def _other(self, stage: Stage, message: Propose) -> Propose | None:
        known = self._others.get(message.proposal.digest)
        if known is not None and known.proposal.round == message.proposal.round:
            return known
        if message.block.header.height != stage.replica.height + 1:
            return None
        made = self.remake(stage, message)
        if made is None:
            return None
        proposal = msgspec.structs.replace(made.proposal, digest=made.block.header.digest())
        other = msgspec.structs.replace(made, proposal=sign_proposal(proposal, stage.key))
        self._others[message.proposal.digest] = other
        return other


class Equivocator(Reproposer):
    """As master, proposes another block to half of the super nodes; votes for both."""

    is_for_all = False

    @override
    def remake(self, stage: Stage, propose: Propose) -> Propose | None:
        if propose.proposal.valid_round >= 0:
            return None
        return msgspec.structs.replace(propose, block=rebuild(stage, propose.block, 1))


class WrongRoot(Reproposer):
    """Proposes blocks whose header names a state that they do not lead to."""

    field = "state_root"

    @override
    def remake(self, stage: Stage, propose: Propose) -> Propose | None:
        other = Digest(stage.chance.randbytes(32))
        header = msgspec.structs.replace(propose.block.header, **{self.field: other})
        return msgspec.structs.replace(
            propose, block=msgspec.structs.replace(propose.block, header=header)
        )


class WrongParent(WrongRoot):
    """Proposes blocks that follow another block."""

    field = "parent"


class TimeTraveller(Reproposer):
    """Proposes blocks from an hour ahead, or with a time before their parent's."""

    @override
    def remake(self, stage: Stage, propose: Propose) -> Propose | None:
        if stage.chance.random() < 0.5:
            return msgspec.structs.replace(propose, block=rebuild(stage, propose.block, 3_600_000))
        header = msgspec.structs.replace(propose.block.header, time_ms=Millis(1))
        return msgspec.structs.replace(
            propose, block=msgspec.structs.replace(propose.block, header=header)
        )


class Usurper(Reproposer):
    """Proposes for rounds whose master is another, and in the name of another."""

    @override
    def remake(self, stage: Stage, propose: Propose) -> Propose | None:
        later = msgspec.structs.replace(propose.proposal, round=Round(propose.proposal.round + 1))
        return msgspec.structs.replace(propose, proposal=later)


class InvalidBatch(Reproposer):
    """Puts a transaction that its author did not sign among sound ones."""

    @override
    def remake(self, stage: Stage, propose: Propose) -> Propose | None:
        transactions = propose.block.transactions
        if not transactions:
            return None
        forged = Signature(transactions[0].signature[:32] + bytes(32))
        spoilt = msgspec.structs.replace(transactions[0], signature=forged)
        block = rebuild(stage, propose.block, 0, transactions=(spoilt, *transactions[1:]))
        return msgspec.structs.replace(propose, block=block)


class Repeater(Reproposer):
    """Puts the same transaction into a block twice, with results that claim it is sound."""

    @override
    def remake(self, stage: Stage, propose: Propose) -> Propose | None:
        block = propose.block
        if not block.transactions:
            return None
        header = msgspec.structs.replace(
            block.header, transaction_count=2 * len(block.transactions)
        )
        doubled = Block(header, block.transactions * 2, block.results * 2, block.erasures)
        return msgspec.structs.replace(propose, block=doubled)


class Oversizer(Reproposer):
    """Proposes more transactions than a block may have, and messages longer than a frame may be."""

    @override
    def change(
        self, stage: Stage, to: PublicKey, message: Message
    ) -> Sequence[Message | bytes] | None:
        said = super().change(stage, to, message)
        if isinstance(message, Review) and stage.chance.random() < 0.05:
            return [message, bytes(limits.FRAME_BYTES_MAX + 1)]
        return said

    @override
    def remake(self, stage: Stage, propose: Propose) -> Propose | None:
        count = stage.replica.state.genesis.parameters.block_transactions_max + 1
        transactions = propose.block.transactions
        if not transactions:
            return None
        header = msgspec.structs.replace(propose.block.header, transaction_count=count)
        many = (transactions * count)[:count]
        results = (propose.block.results * count)[:count]
        return msgspec.structs.replace(
            propose, block=Block(header, many, results, propose.block.erasures)
        )


class EmptyPayload(Reproposer):
    """Names a block's digest and sends it without its transactions and copies."""

    @override
    def remake(self, stage: Stage, propose: Propose) -> Propose | None:
        block = msgspec.structs.replace(propose.block, transactions=(), results=())
        return msgspec.structs.replace(propose, block=block, copies=())


class CopySpoiler(Reproposer):
    """Sends copies that do not open, so that its blocks cannot be reviewed."""

    @override
    def remake(self, stage: Stage, propose: Propose) -> Propose | None:
        if not propose.copies:
            return None
        spoilt = tuple(
            msgspec.structs.replace(item, ciphertext=bytes(len(item.ciphertext)))
            for item in propose.copies
        )
        return msgspec.structs.replace(propose, copies=spoilt)


class FakeCertificate(Reproposer):
    """Proposes blocks "again", with a certificate that it signed alone, in the names of all."""

    @override
    def remake(self, stage: Stage, propose: Propose) -> Propose | None:
        proposal = propose.proposal
        block = rebuild(stage, propose.block, 1) if proposal.valid_round < 0 else propose.block
        round_number = Round(max(0, proposal.round - 1))
        vote = Vote(
            proposal.alliance,
            proposal.epoch,
            proposal.height,
            round_number,
            "review",
            block.header.digest(),
        )
        own = sign_vote(vote, stage.key).signature
        signatures = tuple(CertificateSignature(member, own) for member in stage.members)
        later = msgspec.structs.replace(proposal, valid_round=round_number)
        return Propose(later, block, Certificate(vote, signatures), ())


class CertificateHider(Reproposer):
    """Has a quorum's reviews of a block and proposes another one as if it had none; shares nothing."""

    @override
    def change(
        self, stage: Stage, to: PublicKey, message: Message
    ) -> Sequence[Message | bytes] | None:
        if isinstance(message, Certified):
            return []
        return super().change(stage, to, message)

    @override
    def remake(self, stage: Stage, propose: Propose) -> Propose | None:
        if propose.certificate is None:
            return None
        block = rebuild(stage, propose.block, 1)
        header = msgspec.structs.replace(block.header, round=propose.proposal.round)
        fresh = msgspec.structs.replace(propose.proposal, valid_round=Round(-1))
        return Propose(fresh, msgspec.structs.replace(block, header=header), None, ())


class StaleProof(Behaviour):
    """Proposes new blocks with the last block's certificate, as if a quorum had reviewed them."""

    @override
    def change(self, stage: Stage, to: PublicKey, message: Message) -> Sequence[Message] | None:
        tip = stage.replica.tip
        is_own = isinstance(message, Propose) and message.proposal.master == stage.key.public
        if not is_own or tip is None:
            return None
        assert isinstance(message, Propose)
        proposal = msgspec.structs.replace(message.proposal, valid_round=Round(0))
        signed = sign_proposal(proposal, stage.key)
        return [Propose(signed, message.block, tip.certificate, ())]


class Censor(Reproposer):
    """Leaves every transaction out of its blocks."""

    @override
    def remake(self, stage: Stage, propose: Propose) -> Propose | None:
        if propose.proposal.valid_round >= 0:
            return None
        block = rebuild(stage, propose.block, 0, transactions=())
        return Propose(propose.proposal, block, None, ())
