"""Messages of one block as the alliance grows: counted in the simulator, beside the formula and all-node PBFT.

python benchmarks/growth.py [--smoke]

For r = 4 to 31 the shipped replicas agree in one process on even links without loss, one transaction after
another from a node that is no super node; what is sent is counted by kind between two heights. For n to
10,000 each node's sends down the block tree are counted with the shipped `Tree`; the super nodes' votes do
not depend on n. Writes results/growth.json; the counts are the same on every machine.
"""

import argparse
import json
import random
import sys
from collections import Counter
from pathlib import Path

from hansa.consensus.events import Submitted
from hansa.consensus.messages import kind_of
from hansa.consensus.spreading import Tree
from hansa.sim.members import START_MS
from hansa.sim.network import LinkQuality
from hansa.sim.remembered import remembered
from hansa.sim.run import parameters_for
from hansa.sim.world import World
from hansa.types import Digest, PublicKey

RESULT = Path(__file__).parent / "results" / "growth.json"
SEED = 7
SUPER_NODES = (4, 7, 10, 13, 16, 19, 22, 25, 28, 31)
ORDINARY = 5
"""Nodes besides the super nodes in the first table; the last of them submits."""
NODES = (4, 10, 31, 100, 316, 1_000, 3_162, 10_000)
WARM_HEIGHTS = 3
SAMPLE_HEIGHTS = 8
PATIENCE_MS = 60_000
STEP = {
    "Submit": "submit",
    "Propose": "propose",
    "Review": "review",
    "Confirm": "confirm",
    "BlockDecided": "block",
    "Erased": "erased",
}
"""Kinds that the formula counts; all else (Status, keys at the start) goes on by time, not by blocks."""


class Quiet:
    """A world without faults in which blocks follow each other."""

    def __init__(self, super_nodes: int) -> None:
        self.world = World(
            SEED,
            organisations=super_nodes + ORDINARY,
            parameters=parameters_for(super_nodes),
            quality=LinkQuality(delay_ms_min=1, delay_ms_max=1),
        )
        self.sent: Counter[str] = Counter()
        self.world.drops = self._count
        self.world.start_all()
        self.world.run_for(200)
        self.sent.clear()

    def _count(self, sender: PublicKey, to: PublicKey, data: bytes) -> bool:
        assert sender != to
        self.sent[kind_of(data)] += 1
        return False

    def commit(self) -> None:
        """Have one more transaction decided, from the last node."""
        world, index = self.world, len(self.world.nodes) - 1
        client, replica = world.clients[index], world.nodes[index].replica
        assert replica is not None
        height = min(world.heights())
        transaction = client.sign(client.add_user(), height=height, time_ms=START_MS + world.now_ms)
        world.submit(index, Submitted(client.seal(transaction, replica.sealing_notices())))
        # The next one follows at once: acknowledgements ride on its reviews.
        assert world.run_for(PATIENCE_MS, until=lambda: min(world.heights()) > height)


def count_agreement(super_nodes: int) -> dict[str, object]:
    """Return messages of a block by kind, averaged over some heights."""
    quiet = Quiet(super_nodes)
    for _ in range(WARM_HEIGHTS):
        quiet.commit()
    quiet.sent.clear()
    before = quiet.world.checkers.state.height
    for _ in range(SAMPLE_HEIGHTS):
        quiet.commit()
    assert not quiet.world.checkers.violations, quiet.world.checkers.violations
    heights = quiet.world.checkers.state.height - before
    found = {name: round(quiet.sent.pop(kind, 0) / heights, 2) for kind, name in STEP.items()}
    return {
        "super_nodes": super_nodes,
        "nodes": super_nodes + ORDINARY,
        "heights": heights,
        **found,
        "others": round(sum(quiet.sent.values()) / heights, 2),
    }


def count_tree(nodes: int, super_nodes: int = 4) -> dict[str, int]:
    """Return the blocks sent down the tree to `nodes` in all, and by one node at most."""
    chance = random.Random(SEED)
    keys = [PublicKey(chance.randbytes(32)) for _ in range(nodes)]
    roots, ordinary = sorted(keys[:super_nodes]), sorted(keys[super_nodes:])
    tree = Tree(roots, ordinary, master=roots[0], block=Digest(chance.randbytes(32)))
    having, fresh, sends = set(roots), list(roots), Counter[PublicKey]()
    while fresh:
        following: list[PublicKey] = []
        for node in fresh:
            for child in tree.below(node, lambda _: True):
                sends[node] += 1
                if child not in having:
                    having.add(child)
                    following.append(child)
        fresh = following
    assert len(having) == nodes
    return {
        "nodes": nodes,
        "sent": sum(sends.values()),
        "by_one_at_most": max(sends.values(), default=0),
        "by_a_super_node": max((sends[key] for key in roots), default=0),
    }


def main() -> int:
    """Count and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--smoke", action="store_true", help="Small, and nothing is written.")
    smoke = parser.parse_args().smoke
    with remembered():
        agreement = [count_agreement(r) for r in (SUPER_NODES[:2] if smoke else SUPER_NODES)]
    tree = [count_tree(n) for n in (NODES[:4] if smoke else NODES)]
    result = {"seed": SEED, "agreement": agreement, "tree": tree}
    text = json.dumps(result, indent=1) + "\n"
    if smoke:
        sys.stdout.write(text)
    else:
        RESULT.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
