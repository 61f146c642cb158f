"""What happened: the only way into `Replica.step`. Names are in the past tense."""

from dataclasses import dataclass

from hansa.chain.sealed import SealedTransaction
from hansa.types import Millis, PublicKey


@dataclass(frozen=True, slots=True)
class Now:
    """The two clocks at a step, read by the driver."""

    wall_ms: Millis
    """Wall clock; may jump; used for block times and their check only."""
    monotonic_ms: int
    """For timers; never goes back."""


@dataclass(frozen=True, slots=True)
class Started:
    """The node is up and its disk is read; comes first and once."""


@dataclass(frozen=True, slots=True)
class MessageReceived:
    """Bytes came over an authenticated link."""

    sender: PublicKey
    """Node key that the link proved."""
    data: bytes


@dataclass(frozen=True, slots=True)
class Submitted:
    """The own API accepted a sealed transaction, or several in one call."""

    sealed: SealedTransaction
    more: tuple[SealedTransaction, ...] = ()


@dataclass(frozen=True, slots=True)
class TimerFired:
    """A timer set by SetTimer is due."""

    name: str


@dataclass(frozen=True, slots=True)
class PeerConnected:
    """A link to a member's node is up."""

    key: PublicKey


@dataclass(frozen=True, slots=True)
class PeerLost:
    """A link is down."""

    key: PublicKey


@dataclass(frozen=True, slots=True)
class Stopped:
    """The node goes down: the vault is erased; nothing may follow."""


Event = Started | MessageReceived | Submitted | TimerFired | PeerConnected | PeerLost | Stopped
