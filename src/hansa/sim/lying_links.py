"""Super nodes that lie about everything around the votes: blocks, orders, keys, refusals, status, bytes."""

from collections import deque
from collections.abc import Sequence

import msgspec
from typing_extensions import override

from hansa.chain.blocks import (
    Block,
    Certificate,
    CertificateSignature,
    CertifiedBlock,
    Erasure,
    Vote,
    sign_erasure,
    sign_vote,
)
from hansa.chain.findings import Refusal, sign_refusal
from hansa.chain.sealed import SealingKeyNotice, sign_sealing_key
from hansa.consensus.messages import (
    BlockDecided,
    Blocks,
    Certified,
    Confirm,
    Erase,
    Erased,
    GetBlocks,
    Message,
    Propose,
    Review,
    SealingKey,
    Status,
    Submit,
    VotesAgain,
)
from hansa.sim.behaviour import Behaviour, Said, Stage
from hansa.types import (
    NO_DIGEST,
    Digest,
    EncryptionKey,
    Height,
    Millis,
    PublicKey,
    Round,
    Signature,
)


class Forger(Behaviour):
    """Serves decided blocks with another time, under the certificate of the true ones."""

    @override
    def change(self, stage: Stage, to: PublicKey, message: Message) -> Sequence[Message] | None:
        if isinstance(message, Blocks):
            return [Blocks(tuple(_forged(item) for item in message.blocks))]
        if isinstance(message, BlockDecided):
            return [BlockDecided(_forged(message.block))]
        return None


def _forged(certified: CertifiedBlock) -> CertifiedBlock:
    header = certified.block.header
    later = msgspec.structs.replace(header, time_ms=Millis(header.time_ms + 1))
    block = msgspec.structs.replace(certified.block, header=later)
    return CertifiedBlock(block, certified.certificate)


class BodySwapper(Behaviour):
    """Hands on blocks with the true header, under true signatures, but with another body."""

    @override
    def change(self, stage: Stage, to: PublicKey, message: Message) -> Sequence[Message] | None:
        if isinstance(message, Blocks):
            return [Blocks(tuple(_swapped_certified(item) for item in message.blocks))]
        if isinstance(message, BlockDecided):
            return [BlockDecided(_swapped_certified(message.block))]
        if isinstance(message, Propose | Certified):
            return [msgspec.structs.replace(message, block=_swapped(message.block))]
        candidate = _candidate(stage)
        if isinstance(message, Status) and candidate is not None:
            # Nobody asked: whoever lacks the block has the false body before the true one.
            return [message, candidate]
        return None


def _candidate(stage: Stage) -> Message | None:
    height = stage.replica._agreement.height
    proposal = height.present.proposal
    if height.valid is not None:
        block = height.candidates[height.valid.vote.digest].block
        return Certified(height.valid, _swapped(block))
    if proposal is not None:
        return msgspec.structs.replace(proposal, block=_swapped(proposal.block))
    return None


def _swapped(block: Block) -> Block:
    """Return a block with the same header and other signatures in its body."""
    spoilt = tuple(
        msgspec.structs.replace(item, signature=Signature(bytes(64))) for item in block.transactions
    )
    return msgspec.structs.replace(block, transactions=spoilt, erasures=())


def _swapped_certified(certified: CertifiedBlock) -> CertifiedBlock:
    return CertifiedBlock(_swapped(certified.block), certified.certificate)


class SelfCertifier(Behaviour):
    """Serves blocks of its own making under certificates that only it has signed, once for each member."""

    @override
    def change(self, stage: Stage, to: PublicKey, message: Message) -> Sequence[Message] | None:
        if not isinstance(message, Blocks | BlockDecided):
            return None
        found = message.blocks if isinstance(message, Blocks) else (message.block,)
        made = []
        for item in found:
            forged = _forged(item)
            vote = msgspec.structs.replace(
                item.certificate.vote, digest=forged.block.header.digest()
            )
            signed = sign_vote(vote, stage.key)
            parts = tuple(CertificateSignature(key, signed.signature) for key in stage.members)
            made.append(CertifiedBlock(forged.block, Certificate(vote, parts)))
        return [Blocks(tuple(made))] if isinstance(message, Blocks) else [BlockDecided(made[0])]


class Withholder(Behaviour):
    """Never hands on blocks, certificates or votes that others lack."""

    @override
    def change(self, stage: Stage, to: PublicKey, message: Message) -> Sequence[Message] | None:
        is_help = isinstance(message, Blocks | BlockDecided | Certified | VotesAgain | Erase)
        return [] if is_help else None


class Garbler(Behaviour):
    """Sends noise beside its messages: bits flipped, cut short, made up."""

    @override
    def speak(self, stage: Stage, to: PublicKey, data: bytes) -> Said:
        chance = stage.chance
        kind = chance.randrange(4)
        if kind == 0:
            at = chance.randrange(len(data))
            noise = data[:at] + bytes([data[at] ^ 1 << chance.randrange(8)]) + data[at + 1 :]
        elif kind == 1:
            noise = data[: chance.randrange(len(data))]
        else:
            noise = chance.randbytes(chance.randint(0, 60))
        return ((0, noise), (0, data)) if kind < 3 else ((0, noise),)


class Replayer(Behaviour):
    """Says old messages again, of rounds and heights that are over."""

    def __init__(self) -> None:
        self._old: deque[bytes] = deque(maxlen=200)

    @override
    def speak(self, stage: Stage, to: PublicKey, data: bytes) -> Said:
        self._old.append(data)
        old = stage.chance.choice(self._old)
        return ((0, data), (stage.chance.randint(0, 50), old))


