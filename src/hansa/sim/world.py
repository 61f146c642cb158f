"""The world: nodes with disks, a virtual clock, a queue of events. The order is the seed's alone."""

import heapq
import random
from collections.abc import Callable, Sequence

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
    Halt,
    PersistVotes,
    ReportFault,
    ResetVotes,
    Send,
    ServeBlocks,
    SetTimer,
    SettleTransaction,
)
from hansa.consensus.events import Event
from hansa.consensus.messages import encode_blocks
from hansa.consensus.replica import Replica
from hansa.consensus.schedule import RECENT_BLOCKS
from hansa.sim.behaviour import Behaviour, Stage, Twin
from hansa.sim.checkers import Checkers
from hansa.sim.members import Client, make_genesis, make_members
from hansa.sim.network import LinkQuality, Network
from hansa.sim.nodes import SimulatedNode
from hansa.types import Digest, PublicKey


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
        twinned: Sequence[int] = (),
        standbys: int = 0,
    ) -> None:
        """Make a world that stands still.

        Args:
            seed: decides everything.
            organisations: founding members.
            parameters: of the alliance.
            behaviours: faulty nodes, by index.
            quality: of the links.
            twinned: indices of members that run two instances with one key, each with its own disk.
            standbys: members that are not founding; the alliance may admit them.
        """
        self.seed = seed
        self.chance = random.Random(seed)
        self.members = make_members(self.chance, organisations + standbys)
        self.genesis: Genesis = make_genesis(self.members[:organisations], parameters)
        self.network = Network(self.chance, quality or LinkQuality())
        self.now_ms = 0
        self.steps = 0
        self._queue: list[tuple[int, int, Callable[[], None]]] = []
        self._count = 0
        self._settling: tuple[State, list[SimulatedNode]] | None = None
        self.appended = 0
        """Counts blocks made durable and starts: between two of them no node's height changes."""
        first = State.at_genesis(self.genesis)
        self.alliance = first.alliance
        behaviours = behaviours or {}
        self.nodes = [
            SimulatedNode(
                member, first, Twin() if index in twinned else behaviours.get(index), seed
            )
            for index, member in enumerate(self.members)
        ]
        self.nodes += [SimulatedNode(self.members[index], first, Twin(), seed) for index in twinned]
        self.by_key = {node.key: node for node in reversed(self.nodes)}
        self.instances: dict[PublicKey, list[SimulatedNode]] = {}
        for node in self.nodes:
            self.instances.setdefault(node.key, []).append(node)
        faulty = [node.key for node in self.nodes if not node.is_honest]
        self.checkers = Checkers(first, faulty)
        self.clients = [Client(member, self.alliance, self.chance) for member in self.members]
        self.settled: dict[Digest, SettleTransaction] = {}
        self.on_settled: Callable[[SettleTransaction], None] | None = None
        self.drops: Callable[[PublicKey, PublicKey, bytes], bool] | None = None
        """A script's say in what is lost: (sender, receiver, data)."""
        self.parts: Callable[[SimulatedNode, SimulatedNode], bool] | None = None
        """A script's say in who does not reach whom, instance by instance."""
        self.before_step: Callable[[SimulatedNode, Event], None] | None = None
        """A script's chance to act just before a step; it may crash the node."""
        self.on_start: Callable[[SimulatedNode], None] | None = None
        """A script's chance to prepare a node that starts."""
        self.faults: list[tuple[PublicKey, ReportFault]] = []
        self.evidence: list[tuple[PublicKey, Evidence]] = []
        """Who noticed a lie, and the proof of it."""
        self.on_accused: Callable[[SimulatedNode, Evidence], None] | None = None
        """What a node does with the proof of a lie."""

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
        """Start every node but those that are to join by a snapshot first."""
        for node in self.nodes:
            if not node.is_joining:
                self.start(node)

    def start(self, node: SimulatedNode, *, prune: int = 0) -> None:
        """Start a node from its disk and link it with all that are up.

        Args:
            node: who is down.
            prune: keep only so many of the last blocks; 0 for all.
        """
        assert node.replica is None
        node.life += 1
        self.appended += 1
        node.timers.clear()
        node.held.clear()
        node.is_paused = False
        node.crash_after = None
        disk = node.disk
        replayed = disk.recover()
        if node.is_honest:
            for certified in disk.blocks[len(disk.blocks) - replayed :]:
                self.checkers.committed(node.key, certified, disk.state)
            self.checkers.started(node.key, disk)
        if prune:
            disk.prune(prune)
        node.replica = Replica(
            node.member.node_key,
            disk.state,
            disk.blocks[-RECENT_BLOCKS:],
            list(disk.votes),
            node.entropy().randbytes,
        )
        if self.on_start is not None:
            self.on_start(node)
        self._deliver(node, node.life, events.Started())
        for other in self.nodes:
            if other is not node and other.replica is not None:
                self.link(node, other)

    def link(self, one: SimulatedNode, other: SimulatedNode) -> None:
        """Tell two nodes that their link is up, unless it is cut or either is no member."""
        if not self.may_meet(one, other):
            return
        self._deliver(one, one.life, events.PeerConnected(other.key))
        self._deliver(other, other.life, events.PeerConnected(one.key))

    def may_meet(self, one: SimulatedNode, other: SimulatedNode) -> bool:
        """Tell whether two nodes are both members' and reach each other."""
        if self.network.is_cut(one.key, other.key) or self.network.is_cut(other.key, one.key):
            return False
        return one.key != other.key and self._is_known(one) and self._is_known(other)

    def _is_known(self, node: SimulatedNode) -> bool:
        """Tell whether some committed block, or the genesis, made this node a member's."""
        return self.checkers.state.organisation_by_node_key(node.key) is not None

    def unlink(self, one: SimulatedNode, other: SimulatedNode) -> None:
        """Tell two nodes that their link is down."""
        self._deliver(one, one.life, events.PeerLost(other.key))
        self._deliver(other, other.life, events.PeerLost(one.key))

    def crash(self, node: SimulatedNode) -> None:
        """Stop a node at once; of its disk stays what was synced, and perhaps more."""
        if node.replica is None:
            return
        node.replica = None
        node.life += 1
        node.disk.crash(self.chance)
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
        replica = self._prepared(node, event)
        if replica is None:
            return
        self.steps += 1
        effects = replica.step(event, node.clock.read(self.now_ms))
        crash_after, node.crash_after = node.crash_after, None
        for number, effect in enumerate(effects):
            if crash_after is not None and number >= crash_after:
                self._break_off(node, effect)
                return
            self._execute(node, effect)
        if node.is_honest and node.replica is not None:
            self.checkers.stepped(node.key, node.replica)

    def _prepared(self, node: SimulatedNode, event: Event) -> Replica | None:
        """Let a script act first; return who steps, or None if it is down or frozen now."""
        if self.before_step is not None:
            self.before_step(node, event)
        if node.is_paused and node.replica is not None:
            node.held.append(event)
            return None
        return node.replica

    def _break_off(self, node: SimulatedNode, effect: Effect) -> None:
        """Crash in the middle of an effect: written, perhaps, and not synced."""
        if isinstance(effect, PersistVotes):
            node.disk.write_votes(effect.records)
        elif isinstance(effect, CommitBlock):
            node.disk.write_block(effect.certified)
            if self.chance.random() < 0.5:
                node.disk.sync_block()
        self.crash(node)

    def _execute(  # noqa: C901 - one arm for each effect
        self, node: SimulatedNode, effect: Effect
    ) -> None:
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
                blocks = map(node.disk.block, range(first, first + count))
                found = [block for block in blocks if block is not None]
                # As the driver does: what was pruned here cannot be answered.
                is_there = bool(found) and found[0].block.header.height == first
                self._send(node, to, encode_blocks(found if is_there else []))
            case ReportFault():
                self.faults.append((node.key, effect))
                self.checkers.accused(node.key, effect)
            case Halt(other):
                height = other.block.header.height
                self.checkers.violate(f"a node halted: two certified blocks of height {height}")
            case Accuse(evidence):
                self.evidence.append((node.key, evidence))
                self.checkers.proved(node.key, evidence)
                if self.on_accused is not None:
                    self.on_accused(node, evidence)
            case AnnounceSealingKey():
                pass

    def _write(self, node: SimulatedNode, effect: PersistVotes | ResetVotes | CommitBlock) -> None:
        if isinstance(effect, PersistVotes):
            node.disk.write_votes(effect.records)
            node.disk.sync_votes()
            if node.is_honest:
                self.checkers.persisted(node.key, effect.records)
        elif isinstance(effect, ResetVotes):
            node.disk.reset_votes(effect.keep)
        else:
            node.disk.write_block(effect.certified)
            node.disk.sync_block()
            node.disk.record(effect.certified, effect.state)
            self.appended += 1
            if node.is_honest:
                self._committed(node, effect)

    def _committed(self, node: SimulatedNode, effect: CommitBlock) -> None:
        known = self.checkers.state.counters.organisations
        self.checkers.committed(node.key, effect.certified, effect.state)
        if self.checkers.state.counters.organisations != known:
            # The alliance grew: who was turned away before is linked now, from the next event on.
            self.at(0, self._link_all)

    def _link_all(self) -> None:
        for number, one in enumerate(self.nodes):
            for other in self.nodes[number + 1 :]:
                self.link(one, other)

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

        self.at(node.clock.delay_until(self.now_ms, at), fire)

    def _send(self, node: SimulatedNode, to: PublicKey, data: bytes) -> None:
        if node.behaviour is None:
            self.checkers.sent(node.key, node.replica, data)
            self._post(node, to, 0, data)
            return
        assert node.replica is not None
        stage = Stage(node.member.node_key, node.replica, self.chance)
        for later, said in node.behaviour.speak(stage, to, data):
            self._post(node, to, later, said)

    def _post(self, node: SimulatedNode, to: PublicKey, later: int, data: bytes) -> None:
        if self.drops is not None and self.drops(node.key, to, data):
            return
        for receiver in self.instances[to]:
            if self.parts is not None and self.parts(node, receiver):
                continue
            for delay in self.network.delays(node.key, to, len(data)):
                self.at(later + delay, self._arrival(node.key, receiver, receiver.life, data))

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

    def settling(self) -> list[SimulatedNode]:
        """Return the honest nodes of active members: those that must end up with every block."""
        state = self.checkers.state
        if self._settling is None or self._settling[0] is not state:
            found = [node for node in self.honest() if state.is_member_node(node.key)]
            self._settling = (state, found)
        return self._settling[1]

    def heights(self) -> list[int]:
        """Return the durable heights of the honest nodes that must keep up."""
        return [node.disk.state.height for node in self.settling()]
