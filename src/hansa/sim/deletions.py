"""The deletion of copies racing a change of rounds: every step of a height, cut in every way.

Three heights are played with a confidential transaction: one that commits at once; one whose first round
fails for want of reviews, so that its copies are erased and a new block is proposed; and one in whose
first round two lock and two do not, so that copies go while the block must stay. Then each is played again for each step of it and each thing that
may happen to the node just then.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from hansa.consensus.events import Event
from hansa.consensus.messages import Certified, Propose, Review, VotesAgain, decode_message
from hansa.sim.nodes import SimulatedNode
from hansa.sim.scene import Outcome, Scene
from hansa.sim.world import World
from hansa.types import PublicKey

AWAY_MS = 700
"""Longer than a round lasts."""
LOSSES_END_MS = 3_000
"""From then on nothing is lost any more."""


def _crash(world: World, node: SimulatedNode) -> None:
    world.crash(node)
    world.at(AWAY_MS, lambda: world.start(node))


def _crash_within(effects: int) -> Callable[[World, SimulatedNode], None]:
    def crash(world: World, node: SimulatedNode) -> None:
        node.crash_after = effects
        world.at(AWAY_MS, lambda: world.start(node) if node.replica is None else None)

    return crash


def _pause(world: World, node: SimulatedNode) -> None:
    world.pause(node)
    world.at(AWAY_MS, lambda: world.resume(node))


def _cut_off(world: World, node: SimulatedNode) -> None:
    others = [other for other in world.nodes if other is not node]
    for other in others:
        world.network.cut(node.key, other.key)
        world.network.cut(other.key, node.key)

    def mend() -> None:
        for other in others:
            world.network.mend(node.key, other.key)
            world.network.mend(other.key, node.key)

    world.at(AWAY_MS, mend)


def _mute(world: World, node: SimulatedNode) -> None:
    for other in world.nodes:
        world.network.cut(node.key, other.key)

    def mend() -> None:
        for other in world.nodes:
            world.network.mend(node.key, other.key)

    world.at(AWAY_MS, mend)


CUTS: dict[str, Callable[[World, SimulatedNode], None]] = {
    "crash": _crash,
    "crash-0": _crash_within(0),
    "crash-1": _crash_within(1),
    "crash-2": _crash_within(2),
    "crash-4": _crash_within(4),
    "pause": _pause,
    "cut-off": _cut_off,
    "mute": _mute,
}
HEIGHTS = ("commits", "fails", "locks")


@dataclass(frozen=True, slots=True)
class Case:
    """One height, and what happens at which step of it."""

    height: str
    step: int
    cut: str

    @property
    def name(self) -> str:
        """What `--deletions` takes to play this case alone."""
        return f"{self.height}:{self.step}:{self.cut}"


def decode_name(name: str) -> Case:
    """Return the case of a name; ValueError if there is none."""
    height, step, cut = name.split(":")
    if height not in HEIGHTS or cut not in CUTS:
        raise ValueError(name)
    return Case(height, int(step), cut)


def all_cases() -> Iterator[Case]:
    """Yield every case: what a height's faultless run has of steps, times the cuts."""
    for height in HEIGHTS:
        for step in range(_count_steps(height)):
            for cut in CUTS:
                yield Case(height, step, cut)


def _count_steps(height: str) -> int:
    scene, counted = Scene(confidential=True), [0]

    def count(node: SimulatedNode, event: Event) -> None:
        del node, event
        counted[0] += 1

    _begin(scene, height)
    scene.world.before_step = count
    scene.hand_to_all()
    scene.demand(0)
    assert not scene.world.checkers.violations
    return counted[0]


def _begin(scene: Scene, height: str) -> None:
    """Start, and lose what makes the first round of the height end as it shall.

    `fails`: two of four do not get the proposal. `locks`: one does not get it, and another misses a
    review, so that two lock what the other two do not confirm.
    """
    scene.start()
    world = scene.world
    first = world.nodes[0].replica
    assert first is not None
    master = first.master()
    others = [node.key for node in world.nodes if node.key != master]
    blind = {"commits": [], "fails": others[1:], "locks": others[2:]}[height]
    deaf = others[0] if height == "locks" else None

    def lose(sender: PublicKey, to: PublicKey, data: bytes) -> bool:
        del sender
        message = decode_message(data)
        receiver = world.by_key[to].replica
        if world.now_ms > LOSSES_END_MS or receiver is None or receiver.height or receiver.round:
            return False
        if isinstance(message, Propose | Certified):
            return to in blind or (to == deaf and isinstance(message, Certified))
        votes = message.votes if isinstance(message, VotesAgain) else ()
        if isinstance(message, Review):
            votes = (message.vote,)
        return to == deaf and any(
            signed.voter == others[1] and signed.vote.phase == "review" for signed in votes
        )

    world.drops = lose


def play(case: Case, *, commits: int = 1) -> Outcome:
    """Play one case, then demand progress."""
    scene, counted = Scene(confidential=True), [0]

    def cut(node: SimulatedNode, event: Event) -> None:
        del event
        counted[0] += 1
        if counted[0] - 1 == case.step:
            CUTS[case.cut](scene.world, node)

    _begin(scene, case.height)
    scene.world.before_step = cut
    scene.hand_to_all()
    scene.demand(commits)
    return scene.outcome(case.name)
