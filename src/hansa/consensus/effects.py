"""What the driver must do, strictly in the order given. Names are in the imperative.

A later effect may rest on an earlier one being durable: a vote is on disk before it is sent, a block
before anything that follows from it. If an effect fails the driver stops the node.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from hansa.types import Digest, Height, PublicKey

if TYPE_CHECKING:
    from hansa.chain.blocks import CertifiedBlock
    from hansa.chain.evidence import Evidence
    from hansa.chain.sealed import SealingKeyNotice
    from hansa.chain.state import State


@dataclass(frozen=True, slots=True)
class PersistVotes:
    """Append to the vote log and sync once."""

    records: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class ResetVotes:
    """Replace the vote log by what is still needed."""

    keep: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Send:
    """Send bytes to a node; dropped if it is not connected."""

    to: PublicKey
    data: bytes


@dataclass(frozen=True, slots=True)
class CommitBlock:
    """Make a decided block and its state changes durable, then publish the state."""

    certified: "CertifiedBlock"
    writes: Sequence[tuple[bytes, bytes | None]]
    state: "State"


@dataclass(frozen=True, slots=True)
class SetTimer:
    """Set, or set anew, the timer of this name."""

    name: str
    at_monotonic_ms: int


@dataclass(frozen=True, slots=True)
class CancelTimer:
    """Cancel the timer of this name; absent is fine."""

    name: str


@dataclass(frozen=True, slots=True)
class SettleTransaction:
    """Tell whoever waits what became of a transaction that this node submitted."""

    digest: Digest
    status: Literal["committed", "refused", "expired", "reseal"]
    """`reseal`: the client must seal it again to the present keys and submit it anew."""
    code: str
    """Reason code; empty if committed."""
    height: Height
    """Height of its block (also if execution refused it there); 0 if it is in none."""


@dataclass(frozen=True, slots=True)
class ServeBlocks:
    """Read decided blocks and send them to a node as `messages.encode_blocks(…)`."""

    to: PublicKey
    first: Height
    count: int


@dataclass(frozen=True, slots=True)
class AnnounceSealingKey:
    """This node announces a new sealing key: clients may be told from now on."""

    notice: "SealingKeyNotice"


@dataclass(frozen=True, slots=True)
class Accuse:
    """A node lied and this proves it: bring it to the chain."""

    evidence: "Evidence"


@dataclass(frozen=True, slots=True)
class Halt:
    """Stop the node: this block is certified, and so is another of its height in the own chain."""

    other: "CertifiedBlock"


@dataclass(frozen=True, slots=True)
class ReportFault:
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
