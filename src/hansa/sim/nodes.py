"""A simulated node: its disk, its clocks, and the replica while it is up."""

import random
from typing import TYPE_CHECKING

from hansa.chain.state import State
from hansa.consensus.events import Event, Now
from hansa.sim.disk import Disk
from hansa.sim.members import START_MS, Member
from hansa.types import Millis, PublicKey

if TYPE_CHECKING:
    from hansa.consensus.replica import Replica
    from hansa.sim.behaviour import Behaviour


class SimulatedClock:
    """The two clocks of one node, as wrong as clocks are."""

    def __init__(self) -> None:
        self.skew_ms = 0
        """How far the wall clock is off; it may jump."""
        self.rate = 1.0
        """How fast the monotonic clock runs against true time; it never goes back."""
        self._base_true_ms = 0
        self._base_ms = 0.0

    def set_rate(self, true_ms: int, rate: float) -> None:
        """Run faster or slower from now on."""
        self._base_ms = self._monotonic(true_ms)
        self._base_true_ms = true_ms
        self.rate = rate

    def _monotonic(self, true_ms: int) -> float:
        return self._base_ms + (true_ms - self._base_true_ms) * self.rate

    def read(self, true_ms: int) -> Now:
        """Return what the node reads at a true time."""
        return Now(Millis(START_MS + true_ms + self.skew_ms), int(self._monotonic(true_ms)))

    def delay_until(self, true_ms: int, at_monotonic_ms: int) -> int:
        """Return after how many true milliseconds the monotonic clock shows `at_monotonic_ms`."""
        left = at_monotonic_ms - self._monotonic(true_ms)
        delay = max(0, int(left / self.rate))
        while int(self._monotonic(true_ms + delay)) < at_monotonic_ms:
            delay += 1
        return delay


class SimulatedNode:
    """One node; twins are two nodes with one member."""

    def __init__(
        self, member: Member, genesis_state: State, behaviour: "Behaviour | None", seed: int
    ) -> None:
        self.member = member
        self.disk = Disk(genesis_state)
        self.behaviour = behaviour
        self.clock = SimulatedClock()
        self.replica: Replica | None = None
        self.is_paused = False
        self.is_joining = False
        """Down until it has taken a snapshot: see `joining`."""
        self.life = 0
        """Counts starts: events of an earlier life are dropped."""
        self.timers: dict[str, int] = {}
        self.held: list[Event] = []
        """What came in during a pause."""
        self.crash_after: int | None = None
        """The next step with so many writes and sends breaks off within the last of them."""
        self._seed = seed

    @property
    def key(self) -> PublicKey:
        """Node key."""
        return self.member.node

    @property
    def is_honest(self) -> bool:
        """Whether this node follows the protocol."""
        return self.behaviour is None

    def entropy(self) -> random.Random:
        """Return the chance of one life: the same whatever happened to the others."""
        return random.Random(f"{self._seed} {self.key.hex()} {self.life}")
