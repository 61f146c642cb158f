"""Super nodes that lie: each changes what an ordinary replica sends, and signs it with its real key."""

from typing import Protocol

import msgspec

from hansa.chain.blocks import CertifiedBlock, Vote, sign_proposal, sign_vote
from hansa.chain.validation import build_block
from hansa.codec import encode
from hansa.consensus.messages import (
    BlockDecided,
    Blocks,
    Confirm,
    Propose,
    Review,
    decode_message,
)
from hansa.consensus.replica import Replica
from hansa.crypto.signing import SigningKey
from hansa.types import NO_DIGEST, Digest, Epoch, Millis, PublicKey


class Behaviour(Protocol):
    """What a faulty node does to its outgoing messages."""

    def change(self, key: SigningKey, replica: Replica, to: PublicKey, data: bytes) -> bytes | None:
        """Return what goes to `to` instead, or None for silence."""
        ...


def _is_second_half(replica: Replica, to: PublicKey) -> bool:
    members = replica.state.super_nodes()
    return to in members and members.index(to) * 2 >= len(members)


class Silent:
    """Says nothing about the agreement."""

    def change(self, key: SigningKey, replica: Replica, to: PublicKey, data: bytes) -> bytes | None:
        """Drop everything."""
        del key, replica, to, data
        return None


class Equivocator:
    """As master, proposes another block to half of the super nodes; votes for both."""

    def __init__(self) -> None:
        self._twins: dict[Digest, Digest] = {}

    def change(self, key: SigningKey, replica: Replica, to: PublicKey, data: bytes) -> bytes | None:
        """Give the second half a block with another time, and the votes that match."""
        if not _is_second_half(replica, to):
            return data
        message = decode_message(data)
        if isinstance(message, Propose) and message.proposal.master == key.public:
            return encode(self._twin(message, key, replica))
        if isinstance(message, Review | Confirm):
            vote = message.vote.vote
            twin = self._twins.get(vote.digest)
            if twin is not None:
                signed = sign_vote(msgspec.structs.replace(vote, digest=twin), key)
                return encode(msgspec.structs.replace(message, vote=signed))
        return data

    def _twin(self, message: Propose, key: SigningKey, replica: Replica) -> Propose:
        """Build a block that is as valid as the first one, a millisecond later."""
        header, proposal, tip = message.block.header, message.proposal, replica.tip
        if proposal.valid_round >= 0 or header.height != replica.height + 1:
            return message
        block, _ = build_block(
            replica.state,
            tip.block.header if tip is not None else None,
            master=key.public,
            round=header.round,
            time_ms=Millis(header.time_ms + 1),
            transactions=message.block.transactions,
            erasures=message.block.erasures,
        )
        named = block.header.digest()
        self._twins[proposal.digest] = named
        signed = sign_proposal(msgspec.structs.replace(proposal, digest=named), key)
        return msgspec.structs.replace(message, proposal=signed, block=block)


class EpochShifter:
    """Signs its votes for the epoch after the present one."""

    def change(self, key: SigningKey, replica: Replica, to: PublicKey, data: bytes) -> bytes | None:
        """Sign every vote anew with a later epoch."""
        del replica, to
        message = decode_message(data)
        if not isinstance(message, Review | Confirm):
            return data
        vote = message.vote.vote
        later = msgspec.structs.replace(vote, epoch=Epoch(vote.epoch + 1))
        return encode(msgspec.structs.replace(message, vote=sign_vote(later, key)))


class Forger:
    """Serves decided blocks with another time, under the certificate of the true ones."""

    def change(self, key: SigningKey, replica: Replica, to: PublicKey, data: bytes) -> bytes | None:
        """Falsify blocks that others catch up with."""
        del key, replica, to
        message = decode_message(data)
        if isinstance(message, Blocks):
            return encode(Blocks(tuple(_forged(item) for item in message.blocks)))
        if isinstance(message, BlockDecided):
            return encode(BlockDecided(_forged(message.block)))
        return data


def _forged(certified: CertifiedBlock) -> CertifiedBlock:
    header = certified.block.header
    later = msgspec.structs.replace(header, time_ms=Millis(header.time_ms + 1))
    block = msgspec.structs.replace(certified.block, header=later)
    return CertifiedBlock(block, certified.certificate)


class DoubleVoter:
    """Approves towards one half and votes nil towards the other, in both phases."""

    def change(self, key: SigningKey, replica: Replica, to: PublicKey, data: bytes) -> bytes | None:
        """Turn votes for the second half into nil."""
        if not _is_second_half(replica, to):
            return data
        message = decode_message(data)
        if not isinstance(message, Review | Confirm):
            return data
        vote: Vote = msgspec.structs.replace(message.vote.vote, digest=NO_DIGEST)
        return encode(msgspec.structs.replace(message, vote=sign_vote(vote, key)))
