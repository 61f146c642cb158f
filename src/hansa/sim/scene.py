"""A small, quiet world for scripts: four super nodes on even links, and one height to watch.

All scenes of a kind have the same keys and the same transactions, so thousands of scripts cost little
more than what differs between them.
"""

from dataclasses import dataclass

from hansa.chain.sealed import SealedTransaction
from hansa.codec import encode
from hansa.consensus import events
from hansa.consensus.messages import Submit
from hansa.sim.members import START_MS
from hansa.sim.network import LinkQuality
from hansa.sim.nodes import SimulatedNode
from hansa.sim.run import PARAMETERS
from hansa.sim.world import World
from hansa.types import Digest

SEED = 4
SETTLING_MS = 100
PATIENCE_MS = 30_000
LINK = LinkQuality(delay_ms_min=5, delay_ms_max=5)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one script."""

    name: str
    violations: tuple[str, ...]
    steps: int
    rounds: int
    """Round in which the watched height was decided; -1 if it was not."""


class Scene:
    """A started world that has agreed on nothing yet."""

    def __init__(self, *, twinned: tuple[int, ...] = (), confidential: bool = False) -> None:
        self.world = World(
            SEED, organisations=4, parameters=PARAMETERS, quality=LINK, twinned=twinned
        )
        self.asked: dict[Digest, SealedTransaction] = {}
        self._confidential = confidential

    def start(self) -> None:
        """Start all nodes and let them meet."""
        self.world.start_all()
        self.world.run_for(SETTLING_MS)

    def hand_to_all(self, number: int = 0) -> None:
        """Give one transaction to the pools of all super nodes at once, as if it had been spread."""
        sealed = self._seal(number)
        for node in self.world.nodes:
            self.give(node, sealed)

    def _seal(self, number: int) -> SealedTransaction:
        world = self.world
        client, up = world.clients[1], [node for node in world.honest() if node.replica is not None]
        part = client.confidential() if self._confidential else b""
        transaction = client.sign(
            client.add_user(),
            height=0,
            time_ms=START_MS + number,
            confidential=part,
        )
        notices = up[0].replica.sealing_notices() if up and up[0].replica is not None else ()
        sealed = client.seal(transaction, notices, part)
        self.asked[transaction.digest()] = sealed
        return sealed

    def give(self, node: SimulatedNode, sealed: SealedTransaction) -> None:
        """Let a node hear of a transaction from the submitting node, or submit it there."""
        sender = self.world.nodes[1]
        if node is sender:
            self.world.submit(1, events.Submitted(sealed))
        elif node.replica is not None:
            data = encode(Submit(sender.key, 0, (sealed,)))
            self.world._deliver(node, node.life, events.MessageReceived(sender.key, data))

    def is_settled(self) -> bool:
        """Tell whether every honest node has every transaction in a block, and the same height."""
        heights = [node.disk.state.height for node in self.world.honest()]
        if min(heights) != max(heights) or not heights[0]:
            return False
        state = self.world.checkers.state
        return all(state.transaction_location(digest) is not None for digest in self.asked)

    def demand(self, commits: int) -> None:
        """Let the script's height be decided, then that many more transactions, one after another."""
        world = self.world
        for number in range(commits + 1):
            if number:
                self.hand_to_all(number)
            if not world.run_for(PATIENCE_MS, until=self.is_settled):
                world.checkers.violate(
                    f"no progress after the script: heights {world.heights()},"
                    f" {number} transactions after it"
                )
                return

    def outcome(self, name: str) -> Outcome:
        """Return what came of it."""
        checkers = self.world.checkers
        if not checkers.violations:
            checkers.at_rest()
        return Outcome(
            name, tuple(checkers.violations), self.world.steps, checkers.rounds.get(1, -1)
        )
