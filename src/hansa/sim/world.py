"""The world: nodes with disks, a virtual clock, a queue of events. The order is the seed's alone."""

import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from hansa.chain.blocks import CertifiedBlock
from hansa.chain.evidence import Evidence
from hansa.chain.genesis import Genesis, Parameters
from hansa.chain.state import State
from hansa.consensus import events
from hansa.consensus.effects import (
    Accuse,
    AnnounceSealingKey,
    CancelTimer,
    CommitBlock,
    Effect,
    PersistVotes,
    ReportFault,
    ResetVotes,
    Send,
    ServeBlocks,
    SetTimer,
    SettleTransaction,
)
from hansa.consensus.events import Event, Now
from hansa.consensus.messages import encode_blocks
from hansa.consensus.replica import Replica
from hansa.consensus.schedule import RECENT_BLOCKS
from hansa.sim.byzantine import Behaviour
from hansa.sim.checkers import Checkers
from hansa.sim.members import START_MS, Client, Member, make_genesis, make_members
from hansa.sim.network import LinkQuality, Network
from hansa.types import Digest, Millis, PublicKey


@dataclass(slots=True)
class Disk:
    """What of a node outlives a crash."""

    state: State
    blocks: list[CertifiedBlock] = field(default_factory=list)
    votes: list[bytes] = field(default_factory=list)


class SimulatedNode:
    """One node: its disk, and the replica while it is up."""

    def __init__(self, member: Member, genesis_state: State, behaviour: Behaviour | None) -> None:
        self.member = member
        self.disk = Disk(genesis_state)
        self.behaviour = behaviour
        self.replica: Replica | None = None
        self.is_paused = False
        self.skew_ms = 0
        self.life = 0
        """Counts starts: events of an earlier life are dropped."""
        self.timers: dict[str, int] = {}
        self.held: list[Event] = []
        """What came in during a pause."""
        self.crash_after: int | None = None
        """The next step breaks off after so many effects."""

    @property
    def key(self) -> PublicKey:
        """Node key."""
        return self.member.node

    @property
    def is_honest(self) -> bool:
        """Whether this node follows the protocol."""
        return self.behaviour is None


