"""Faults of a simulated world: crashes, torn writes, pauses, partitions, wrong clocks, old disks.

Something bad happens every few hundred virtual milliseconds and ends by itself a while later. It may hit
any node, so safety is checked under more than the agreement promises to live through.
"""

import random
from collections.abc import Callable, Sequence
from functools import partial

from hansa.sim.disk import Image
from hansa.sim.joining import Joiner, recent_of
from hansa.sim.load import Load
from hansa.sim.network import PARTITION_KINDS, split
from hansa.sim.nodes import SimulatedNode
from hansa.sim.world import World

Pair = tuple[SimulatedNode, SimulatedNode]
SKEWS_MS = (-3_600_000, -30_000, -5_000, -500, 500, 5_000, 30_000, 3_600_000)
RATES = (0.9, 0.99, 1.01, 1.1)


class Chaos:
    """Makes trouble in a world until it is told to heal."""

    def __init__(
        self,
        world: World,
        load: Load,
        chance: random.Random,
        *,
        changes: bool,
        joins: bool = False,
    ) -> None:
        """Prepare trouble.

        Args:
            world: to trouble.
            load: whose clients bring ballots in.
            chance: decides what and when.
            changes: whether members are admitted, suspended and readmitted meanwhile.
            joins: whether nodes lose their disks and join by snapshots, and prune, meanwhile.
        """
        self.world = world
        self._load = load
        self._chance = chance
        self.is_on = True
        self._images: dict[int, Image] = {}
        self._cuts: list[Pair] = []
        self._actions: list[Callable[[SimulatedNode], None]] = [
            self._crash,
            self._crash_in_a_step,
            self._pause,
            self._part,
            self._part,
            self._one_way,
            self._misset_clock,
        ]
        if changes:
            self._actions.append(self._change_members)
        self.joined: list[Joiner] = []
        """Who lost a disk, or came new, and was to join by a snapshot."""
        # A wiped super node counts as faulty until it has joined: there may be no other then.
        self._wipes_all = not changes and all(node.is_honest for node in world.nodes)
        if joins:
            self._actions += [self._rejoin, self._rejoin, self._prune]
        if any(node.behaviour and node.behaviour.rolls_back for node in world.nodes):
            self._actions += [self._roll_back] * 3

    def start(self) -> None:
        """Begin after a while."""
        self.world.at(self._chance.randint(100, 600), self._next)

    def _next(self) -> None:
        if not self.is_on:
            return
        node = self._chance.choice(self.world.nodes)
        self._chance.choice(self._actions)(node)
        self.world.at(self._chance.randint(50, 900), self._next)

    # --- nodes -------------------------------------------------------------------------------------

    def _crash(self, node: SimulatedNode) -> None:
        self.world.crash(node)
        self.world.at(self._chance.randint(1, 2_000), lambda: self._restart(node))

    def _crash_in_a_step(self, node: SimulatedNode) -> None:
        """The next step that has effects breaks off within one of them."""
        node.crash_after = self._chance.randint(0, 4)
        self.world.at(self._chance.randint(300, 2_000), lambda: self._restart(node))

    def _restart(self, node: SimulatedNode) -> None:
        if node.replica is None and not node.is_joining:
            self.world.start(node)

    def _pause(self, node: SimulatedNode) -> None:
        self.world.pause(node)
        self.world.at(self._chance.randint(50, 2_000), lambda: self.world.resume(node))

    def _misset_clock(self, node: SimulatedNode) -> None:
        """The wall clock jumps; the monotonic one drifts. Both are put right later."""
        node.clock.skew_ms = self._chance.choice(SKEWS_MS)
        node.clock.set_rate(self.world.now_ms, self._chance.choice(RATES))
        self.world.at(self._chance.randint(200, 2_000), lambda: self._set_clock(node))

    def _set_clock(self, node: SimulatedNode) -> None:
        node.clock.skew_ms = 0
        node.clock.set_rate(self.world.now_ms, 1.0)

    def _roll_back(self, _: SimulatedNode) -> None:
        """Copy the disk of a node that counts as faulty, or put the copy back over a restart."""
        for number, node in enumerate(self.world.nodes):
            if node.behaviour is None or not node.behaviour.rolls_back or node.replica is None:
                continue
            image = self._images.pop(number, None)
            if image is None:
                self._images[number] = node.disk.image()
            else:
                self.world.crash(node)
                node.disk.put_back(image)
                self.world.at(self._chance.randint(1, 200), partial(self._restart, node))

    # --- snapshots ---------------------------------------------------------------------------------

    def join(self, node: SimulatedNode) -> None:
        """Have a node that is down join by a snapshot as soon as it is a member's."""
        joiner = Joiner(self.world, node, random.Random(self._chance.randbytes(16)))
        self.joined.append(joiner)
        joiner.start()

    def _rejoin(self, _: SimulatedNode) -> None:
        """A member's honest node loses its disk, vote log and all; one at a time."""
        world = self.world
        members = world.settling()
        seated = () if self._wipes_all else world.checkers.state.super_nodes()
        chosen = [node for node in members if node.key not in seated]
        if not chosen or any(node.is_joining for node in members):
            return
        node = self._chance.choice(chosen)
        world.crash(node)
        self.join(node)

    def _prune(self, node: SimulatedNode) -> None:
        """An honest node restarts and lets go of old blocks; the first one that is honest keeps all."""
        if not node.is_honest or node.is_joining or node is self.world.honest()[0]:
            return
        self.world.crash(node)
        self.world.at(self._chance.randint(1, 500), lambda: self._restart_pruned(node))

    def _restart_pruned(self, node: SimulatedNode) -> None:
        if node.replica is None and not node.is_joining:
            self.world.start(node, prune=recent_of(self.world))

    # --- links -------------------------------------------------------------------------------------

    def _part(self, _: SimulatedNode) -> None:
        """A partition of one of four kinds, in both directions; both sides notice."""
        pairs = split(self._chance.choice(PARTITION_KINDS), self.world.nodes, self._chance)
        both = pairs + [(other, one) for one, other in pairs]
        self._cut(both)
        for one, other in pairs:
            self.world.unlink(one, other)

    def _one_way(self, _: SimulatedNode) -> None:
        """A partition of one of four kinds in one direction, without either side noticing."""
        pairs = split(self._chance.choice(PARTITION_KINDS), self.world.nodes, self._chance)
        self._cut(pairs)

    def _cut(self, pairs: Sequence[Pair]) -> None:
        for one, other in pairs:
            self.world.network.cut(one.key, other.key)
        self.world.at(self._chance.randint(100, 1_500), lambda: self._mend(pairs))

    def _mend(self, pairs: Sequence[Pair]) -> None:
        for one, other in pairs:
            self.world.network.mend(one.key, other.key)
        for one, other in pairs:
            self.world.link(one, other)

    # --- members -----------------------------------------------------------------------------------

    def _change_members(self, _: SimulatedNode) -> None:
        """Ballots of a majority: a member that stands by or is suspended comes, or another goes."""
        state = self.world.checkers.state
        names = {member.name: number for number, member in enumerate(self.world.members)}
        active = [names[item.name] for item in state.organisations() if item.status == "active"]
        outside = [number for number in names.values() if number not in active]
        quorum = len(active) // 2 + 1
        if outside and (len(active) <= self._fewest or self._chance.random() < 0.6):
            subject, admits = self._chance.choice(outside), True
        elif len(active) > self._fewest:
            subject, admits = self._chance.choice(active), False
        else:
            return
        voters = [number for number in active if number != subject]
        self._load.ballot(voters[: quorum + 1], subject, admits=admits)

    @property
    def _fewest(self) -> int:
        """Members that stay active at least: one more than there are seats."""
        return self.world.genesis.parameters.super_nodes + 1

    # --- the end -----------------------------------------------------------------------------------

    def heal(self) -> None:
        """All faults end, but Byzantine nodes stay what they are."""
        self.is_on = False
        world = self.world
        world.network.heal()
        for node in world.nodes:
            node.crash_after = None
            self._set_clock(node)
            if node.is_paused:
                world.resume(node)
            if node.replica is None and not node.is_joining:
                world.start(node)
        for number, one in enumerate(world.nodes):
            for other in world.nodes[number + 1 :]:
                world.link(one, other)
