"""What happened: the only way into `Replica.step`. Names are in the past tense."""

import msgspec

from hansa.chain.sealed import SealedTransaction
from hansa.types import Millis, PublicKey


class Now(msgspec.Struct, frozen=True):
    """The two clocks at a step, read by the driver."""

    wall_ms: Millis
    """Wall clock; may jump; used for block times and their check only."""
    monotonic_ms: int
    """For timers; never goes back."""


class Started(msgspec.Struct, frozen=True):
    """The node is up and its disk is read; comes first and once."""


class MessageReceived(msgspec.Struct, frozen=True):
    """Bytes came over an authenticated link."""

    sender: PublicKey
    """Node key that the link proved."""
    data: bytes


class Submitted(msgspec.Struct, frozen=True):
    """The own API accepted a sealed transaction, or several in one call."""

    sealed: SealedTransaction
    more: tuple[SealedTransaction, ...] = ()


class TimerFired(msgspec.Struct, frozen=True):
    """A timer set by SetTimer is due."""

    name: str


class PeerConnected(msgspec.Struct, frozen=True):
    """A link to a member's node is up."""

    key: PublicKey


class PeerLost(msgspec.Struct, frozen=True):
    """A link is down."""

    key: PublicKey


class Stopped(msgspec.Struct, frozen=True):
    """The node goes down: the vault is erased; nothing may follow."""


Event = Started | MessageReceived | Submitted | TimerFired | PeerConnected | PeerLost | Stopped
