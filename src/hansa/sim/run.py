"""One simulated run: load, chaos, healing, and the demand for progress. `run(seed)` is repeatable.

Liveness is demanded only after all faults but the Byzantine ones are gone: then every waiting
transaction is settled, and the height that was stuck is decided within a few rounds.
"""

import hashlib
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from hansa.chain.blocks import faults_of
from hansa.chain.genesis import Parameters
from hansa.sim.actors import ACTORS
from hansa.sim.behaviour import Behaviour
from hansa.sim.chaos import Chaos
from hansa.sim.load import Load
from hansa.sim.network import LinkQuality
from hansa.sim.world import World

PARAMETERS = Parameters(
    epoch_blocks=8,
    proposal_timeout_ms=400,
    vote_timeout_ms=200,
    timeout_growth_ms=200,
    idle_receipt_ms=100,
    block_transactions_max=20,
)
"""Short epochs, small blocks: much happens in little virtual time."""
HEALING_MS_MAX = 60_000
REST_MS = 4_000


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run is made of, besides its seed."""

    organisations: int = 6
    super_nodes: int = 4
    byzantine: int = 0
    """Founding super nodes that lie, at most f for a fair run."""
    actors: tuple[str, ...] = ()
    """Names out of `actors.ACTORS` to draw the liars from; empty for all."""
    changes: bool = False
    """Whether members are admitted, suspended and readmitted meanwhile."""
    joins: bool = False
    """Whether nodes lose their disks and join by snapshots, newcomers too, and prune old blocks."""
    chaos_ms: int = 5_000
    """Virtual milliseconds of chaos before all heals."""

    def words(self, seed: int) -> str:
        """Return the command that repeats the run of one seed."""
        words = [
            f"hansa sim run --first-seed {seed} --seeds 1",
            f"--organisations {self.organisations} --super-nodes {self.super_nodes}",
            f"--byzantine {self.byzantine} --chaos-ms {self.chaos_ms}",
            *(f"--actor {name}" for name in self.actors),
        ]
        words += ["--changes"] * self.changes + ["--joins"] * self.joins
        return " ".join(words)


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
    actors: tuple[str, ...] = field(default=())
    """Who lied."""
    handovers: int = 0
    """Heights at whose end another set took over."""
    joins: int = 0
    """Snapshots taken by nodes that had nothing else."""
    refused_pieces: int = 0
    """Pieces of snapshots that proved nothing and were not taken."""


class Run:
    """Load and chaos for one world."""

    def __init__(
        self,
        seed: int,
        plan: Plan | None = None,
        *,
        behaviour: Callable[[], Behaviour] | None = None,
    ) -> None:
        self.seed = seed
        self.plan = plan = plan or Plan()
        chance = random.Random(seed ^ 0x5EED)
        quality = LinkQuality(
            loss=chance.choice((0.0, 0.02, 0.1, 0.25)),
            duplication=chance.choice((0.0, 0.05, 0.3)),
            delay_ms_min=1,
            delay_ms_max=chance.choice((2, 10, 60, 250)),
        )
        liars = chance.sample(range(plan.super_nodes), plan.byzantine)
        kinds = [chance.choice(plan.actors or tuple(ACTORS)) for _ in liars]
        self.actors = tuple(kinds) if behaviour is None else ()
        made = [behaviour() if behaviour is not None else ACTORS[kind]() for kind in kinds]
        self.world = World(
            seed,
            organisations=plan.organisations,
            parameters=parameters_for(plan.super_nodes),
            behaviours=dict(zip(liars, made, strict=True)),
            quality=quality,
            standbys=2 if plan.changes else 0,
        )
        self.chance = chance
        self.load = Load(self.world, chance)
        self._deadline: tuple[int, int] | None = None
        self._looked_at = -1
        self._is_level = self._is_healed = False
        self.chaos = Chaos(self.world, self.load, chance, changes=plan.changes, joins=plan.joins)

    def _is_calm(self) -> bool:
        self._look()
        return self._is_level and not self.load.owed()

    def _look(self) -> None:
        """Look at the heights after an event, unless none can have changed since the last look."""
        if self._looked_at == self.world.appended:
            return
        self._looked_at = self.world.appended
        heights = self.world.heights()
        self._is_level = min(heights) == max(heights)
        if self._deadline is None and self._is_healed:
            self._note_gathering()

    def run(self) -> Report:
        """Run it all."""
        world, load = self.world, self.load
        if self.plan.joins:
            for node in world.nodes[self.plan.organisations :]:
                self.chaos.join(node)
        world.start_all()
        load.start()
        self.chaos.start()
        world.run_for(self.plan.chaos_ms)
        if not world.checkers.violations:
            self.heal()
        return self._report()

    def heal(self) -> None:
        """End all faults, and demand what is owed then."""
        world, load = self.world, self.load
        load.is_on = False
        self.chaos.heal()
        self._is_healed, self._looked_at = True, -1
        self._settle_down()
        before = len(load.committed)
        for _ in range(3):
            load.submit()
        self._settle_down()
        if len(load.committed) == before:
            world.checkers.violate("nothing was committed after healing")
        # Acknowledgements may still get a block of their own, which others hear of a second later.
        world.run_for(REST_MS)
        world.run_for(REST_MS, until=self._is_calm)
        self._check_rounds()
        self._check_rest()

    def _settle_down(self) -> None:
        if not self.world.run_for(HEALING_MS_MAX, until=self._is_calm):
            self.world.checkers.violate(
                f"no progress after healing: heights {self.world.heights()}, "
                f"{self.load.owed()} transactions waiting"
            )

    # --- what is owed ------------------------------------------------------------------------------

    def _note_gathering(self) -> None:
        """From when all honest super nodes are at the tip, at most f of the masters to come fail.

        One whose member is suspended keeps its seat until the epoch ends, but hears no blocks.
        """
        tip = self.world.checkers.state
        members = tip.super_nodes()
        nodes = [node for node in self.world.settling() if node.key in members]
        if all(node.disk.state.height == tip.height for node in nodes):
            reached = max((node.replica.round for node in nodes if node.replica), default=0)
            self._deadline = (tip.height + 1, reached + faults_of(len(members)) + 2)

    def _check_rounds(self) -> None:
        """Liveness: the height in progress is decided within f + 2 rounds, three with one liar."""
        if self._deadline is None:
            self.world.checkers.violate("honest super nodes never met at the tip after healing")
            return
        height, deadline = self._deadline
        found = self.world.checkers.rounds.get(height, 0)
        if found > deadline:
            self.world.checkers.violate(
                f"height {height} took until round {found} after healing, not {deadline}"
            )

    def _check_rest(self) -> None:
        """What must hold when all is quiet."""
        checkers = self.world.checkers
        checkers.at_rest()
        heights = self.world.heights()
        if min(heights) != max(heights):
            checkers.violate(f"heights differ at rest: {heights}")
        roots = set()
        for node in self.world.settling():
            if node.replica is not None and node.replica.copies_held:
                checkers.violate("a copy is held at rest")
            state, base = node.disk.state, node.disk.base
            roots.add(_digest_of(state.items()))
            taken = {
                transaction.digest(): certified.block.header.height
                for certified in node.disk.blocks
                for transaction in certified.block.transactions
            }
            for digest, height in self.load.committed.items():
                place = state.transaction_location(digest)
                is_here = base >= height or taken.get(digest) == height
                if not is_here or place is None or place[0] != height:
                    checkers.violate(f"an acknowledged transaction of height {height} is lost")
        if len(roots) > 1:
            checkers.violate("the states of two nodes are not equal, byte by byte")

    def _report(self) -> Report:
        world = self.world
        return Report(
            seed=self.seed,
            violations=tuple(world.checkers.violations),
            height=max(world.heights()),
            committed=len(self.load.committed),
            steps=world.steps,
            messages=world.network.sent,
            virtual_ms=world.now_ms,
            replay=self.plan.words(self.seed),
            actors=self.actors,
            handovers=len(world.checkers.state.set_changes()),
            joins=sum(joiner.is_over for joiner in self.chaos.joined),
            refused_pieces=sum(joiner.refused for joiner in self.chaos.joined),
        )


def _digest_of(items: Iterable[tuple[bytes, bytes]]) -> bytes:
    state = hashlib.sha256()
    for key, value in items:
        state.update(len(key).to_bytes(4, "big") + key + len(value).to_bytes(4, "big") + value)
    return state.digest()


def parameters_for(count: int) -> Parameters:
    """Return short epochs for a number of super nodes."""
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


def run(seed: int, **plan: object) -> Report:
    """Run one world from a seed; the keywords are the fields of `Plan`."""
    return Run(seed, Plan(**plan)).run()  # type: ignore[arg-type]
