"""What all parts of one replica share during a step: the state, the effects so far, timers, links.

Not a service of its own: it decides nothing. Counterpart: the driver, which executes the effects.
"""

from collections import deque
from collections.abc import Callable, Iterable

from hansa.chain.blocks import CertifiedBlock, Header, faults_of, quorum_of
from hansa.chain.evidence import Evidence
from hansa.chain.state import State
from hansa.codec import encode
from hansa.consensus.effects import (
    Accuse,
    CancelTimer,
    Effect,
    PersistVotes,
    ReportFault,
    Send,
    SetTimer,
    SettleTransaction,
)
from hansa.consensus.events import Now
from hansa.consensus.messages import Message
from hansa.consensus.records import Record
from hansa.consensus.schedule import Schedule
from hansa.crypto.signing import SigningKey
from hansa.types import Epoch, Height, Millis, PublicKey

PAST_MAX = 8
"""States before the present one that are kept, to prove what was said about them."""


class Context:
    """The replica's surroundings, as plain data."""

    def __init__(
        self,
        key: SigningKey,
        state: State,
        schedule: Schedule,
        entropy: Callable[[int], bytes],
    ) -> None:
        self.key = key
        self.node: PublicKey = key.public
        self.alliance = state.alliance
        self.parameters = state.genesis.parameters
        self.schedule = schedule
        self.entropy = entropy
        self.now = Now(Millis(0), 0)
        self.connected: set[PublicKey] = set()
        self.vote_bytes = 0
        self.parent: Header | None = None
        """Header of the last committed block; None at the genesis."""
        self.tip: CertifiedBlock | None = None
        """Last committed block; None at the genesis."""
        self.has_halted = False
        """Two certificates for one height were seen: nothing more is done."""
        self.past: deque[tuple[State, Header | None]] = deque(maxlen=PAST_MAX)
        """Earlier states, each with the header of its last block; they share what they have in common."""
        self._effects: list[Effect] = []
        self._timers: dict[str, int] = {}
        self.adopt(state)

    def adopt(self, state: State) -> None:
        """Take the state of a new height; what is read at every message is read once."""
        self.state = state
        self.members: tuple[PublicKey, ...] = tuple(state.super_nodes())
        self.member_set = frozenset(self.members)
        self.epoch: Epoch = state.epoch()
        self.height = Height(state.height + 1)

    def surroundings(self, height: int) -> tuple[State, Header | None] | None:
        """Return the state that a height is judged on, with its last header; None if it is gone."""
        if height == self.height:
            return self.state, self.parent
        found = [item for item in self.past if item[0].height + 1 == height]
        return found[0] if found else None

    @property
    def is_super_node(self) -> bool:
        """Whether this node is in the set that decides the next block."""
        return self.node in self.member_set

    @property
    def quorum(self) -> int:
        """Votes that decide."""
        return quorum_of(len(self.members))

    @property
    def faults(self) -> int:
        """Faulty super nodes that are borne."""
        return faults_of(len(self.members))

    # --- effects ---------------------------------------------------------------------------------

    def emit(self, effect: Effect) -> None:
        """Append an effect."""
        self._effects.append(effect)

    def persist(self, record: Record) -> None:
        """Write a promise; joined with one just before it, so that one sync carries both."""
        data = encode(record)
        self.vote_bytes += len(data)
        if self._effects and isinstance(last := self._effects[-1], PersistVotes):
            self._effects[-1] = PersistVotes((*last.records, data))
        else:
            self._effects.append(PersistVotes((data,)))

    def send(self, to: PublicKey, message: Message) -> None:
        """Send to one connected node."""
        if to in self.connected:
            self._effects.append(Send(to, encode(message)))

    def broadcast(self, to: Iterable[PublicKey], message: Message) -> None:
        """Send the same bytes to several connected nodes."""
        reached = [key for key in to if key in self.connected]
        if reached:
            data = encode(message)
            self._effects.extend(Send(key, data) for key in reached)

    def report(self, kind: str, who: PublicKey, detail: str = "") -> None:
        """Note a fault of a peer."""
        self._effects.append(ReportFault(kind, who, detail))

    def accuse(self, evidence: Evidence) -> None:
        """Have the proof of a lie brought to the chain."""
        self._effects.append(Accuse(evidence))

    def settle(self, effect: SettleTransaction) -> None:
        """Tell the submitter."""
        self._effects.append(effect)

    def take_effects(self) -> tuple[Effect, ...]:
        """Return and clear what this step wants done."""
        effects = tuple(self._effects)
        self._effects.clear()
        return effects

    # --- nodes -----------------------------------------------------------------------------------

    def super_peers(self) -> list[PublicKey]:
        """Return the other super nodes, in key order."""
        return [key for key in self.members if key != self.node]

    # --- timers ----------------------------------------------------------------------------------

    def set_timer(self, name: str, delay_ms: int) -> None:
        """Set a timer from now, replacing one of the same name."""
        at = self.now.monotonic_ms + delay_ms
        self._timers[name] = at
        self._effects.append(SetTimer(name, at))

    def cancel_timer(self, name: str) -> None:
        """Cancel a timer if it is set."""
        if self._timers.pop(name, None) is not None:
            self._effects.append(CancelTimer(name))

    def is_timer_set(self, name: str) -> bool:
        """Tell whether a timer waits."""
        return name in self._timers

    def take_timer(self, name: str) -> bool:
        """Tell whether a timer that fired is still wanted; it is then spent."""
        at = self._timers.get(name)
        if at is None:
            return False
        if at > self.now.monotonic_ms:
            # Fired a moment early, or set anew meanwhile: it must not be lost.
            self._effects.append(SetTimer(name, at))
            return False
        del self._timers[name]
        return True
