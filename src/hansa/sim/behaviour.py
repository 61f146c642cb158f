"""What a faulty super node may do: say something else, more, later, or nothing; with its real key.

A behaviour sits behind an ordinary replica and changes what leaves it. The replica itself hears
everything and keeps to the rules, so a liar knows all that a super node knows.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from hansa.codec import encode
from hansa.consensus.messages import Message, decode_message
from hansa.consensus.replica import Replica
from hansa.crypto.signing import SigningKey
from hansa.types import PublicKey

Said = Sequence[tuple[int, bytes]]
"""What is said instead of one message: (virtual milliseconds later, bytes)."""
SILENCE: Said = ()


@dataclass(frozen=True, slots=True)
class Stage:
    """What a faulty node has at hand."""

    key: SigningKey
    replica: Replica
    chance: random.Random

    @property
    def members(self) -> tuple[PublicKey, ...]:
        """The super nodes, in key order."""
        return self.replica.state.super_nodes()

    def is_second_half(self, to: PublicKey) -> bool:
        """Tell whether a super node is in the later half, by key."""
        members = self.members
        return to in members and members.index(to) * 2 >= len(members)


class Behaviour:
    """The base: says what the replica says. The node counts as faulty all the same."""

    rolls_back = False
    """Whether a restart may find an older image of the disk."""

    def speak(self, stage: Stage, to: PublicKey, data: bytes) -> Said:
        """Return what goes to `to` instead of `data`."""
        said = self.change(stage, to, decode_message(data))
        if said is None:
            return ((0, data),)
        return tuple((0, item if isinstance(item, bytes) else encode(item)) for item in said)

    def change(
        self, stage: Stage, to: PublicKey, message: Message
    ) -> Sequence[Message | bytes] | None:
        """Return what is said instead, or None for no change."""
        del stage, to, message
        return None


class Twin(Behaviour):
    """One of two instances with one key: each follows the rules, together they lie (Twins)."""


class RolledBack(Behaviour):
    """Starts from an old image of its disk now and then: its votes since are forgotten."""

    rolls_back = True