class World:
    """Runs an alliance from a seed."""

    def __init__(
        self,
        seed: int,
        *,
        organisations: int,
        parameters: Parameters,
        behaviours: dict[int, Behaviour] | None = None,
        quality: LinkQuality | None = None,
    ) -> None:
        self.chance = random.Random(seed)
        self.members = make_members(self.chance, organisations)
        self.genesis: Genesis = make_genesis(self.members, parameters)
        self.network = Network(self.chance, quality or LinkQuality())
        self.checkers = Checkers()
        self.now_ms = 0
        self.steps = 0
        self._queue: list[tuple[int, int, Callable[[], None]]] = []
        self._count = 0
        first = State.at_genesis(self.genesis)
        self.alliance = first.alliance
        self.checkers.genesis(first)
        behaviours = behaviours or {}
        self.nodes = [
            SimulatedNode(member, first, behaviours.get(index))
            for index, member in enumerate(self.members)
        ]
        self.by_key = {node.key: node for node in self.nodes}
        self.clients = [Client(member, self.alliance, self.chance) for member in self.members]
        self.settled: dict[Digest, SettleTransaction] = {}
        self.on_settled: Callable[[SettleTransaction], None] | None = None
        self.drops: Callable[[PublicKey, PublicKey, bytes], bool] | None = None
        """A script's say in what is lost: (sender, receiver, data)."""
        self.forgets_votes = False
        """A planted bug: promises are not written."""
        self.faults: list[tuple[PublicKey, ReportFault]] = []
        self.evidence: list[tuple[PublicKey, Evidence]] = []
        """Who noticed a lie, and the proof of it."""

    # --- time --------------------------------------------------------------------------------------

    def at(self, delay_ms: int, action: Callable[[], None]) -> None:
        """Do something after a while of virtual time."""
        self._count += 1
        heapq.heappush(self._queue, (self.now_ms + delay_ms, self._count, action))

    def run_for(self, duration_ms: int, *, until: Callable[[], bool] | None = None) -> bool:
        """Let time pass; stop early when `until` holds, and tell whether it did."""
        end = self.now_ms + duration_ms
        while self._queue and self._queue[0][0] <= end:
            self.now_ms, _, action = heapq.heappop(self._queue)
            action()
            if self.checkers.violations or (until is not None and until()):
                return not self.checkers.violations
        self.now_ms = end
        return until is None or until()

    # --- nodes -------------------------------------------------------------------------------------

    def start_all(self) -> None:
        """Start every node."""
        for node in self.nodes:
            self.start(node)

    def start(self, node: SimulatedNode) -> None:
        """Start a node from its disk and link it with all that are up."""
        assert node.replica is None
        node.life += 1
        node.timers.clear()
        node.held.clear()
        node.is_paused = False
        node.crash_after = None
        disk = node.disk
        node.replica = Replica(
            node.member.node_key,
            disk.state,
            disk.blocks[-RECENT_BLOCKS:],
            list(disk.votes),
            self.chance.randbytes,
        )
        self._deliver(node, node.life, events.Started())
        for other in self.nodes:
            if other is not node and other.replica is not None:
                self.link(node, other)

    def link(self, one: SimulatedNode, other: SimulatedNode) -> None:
        """Tell two nodes that their link is up, unless it is cut."""
        if self.network.is_cut(one.key, other.key) or self.network.is_cut(other.key, one.key):
            return
        self._deliver(one, one.life, events.PeerConnected(other.key))
        self._deliver(other, other.life, events.PeerConnected(one.key))

    def unlink(self, one: SimulatedNode, other: SimulatedNode) -> None:
        """Tell two nodes that their link is down."""
        self._deliver(one, one.life, events.PeerLost(other.key))
        self._deliver(other, other.life, events.PeerLost(one.key))

    def crash(self, node: SimulatedNode) -> None:
        """Stop a node at once; its disk stays."""
        if node.replica is None:
            return
        node.replica = None
        node.life += 1
        for other in self.nodes:
            if other.replica is not None:
                self._deliver(other, other.life, events.PeerLost(node.key))

    def pause(self, node: SimulatedNode) -> None:
        """Freeze a node; what comes in waits."""
        node.is_paused = True

    def resume(self, node: SimulatedNode) -> None:
        """Thaw a node."""
        node.is_paused = False
        held, node.held = node.held, []
        for event in held:
            self._deliver(node, node.life, event)

    # --- events and effects ------------------------------------------------------------------------

    def _deliver(self, node: SimulatedNode, life: int, event: Event) -> None:
        if node.replica is None or node.life != life:
            return
        if node.is_paused:
            node.held.append(event)
            return
        self.steps += 1
        now = Now(Millis(START_MS + self.now_ms + node.skew_ms), self.now_ms)
        effects = node.replica.step(event, now)
        crash_after, node.crash_after = node.crash_after, None
        for number, effect in enumerate(effects):
            if crash_after is not None and number >= crash_after:
                self.crash(node)
                return
            self._execute(node, effect)
        if node.is_honest and node.replica is not None:
            self.checkers.stepped(node.replica)

    def _execute(self, node: SimulatedNode, effect: Effect) -> None:
        match effect:
            case Send(to, data):
                self._send(node, to, data)
            case PersistVotes() | ResetVotes() | CommitBlock():
                self._write(node, effect)
            case SetTimer(name, at):
                self._set_timer(node, name, at)
            case CancelTimer(name):
                node.timers.pop(name, None)
            case SettleTransaction():
                self._settle(effect)
            case ServeBlocks(to, first, count):
                found = node.disk.blocks[first - 1 : first - 1 + count]
                self._send(node, to, encode_blocks(found))
            case ReportFault():
                self.faults.append((node.key, effect))
            case Accuse(evidence):
                self.evidence.append((node.key, evidence))
            case AnnounceSealingKey():
                pass

    def _write(self, node: SimulatedNode, effect: PersistVotes | ResetVotes | CommitBlock) -> None:
        if isinstance(effect, PersistVotes):
            if node.is_honest:
                self.checkers.persisted(node.key, effect.records)
            if not self.forgets_votes:
                node.disk.votes.extend(effect.records)
        elif isinstance(effect, ResetVotes):
            node.disk.votes = list(effect.keep)
        else:
            if node.is_honest:
                self.checkers.committed(node.key, effect.certified, effect.state)
            node.disk.blocks.append(effect.certified)
            node.disk.state = effect.state

    def _settle(self, effect: SettleTransaction) -> None:
        self.settled[effect.digest] = effect
        if self.on_settled is not None:
            self.on_settled(effect)

    def _set_timer(self, node: SimulatedNode, name: str, at: int) -> None:
        node.timers[name] = at
        life = node.life

        def fire() -> None:
            if node.life == life and node.timers.get(name) == at:
                del node.timers[name]
                self._deliver(node, life, events.TimerFired(name))

        self.at(max(0, at - self.now_ms), fire)

    def _send(self, node: SimulatedNode, to: PublicKey, data: bytes) -> None:
        if node.behaviour is not None:
            assert node.replica is not None
            changed = node.behaviour.change(node.member.node_key, node.replica, to, data)
            if changed is None:
                return
            data = changed
        else:
            self.checkers.sent(node.key, data)
        if self.drops is not None and self.drops(node.key, to, data):
            return
        receiver = self.by_key[to]
        for delay in self.network.delays(node.key, to, len(data)):
            self.at(delay, self._arrival(node.key, receiver, receiver.life, data))

    def _arrival(
        self, sender: PublicKey, receiver: SimulatedNode, life: int, data: bytes
    ) -> Callable[[], None]:
        def arrive() -> None:
            self._deliver(receiver, life, events.MessageReceived(sender, data))

        return arrive

    def submit(self, index: int, event: events.Submitted) -> bool:
        """Give a sealed transaction to a node; tell whether it is up."""
        node = self.nodes[index]
        if node.replica is None or node.is_paused:
            return False
        self._deliver(node, node.life, event)
        return True

    # --- views -------------------------------------------------------------------------------------

    def honest(self) -> list[SimulatedNode]:
        """Return the honest nodes, in order."""
        return [node for node in self.nodes if node.is_honest]

    def heights(self) -> list[int]:
        """Return the durable heights of the honest nodes."""
        return [node.disk.state.height for node in self.honest()]
