"""One simulated run: load, chaos, healing, and the demand for progress. `run(seed)` is repeatable.

Chaos may hit any node at any time, so safety is checked under more than the agreement promises to
live through; liveness is demanded only after all faults but the Byzantine ones are gone.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hansa.chain.genesis import Parameters
from hansa.chain.transactions import Operation, Transaction
from hansa.consensus.effects import SettleTransaction
from hansa.consensus.events import Submitted
from hansa.sim.byzantine import (
    Behaviour,
    DoubleVoter,
    EpochShifter,
    Equivocator,
    Forger,
    Silent,
)
from hansa.sim.members import START_MS
from hansa.sim.network import LinkQuality
from hansa.sim.world import SimulatedNode, World
from hansa.types import Digest

PARAMETERS = Parameters(
    epoch_blocks=8,
    proposal_timeout_ms=400,
    vote_timeout_ms=200,
    timeout_growth_ms=200,
    idle_receipt_ms=100,
    block_transactions_max=20,
)
"""Short epochs, small blocks: much happens in little virtual time."""

BEHAVIOURS: tuple[Callable[[], Behaviour], ...] = (
    Silent,
    Equivocator,
    DoubleVoter,
    EpochShifter,
    Forger,
)
CLIENT_PATIENCE_MS = 3_000
"""An unsettled transaction is given to the node again after this time: the node may have restarted."""
HEALING_MS_MAX = 60_000


@dataclass(frozen=True, slots=True)
class Report:
    """What came of one run."""

    seed: int
    violations: tuple[str, ...]
    height: int
    committed: int
    steps: int
    messages: int
    virtual_ms: int
    replay: str
    """The command that repeats the run."""


@dataclass(slots=True)
class Pending:
    """A transaction whose client waits."""

    index: int
    transaction: Transaction
    confidential: bytes
    asked_ms: int


class Run:
    """Load and chaos for one world."""

    def __init__(
        self,
        seed: int,
        *,
        organisations: int = 6,
        super_nodes: int = 4,
        byzantine: int = 0,
        behaviour: Callable[[], Behaviour] | None = None,
        chaos_ms: int = 5_000,
    ) -> None:
        self.seed = seed
        self.chaos_ms = chaos_ms
        chance = random.Random(seed ^ 0x5EED)
        quality = LinkQuality(
            loss=chance.choice((0.0, 0.02, 0.1, 0.25)),
            duplication=chance.choice((0.0, 0.05, 0.3)),
            delay_ms_min=1,
            delay_ms_max=chance.choice((2, 10, 60, 250)),
        )
        liars = chance.sample(range(super_nodes), byzantine)
        behaviours = {index: (behaviour or chance.choice(BEHAVIOURS))() for index in liars}
        parameters = _with_super_nodes(super_nodes)
        self.world = World(
            seed,
            organisations=organisations,
            parameters=parameters,
            behaviours=behaviours,
            quality=quality,
        )
        self.chance = chance
        self.pending: dict[Digest, Pending] = {}
        self.is_chaotic = True
        self.world.on_settled = self._settled
        self.committed: dict[Digest, int] = {}

    # --- clients -----------------------------------------------------------------------------------

    def submit(self) -> None:
        """A client of some honest organisation signs something and gives it to its node."""
        world, chance = self.world, self.chance
        index = chance.choice([world.nodes.index(node) for node in world.honest()])
        client = world.clients[index]
        height = max(world.heights())
        operation: Operation = client.add_user()
        if chance.random() < 0.15:
            count = world.genesis.parameters.super_nodes
            names = sorted(member.name for member in chance.sample(world.members, count))
            operation = client.vote(tuple(names))
        confidential = client.confidential() if chance.random() < 0.4 else b""
        transaction = client.sign(
            operation,
            height=height,
            time_ms=START_MS + world.now_ms,
            confidential=confidential,
        )
        self.pending[transaction.digest()] = Pending(index, transaction, confidential, world.now_ms)
        self._hand_in(transaction.digest())

    def _hand_in(self, digest: Digest) -> None:
        pending = self.pending.get(digest)
        if pending is None:
            return
        pending.asked_ms = self.world.now_ms
        node = self.world.nodes[pending.index]
        if node.replica is None or node.is_paused:
            return
        notices = node.replica.sealing_notices()
        if not notices:
            return
        client = self.world.clients[pending.index]
        sealed = client.seal(pending.transaction, notices, pending.confidential)
        self.world.submit(pending.index, Submitted(sealed))

    def _settled(self, effect: SettleTransaction) -> None:
        if effect.status == "reseal":
            self.world.at(20, lambda: self._hand_in(effect.digest))
            return
        self.pending.pop(effect.digest, None)
        if effect.status == "committed":
            self.committed[effect.digest] = effect.height

    def _remind(self) -> None:
        """Clients that wait too long hand in again."""
        limit = self.world.now_ms - CLIENT_PATIENCE_MS
        for digest in [key for key, item in self.pending.items() if item.asked_ms <= limit]:
            self._hand_in(digest)
        self.world.at(500, self._remind)

    def _load(self) -> None:
        if not self.is_chaotic:
            return
        self.submit()
        self.world.at(self.chance.randint(20, 400), self._load)

    # --- chaos -------------------------------------------------------------------------------------

    def _chaos(self) -> None:
        """Something bad happens, and later something else."""
        if not self.is_chaotic:
            return
        node = self.chance.choice(self.world.nodes)
        action = self.chance.choice(
            (self._crash, self._crash_in_a_step, self._pause, self._partition, self._one_way)
        )
        action(node)
        self.world.at(self.chance.randint(50, 900), self._chaos)

    def _crash(self, node: SimulatedNode) -> None:
        self.world.crash(node)
        self.world.at(self.chance.randint(1, 2_000), lambda: self._restart(node))

    def _crash_in_a_step(self, node: SimulatedNode) -> None:
        """The next step that has effects breaks off between two of them."""
        node.crash_after = self.chance.randint(0, 4)
        self.world.at(self.chance.randint(300, 2_000), lambda: self._restart(node))

    def _restart(self, node: SimulatedNode) -> None:
        if node.replica is None:
            self.world.start(node)

    def _pause(self, node: SimulatedNode) -> None:
        self.world.pause(node)
        self.world.at(self.chance.randint(50, 2_000), lambda: self.world.resume(node))

    def _partition(self, node: SimulatedNode) -> None:
        """Cut a random group off in both directions."""
        group = {node.key} | {other.key for other in self.world.nodes if self.chance.random() < 0.4}
        pairs = [
            (one, other)
            for one in self.world.nodes
            for other in self.world.nodes
            if one.key in group and other.key not in group
        ]
        for one, other in pairs:
            self.world.network.cut(one.key, other.key)
            self.world.network.cut(other.key, one.key)
            self.world.unlink(one, other)
        self.world.at(self.chance.randint(100, 1_500), lambda: self._mend(pairs))

    def _one_way(self, node: SimulatedNode) -> None:
        """Cut what a node sends to some others, without either noticing."""
        pairs = [
            (node, other)
            for other in self.world.nodes
            if other is not node and self.chance.random() < 0.5
        ]
        for one, other in pairs:
            self.world.network.cut(one.key, other.key)
        self.world.at(self.chance.randint(100, 1_500), lambda: self._mend(pairs))

    def _mend(self, pairs: Sequence[tuple[SimulatedNode, SimulatedNode]]) -> None:
        for one, other in pairs:
            self.world.network.mend(one.key, other.key)
            self.world.network.mend(other.key, one.key)
        for one, other in pairs:
            self.world.link(one, other)

    def _heal(self) -> None:
        """All faults end, but Byzantine nodes stay what they are."""
        self.is_chaotic = False
        world = self.world
        world.network.heal()
        for node in world.nodes:
            node.crash_after = None
            if node.is_paused:
                world.resume(node)
            if node.replica is None:
                world.start(node)
        for number, one in enumerate(world.nodes):
            for other in world.nodes[number + 1 :]:
                world.link(one, other)

    # --- the whole run -----------------------------------------------------------------------------

    def _is_calm(self) -> bool:
        heights = self.world.heights()
        return not self.pending and min(heights) == max(heights)

    def run(self) -> Report:
        """Run it all."""
        world = self.world
        world.start_all()
        world.at(30, self._load)
        world.at(500, self._remind)
        world.at(self.chance.randint(100, 600), self._chaos)
        world.run_for(self.chaos_ms)
        self._heal()
        if not world.run_for(HEALING_MS_MAX, until=self._is_calm):
            self._explain_stall()
        before = len(self.committed)
        for _ in range(3):
            self.submit()
        if not world.run_for(HEALING_MS_MAX, until=self._is_calm):
            self._explain_stall()
        if len(self.committed) == before:
            world.checkers.violate("nothing was committed after healing")
        world.run_for(4_000)
        self._check_rest()
        return self._report()

    def _explain_stall(self) -> None:
        if not self.world.checkers.violations:
            self.world.checkers.violate(
                f"no progress after healing: heights {self.world.heights()}, "
                f"{len(self.pending)} transactions waiting"
            )

    def _check_rest(self) -> None:
        """What must hold when all is quiet."""
        checkers = self.world.checkers
        heights = self.world.heights()
        if min(heights) != max(heights):
            checkers.violate(f"heights differ at rest: {heights}")
        for node in self.world.honest():
            if node.replica is not None and node.replica.copies_held:
                checkers.violate("a copy is held at rest")
            taken = {
                transaction.digest(): certified.block.header.height
                for certified in node.disk.blocks
                for transaction in certified.block.transactions
            }
            for digest, height in self.committed.items():
                if taken.get(digest) != height:
                    checkers.violate(f"an acknowledged transaction of height {height} is lost")

    def _report(self) -> Report:
        world = self.world
        return Report(
            seed=self.seed,
            violations=tuple(world.checkers.violations),
            height=max(world.heights()),
            committed=len(self.committed),
            steps=world.steps,
            messages=world.network.sent,
            virtual_ms=world.now_ms,
            replay=(
                f"python -m hansa.sim --first-seed {self.seed} --seeds 1"
                f" --organisations {len(world.members)}"
                f" --super-nodes {world.genesis.parameters.super_nodes}"
                f" --byzantine {len(world.nodes) - len(world.honest())}"
                f" --chaos-ms {self.chaos_ms}"
            ),
        )


def _with_super_nodes(count: int) -> Parameters:
    if count == PARAMETERS.super_nodes:
        return PARAMETERS
    return Parameters(
        super_nodes=count,
        epoch_blocks=2 * count,
        proposal_timeout_ms=400,
        vote_timeout_ms=200,
        timeout_growth_ms=200,
        idle_receipt_ms=100,
        block_transactions_max=20,
    )


def run(
    seed: int,
    *,
    organisations: int = 6,
    super_nodes: int = 4,
    byzantine: int = 0,
    chaos_ms: int = 5_000,
) -> Report:
    """Run one world from a seed.

    Args:
        seed: decides everything.
        organisations: members, at least `super_nodes`.
        super_nodes: r = 3f+1.
        byzantine: how many founding super nodes lie, at most f for a fair run.
        chaos_ms: virtual milliseconds of chaos before all heals.
    """
    return Run(
        seed,
        organisations=organisations,
        super_nodes=super_nodes,
        byzantine=byzantine,
        chaos_ms=chaos_ms,
    ).run()
