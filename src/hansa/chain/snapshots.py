"""What a joiner takes instead of all blocks: a certified header, the state under its root, the last blocks.

Nothing is believed. The genesis names the first super nodes; headers of the blocks that changed the set prove
each later one; the last proves the header at the snapshot's height, and that header the state's root.
Each part of the state is proved by itself (`parts`), each block by its certificate. A quorum whose keys were
stolen long after its term could still tell another story: the operator's checkpoint, a height and
a digest learned from somebody trusted, must be on the chain that is told.
"""

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from hansa.chain.blocks import CertifiedBlock, has_matching_body
from hansa.chain.genesis import Genesis
from hansa.chain.parts import Assembly
from hansa.chain.receipts import (
    CertifiedHeader,
    check_decided,
    founding_set,
    verify_headers,
)
from hansa.chain.records import Record
from hansa.chain.state import State
from hansa.errors import InvalidError
from hansa.types import Digest, Height, PublicKey

_CHECKPOINT = re.compile(r"([1-9][0-9]{0,15}):([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A block that the operator knows to be on the chain."""

    height: Height
    digest: Digest


def parse_checkpoint(text: str) -> Checkpoint:
    """Return the checkpoint in `HEIGHT:DIGEST`, the digest in hexadecimal digits.

    Raises:
        InvalidError: it is none.
    """
    found = _CHECKPOINT.fullmatch(text.strip().lower())
    if found is None:
        raise InvalidError(
            f"{text[:100]!r} is no checkpoint.",
            remedy="Give HEIGHT:DIGEST as `hansa block show` prints them at a node you trust.",
        )
    return Checkpoint(Height(int(found[1])), Digest(bytes.fromhex(found[2])))


class SnapshotOffer(Record, frozen=True):
    """What a node says it can give."""

    format: Literal[1]
    set_changes: tuple[CertifiedHeader, ...]
    """Headers of all blocks that changed the super-node set up to the tip's, in order."""
    tip: CertifiedHeader
    """The block after which the state is that of the snapshot."""
    parts: int
    """How many parts the state has."""


def header_of(certified: CertifiedBlock) -> CertifiedHeader:
    """Return a block without its body."""
    return CertifiedHeader(certified.block.header, certified.certificate)


class Snapshot:
    """A snapshot that is being taken: every piece is checked as it comes."""

    def __init__(self, genesis: Genesis, offer: SnapshotOffer, checkpoint: Checkpoint) -> None:
        """Begin with an offer.

        Raises:
            InvalidError: its headers prove nothing, or end before the checkpoint.
        """
        self._genesis = genesis
        self._changes = tuple(
            item for item in offer.set_changes if item.header.height < offer.tip.header.height
        )
        verify_headers(genesis, self._changes, offer.tip)
        if self._changes != offer.set_changes[: len(self._changes)]:
            raise InvalidError("The offer's headers are not in order.")
        if offer.tip.header.height < checkpoint.height:
            raise InvalidError("The offered snapshot is older than the checkpoint.")
        self.header = offer.tip.header
        self._certificate = offer.tip.certificate
        self._checkpoint = checkpoint
        self.assembly = Assembly(self.header.state_root)
        """Takes the parts of the state."""
        self._blocks: dict[int, CertifiedBlock] = {}

    def wanted(self, recent: int) -> list[Height]:
        """Return the heights whose blocks are needed: the checkpoint, set changes, the last `recent`."""
        last = self.header.height
        heights: set[int] = {item.header.height for item in self._changes}
        heights |= {self._checkpoint.height, *range(max(1, last - recent + 1), last + 1)}
        return [Height(height) for height in sorted(heights)]

    def add_block(self, height: Height, certified: CertifiedBlock) -> None:
        """Take a block.

        Raises:
            InvalidError: it is not the one at that height, as far as headers and checkpoint prove.
        """
        header = certified.block.header
        if header.height != height or not has_matching_body(certified.block):
            raise InvalidError(f"That is no block {height}.")
        check_decided(header_of(certified), self._genesis, self._set_of(height))
        if height == self._checkpoint.height and header.digest() != self._checkpoint.digest:
            raise InvalidError(
                f"Block {height} is not the checkpoint's.",
                remedy="The node that offered this is on another chain, or the checkpoint is wrong.",
            )
        if height == self.header.height and header != self.header:
            raise InvalidError("The last block is not the one that was offered.")
        self._blocks[height] = certified

    def _set_of(self, height: Height) -> tuple[PublicKey, ...]:
        """Return who decided a height, as the checked headers say."""
        before = [item for item in self._changes if item.header.height < height]
        return before[-1].header.next_super_nodes if before else founding_set(self._genesis)

    def finish(self, recent: int) -> tuple[State, Sequence[CertifiedBlock]]:
        """Return the state and the blocks, oldest first.

        Raises:
            InvalidError: something is missing, or the pieces contradict each other.
        """
        if not self.assembly.is_complete or set(self._blocks) != set(self.wanted(recent)):
            raise InvalidError("The snapshot is not complete.")
        blocks = [self._blocks[height] for height in sorted(self._blocks)]
        for before, certified in itertools.pairwise(blocks):
            header, parent = certified.block.header, before.block.header
            if header.height == parent.height + 1 and header.parent != parent.digest():
                raise InvalidError("Two blocks of the snapshot are not of one chain.")
        state = State.restored(self._genesis, self.assembly.pairs())
        changes = state.set_changes()
        expected = tuple(item.header.height for item in self._changes)
        if state.root != self.header.state_root or state.height != self.header.height:
            raise InvalidError("The state is not that of the offered block.")
        if tuple(height for height in changes if height < state.height) != expected:
            raise InvalidError("The offer left out changes of the super nodes.")
        return state, blocks
