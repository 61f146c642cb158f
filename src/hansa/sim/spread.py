"""One decided block on its way to very many nodes: the shipped tree and the shipped choice of whom to ask.

Not the replicas themselves, which would be ten thousand states: each node here is a flag, whether it has
the block. What it sends, and to whom, is `consensus.spreading`'s answer. Some nodes are down, known by their
links; some are up and pass nothing on, answer no status and serve nothing. Time goes in hops while the tree
works and in seconds of status afterwards.
"""

import hashlib
import random
from collections import Counter
from dataclasses import dataclass

from hansa.consensus.spreading import Tree, peers_to_ask
from hansa.types import Digest, PublicKey

SECONDS_MAX = 60


@dataclass(frozen=True, slots=True)
class Spread:
    """What came of one block."""

    nodes: int
    hops: int
    """Links from a super node to the last that the tree reached."""
    missed: int
    """Honest nodes that are up and that the tree did not reach."""
    seconds: int
    """Rounds of status until all of those had it; -1 if they never had."""
    super_sends_max: int
    """Blocks that a super node sent at most."""
    node_sends_max: int
    """Blocks that any other node sent at most, those it served included."""
    asked_max: int
    """Statuses that one node received in one second at most."""


class _World:
    """Nodes as flags."""

    def __init__(self, seed: int, nodes: int, super_nodes: int, silent: float, down: float) -> None:
        chance = random.Random(seed)
        self.keys = sorted(PublicKey(chance.randbytes(32)) for _ in range(nodes))
        self.roots = sorted(chance.sample(self.keys, super_nodes))
        ordinary = sorted(set(self.keys) - set(self.roots))
        bad = chance.sample(ordinary, round((silent + down) * len(ordinary)))
        cut = round(silent * len(ordinary))
        self.silent, self.down = set(bad[:cut]), set(bad[cut:])
        # The borne f of the super nodes have the block and keep it to themselves.
        self.silent |= set(chance.sample(self.roots, (super_nodes - 1) // 3))
        block = Digest(hashlib.sha256(b"%d" % seed).digest())
        self.tree = Tree(self.roots, ordinary, master=chance.choice(self.roots), block=block)
        self.having = set(self.roots)
        self.sends: Counter[PublicKey] = Counter()
        self.hops = 0

    def is_up(self, node: PublicKey) -> bool:
        return node not in self.down

    def owed(self) -> list[PublicKey]:
        """Return the honest nodes that are up and lack the block."""
        return [
            key
            for key in self.keys
            if key not in self.having and key not in self.silent and key not in self.down
        ]

    def pass_on(self, fresh: list[PublicKey]) -> None:
        """Let the block go down the tree from those who just got it."""
        while fresh:
            following = []
            for node in fresh:
                if node in self.silent:
                    continue
                for child in self.tree.below(node, self.is_up):
                    self.sends[node] += 1
                    if child not in self.having:
                        self.having.add(child)
                        following.append(child)
            fresh = following
            self.hops += bool(following)

    def ask(self, peers: list[PublicKey], second: int) -> int:
        """Let all nodes ask where others stand, and fetch; return how often one was asked at most."""
        asked: Counter[PublicKey] = Counter()
        fresh = []
        had = set(self.having)
        for node in peers:
            if node in self.roots or node in self.silent:
                continue
            chosen = peers_to_ask(peers, second, node)
            asked.update(chosen)
            helpers = [key for key in chosen if key in had and key not in self.silent]
            if node not in self.having and helpers:
                self.sends[helpers[0]] += 1
                self.having.add(node)
                fresh.append(node)
        self.pass_on(fresh)
        return max(asked.values(), default=0)


def spread(
    seed: int, *, nodes: int, super_nodes: int = 4, silent: float = 0.0, down: float = 0.0
) -> Spread:
    """Send one block to all.

    Args:
        seed: decides keys, places, and who is bad.
        nodes: in all.
        super_nodes: of them, r = 3f+1; f of them pass nothing on.
        silent: share of the others that are up and do nothing for anybody, 0 to 1.
        down: share of the others that are down.
    """
    world = _World(seed, nodes, super_nodes, silent, down)
    world.pass_on(list(world.roots))
    hops, missed = world.hops, len(world.owed())
    peers = [key for key in world.keys if world.is_up(key)]
    seconds, asked_max = 0, 0
    while world.owed() and seconds < SECONDS_MAX:
        asked_max = max(asked_max, world.ask(peers, seconds))
        seconds += 1
    roots = set(world.roots)
    return Spread(
        nodes=nodes,
        hops=hops,
        missed=missed,
        seconds=seconds if not world.owed() else -1,
        super_sends_max=max(world.sends[key] for key in roots),
        node_sends_max=max(
            (count for key, count in world.sends.items() if key not in roots), default=0
        ),
        asked_max=asked_max,
    )
