"""What the driver must do, strictly in the order given. Names are in the imperative.

A later effect may rest on an earlier one being durable: a vote is on disk before it is sent, a block
before anything that follows from it. If an effect fails the driver stops the node.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import msgspec

from hansa.types import Digest, Height, PublicKey

if TYPE_CHECKING:
    from hansa.chain.blocks import CertifiedBlock
    from hansa.chain.evidence import Evidence
    from hansa.chain.sealed import SealingKeyNotice
    from hansa.chain.state import State


class PersistVotes(msgspec.Struct, frozen=True):
    """Append to the vote log and sync once."""

    records: tuple[bytes, ...]


class ResetVotes(msgspec.Struct, frozen=True):
    """Replace the vote log by what is still needed."""

    keep: tuple[bytes, ...]


class Send(msgspec.Struct, frozen=True):
    """Send bytes to a node; dropped if it is not connected."""

    to: PublicKey
    data: bytes


class CommitBlock(msgspec.Struct, frozen=True):
    """Make a decided block and its state changes durable, then publish the state."""

    certified: "CertifiedBlock"
    writes: Sequence[tuple[bytes, bytes | None]]
    state: "State"


class SetTimer(msgspec.Struct, frozen=True):
    """Set, or set anew, the timer of this name."""

    name: str
    at_monotonic_ms: int


class CancelTimer(msgspec.Struct, frozen=True):
    """Cancel the timer of this name; absent is fine."""

    name: str


class SettleTransaction(msgspec.Struct, frozen=True):
    """Tell whoever waits what became of a transaction that this node submitted."""

    digest: Digest
    status: Literal["committed", "refused", "expired", "reseal"]
    """`reseal`: the client must seal it again to the present keys and submit it anew."""
    code: str
    """Reason code; empty if committed."""
    height: Height
    """Height of its block (also if execution refused it there); 0 if it is in none."""


class ServeBlocks(msgspec.Struct, frozen=True):
    """Read decided blocks and send them to a node as `messages.encode_blocks(…)`."""

    to: PublicKey
    first: Height
    count: int


class AnnounceSealingKey(msgspec.Struct, frozen=True):
    """This node announces a new sealing key: clients may be told from now on."""

    notice: "SealingKeyNotice"


class Accuse(msgspec.Struct, frozen=True):
    """A node lied and this proves it: bring it to the chain."""

    evidence: "Evidence"


class Halt(msgspec.Struct, frozen=True):
    """Stop the node: this block is certified, and so is another of its height in the own chain."""

    other: "CertifiedBlock"


class ReportFault(msgspec.Struct, frozen=True):
    """Something a peer should not have done; for the operator."""

    kind: str
    """Stable word: malformed, equivocation, double-proposal, invalid-proposal, …"""
    who: PublicKey
    detail: str


Effect = (
    PersistVotes
    | ResetVotes
    | Send
    | CommitBlock
    | SetTimer
    | CancelTimer
    | SettleTransaction
    | ServeBlocks
    | AnnounceSealingKey
    | Accuse
    | Halt
    | ReportFault
)