class StatusLiar(Behaviour):
    """Claims heights it does not have and rounds it is not in, and serves nothing."""

    @override
    def change(self, stage: Stage, to: PublicKey, message: Message) -> Sequence[Message] | None:
        if isinstance(message, Blocks):
            return [Blocks(())]
        if not isinstance(message, Status):
            return None
        chance = stage.chance
        height = chance.choice((0, message.height + 1, message.height + 1_000, 2**60))
        return [
            msgspec.structs.replace(
                message, height=Height(height), round=Round(chance.choice((0, 3, 2**40)))
            )
        ]


class EarlyEraser(Behaviour):
    """Orders copies erased without a proof, or with the proof of something else."""

    @override
    def change(self, stage: Stage, to: PublicKey, message: Message) -> Sequence[Message] | None:
        if not isinstance(message, Review):
            return None
        vote = msgspec.structs.replace(message.vote.vote, phase="confirm", digest=NO_DIGEST)
        signed = sign_vote(vote, stage.key)
        alone = tuple(CertificateSignature(key, signed.signature) for key in stage.members)
        orders: list[Message] = [Erase(Certificate(vote, alone)), Erase(Certificate(vote, ()))]
        tip = stage.replica.tip
        if tip is not None:
            # A sound certificate of the height before, as it is and with this height's vote.
            orders.append(Erase(tip.certificate))
            orders.append(Erase(Certificate(vote, tip.certificate.signatures)))
        own = (CertificateSignature(stage.key.public, signed.signature),) * 4
        return [message, *orders, Erase(Certificate(vote, own))]


class FalseEraser(Behaviour):
    """Acknowledges erasures that were none: other counts, other rounds, in the names of others."""

    @override
    def change(self, stage: Stage, to: PublicKey, message: Message) -> Sequence[Message] | None:
        if isinstance(message, Review):
            erasures = tuple(_false(item, stage) for item in message.erasures)
            return [msgspec.structs.replace(message, erasures=erasures)]
        if isinstance(message, Erased):
            return [Erased(tuple(_false(item, stage) for item in message.erasures))]
        return None


def _false(erasure: Erasure, stage: Stage) -> Erasure:
    kind = stage.chance.randrange(4)
    choices: tuple[dict[str, object], ...] = (
        {"copies": erasure.copies + 7},
        {"round": Round(erasure.round + 1)},
        {"digest": Digest(stage.chance.randbytes(32))},
        {"super_node": stage.chance.choice(stage.members)},
    )
    return sign_erasure(msgspec.structs.replace(erasure, **choices[kind]), stage.key)


REFUSALS = (
    "role-missing",
    "unknown-user",
    "role-missing",
    "denied",
    "reseal",
    "expired",
    "malformed",
)


class WrongRefuser(Behaviour):
    """Refuses every transaction that comes by, signed, and passes on nothing."""

    @override
    def change(self, stage: Stage, to: PublicKey, message: Message) -> Sequence[Message] | None:
        replica = stage.replica
        if isinstance(message, Submit):
            return []
        if not isinstance(message, Status | Review):
            return None
        pool = replica._pool
        known = [(digest, item.submitter) for digest, item in pool._waiting.items()]
        known += [(digest, item.submitter) for digest, item in pool._held.items()]
        refusals = [
            sign_refusal(
                Refusal(
                    replica.state.alliance,
                    digest,
                    stage.chance.choice(REFUSALS),
                    Height(replica.height + 1),
                    replica.state.root,
                    stage.key.public,
                    Signature(b""),
                ),
                stage.key,
            )
            for digest, submitter in known[:5]
            if submitter == to
        ]
        return [message, *refusals]


class KeyJuggler(Behaviour):
    """Announces new sealing keys all the time, with keys that nobody holds, and claims others' keys."""

    @override
    def change(self, stage: Stage, to: PublicKey, message: Message) -> Sequence[Message] | None:
        if not isinstance(message, Status | SealingKey):
            return None
        state = stage.replica.state
        notice = sign_sealing_key(
            SealingKeyNotice(
                state.alliance,
                state.epoch(),
                stage.key.public,
                EncryptionKey(stage.chance.randbytes(32)),
                Millis(stage.replica.state.time_ms + stage.chance.randint(1, 10**9)),
                Signature(b""),
            ),
            stage.key,
        )
        other = stage.chance.choice(stage.members)
        return [
            message,
            SealingKey((notice,)),
            SealingKey((msgspec.structs.replace(notice, node_key=other),)),
        ]


class Flooder(Behaviour):
    """Asks for everything all the time: blocks that cannot be, far too many, and answers to no question."""

    @override
    def change(self, stage: Stage, to: PublicKey, message: Message) -> Sequence[Message] | None:
        if not isinstance(message, Status | Confirm):
            return None
        tip = stage.replica.tip
        answers = () if tip is None else (tip,) * 3
        return [
            message,
            GetBlocks(Height(0), 1),
            GetBlocks(Height(1), 2**31),
            GetBlocks(Height(2**40), 1),
            Blocks(answers),
            Blocks(()),
        ]


class FutureTalker(Behaviour):
    """Votes on heights that nobody has reached, so that others believe themselves behind."""

    @override
    def change(self, stage: Stage, to: PublicKey, message: Message) -> Sequence[Message] | None:
        if not isinstance(message, Confirm):
            return None
        vote: Vote = message.vote.vote
        ahead = [
            Confirm(
                sign_vote(
                    msgspec.structs.replace(vote, height=Height(vote.height + step)), stage.key
                )
            )
            for step in (1, 2, 9, 10**6)
        ]
        return [message, *ahead]
