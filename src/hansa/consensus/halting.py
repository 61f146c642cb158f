"""Halting: a node that sees two certificates for one height stops, for nothing it says is safe any more.

Upon a decided block of a past height with another digest than the own one: check its certificate against
the set of that height; if it holds, more than f super nodes lied. What that proves of them is kept, and
the node does nothing more. Upon a status that names another digest for a height: ask for that block.
"""

from collections.abc import Iterable

from hansa.chain.blocks import CertifiedBlock, is_certificate_valid
from hansa.chain.forks import find_culprits, votes_of
from hansa.chain.standing import set_of
from hansa.consensus.context import Context
from hansa.consensus.effects import Halt
from hansa.consensus.faults import FaultLog
from hansa.consensus.messages import GetBlocks, Status
from hansa.types import Epoch, Height, PublicKey

DOUBT_INTERVAL_MS = 1_000
"""A peer's word that it has another block is followed up no more often than this."""


class Halting:
    """Compares what peers say of past heights with the own chain."""

    def __init__(self, context: Context, faults: FaultLog) -> None:
        self._context = context
        self._faults = faults
        self._doubted_ms: dict[PublicKey, int] = {}

    def doubt(self, sender: PublicKey, status: Status) -> None:
        """Ask for a block of which a peer says that it has another; its word alone is nothing."""
        context = self._context
        if not 1 <= status.height < context.height:
            return
        known = context.schedule.known(status.height)
        now = context.now.monotonic_ms
        if known is None or known == status.digest:
            return
        if now - self._doubted_ms.get(sender, -DOUBT_INTERVAL_MS) >= DOUBT_INTERVAL_MS:
            self._doubted_ms[sender] = now
            context.send(sender, GetBlocks(Height(status.height), 1))

    def compare(self, blocks: Iterable[CertifiedBlock]) -> bool:
        """Halt if one of these is certified and contradicts the own chain; tell whether one does."""
        for certified in blocks:
            if self._contradicts(certified):
                self._halt(certified)
                return True
        return False

    def _contradicts(self, certified: CertifiedBlock) -> bool:
        context = self._context
        header, vote = certified.block.header, certified.certificate.vote
        known = context.schedule.known(header.height)
        if not 1 <= header.height < context.height or known is None or vote.digest == known:
            return False
        epoch = Epoch((header.height - 1) // context.parameters.epoch_blocks)
        return (
            (vote.alliance, vote.epoch, vote.height, vote.phase)
            == (context.alliance, epoch, header.height, "confirm")
            and vote.digest == header.digest()
            and is_certificate_valid(certified.certificate, set_of(context.state, header.height))
        )

    def _halt(self, other: CertifiedBlock) -> None:
        context = self._context
        height = other.block.header.height
        own = context.tip
        if own is not None and own.block.header.height == height:
            members = set_of(context.state, height)
            first, second = votes_of(own.certificate), votes_of(other.certificate)
            for who in sorted(find_culprits(own.certificate, other.certificate, (), members)):
                self._faults.two_votes(first[who], second[who])
        context.emit(Halt(other))
        context.has_halted = True
