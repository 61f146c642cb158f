"""Many runs, one answer: seeds, scripts of twins, pairs of lost messages, cuts during deletions.

Each violation comes with the command that repeats its run alone.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace

from hansa.sim import deletions, pairs, twins
from hansa.sim.remembered import remembered
from hansa.sim.run import Plan, Run
from hansa.sim.scene import Outcome

SUMS = (
    "runs",
    "committed",
    "messages",
    "steps",
    "handovers",
    "joins",
    "refused_pieces",
    "seconds",
)
"""Figures of a tally that add up."""

Clock = Callable[[], float]
"""Seconds, for the rates alone."""


@dataclass(frozen=True, slots=True)
class Violation:
    """One broken promise."""

    run: str
    """Which run: "seed 17", "twins 1:0110,2:0001"."""
    violation: str
    replay: str
    """The command that repeats it."""


@dataclass(slots=True)
class Tally:
    """What so many runs of one kind came to."""

    runs: int = 0
    committed: int = 0
    messages: int = 0
    steps: int = 0
    handovers: int = 0
    """Heights at whose end another set took over."""
    joins: int = 0
    """Snapshots taken."""
    refused_pieces: int = 0
    """Pieces of snapshots that proved nothing."""
    seconds: float = 0.0
    violations: list[Violation] = field(default_factory=list)

    @property
    def runs_per_second(self) -> float:
        """How fast they went; 0 if they took no time."""
        return round(self.runs / self.seconds, 2) if self.seconds else 0.0


def run_seeds(seeds: Iterable[int], plan: Plan, clock: Clock) -> Tally:
    """Run worlds from seeds."""
    tally, start = Tally(), clock()
    with remembered():
        for seed in seeds:
            report = Run(seed, plan).run()
            tally.runs += 1
            tally.committed += report.committed
            tally.messages += report.messages
            tally.steps += report.steps
            tally.handovers += report.handovers
            tally.joins += report.joins
            tally.refused_pieces += report.refused_pieces
            tally.violations += [
                Violation(f"seed {seed} {' '.join(report.actors)}".strip(), text, report.replay)
                for text in report.violations
            ]
    tally.seconds = clock() - start
    return tally


def run_mixed(seeds: Iterable[int], plan: Plan, clock: Clock) -> Tally:
    """Run worlds from seeds, in turn honest ones, ones with liars, and ones whose members change.

    Args:
        seeds: the third of a seed's remainders decides which of the three it is.
        plan: what all have in common; `byzantine` counts in two of three.
        clock: for the rate.
    """
    whole = Tally()
    listed = list(seeds)
    for remainder in range(3):
        chosen = replace(plan, byzantine=plan.byzantine if remainder else 0, changes=remainder != 1)
        part = run_seeds([seed for seed in listed if seed % 3 == remainder], chosen, clock)
        for name in SUMS:
            setattr(whole, name, getattr(whole, name) + getattr(part, name))
        whole.violations += part.violations
    return whole


def _play(kind: str, outcomes: Iterator[Outcome], clock: Clock) -> Tally:
    tally, start = Tally(), clock()
    with remembered():
        for outcome in outcomes:
            tally.runs += 1
            tally.steps += outcome.steps
            tally.violations += [
                Violation(f"{kind} {outcome.name}", text, f"hansa sim {kind} --only {outcome.name}")
                for text in outcome.violations
            ]
    tally.seconds = clock() - start
    return tally


def run_twins(scripts: Iterable[twins.Script], clock: Clock, *, commits: int = 1) -> Tally:
    """Play scripts of twins."""
    return _play("twins", (twins.play(item, commits=commits) for item in scripts), clock)


def run_pairs(chosen: Iterable[pairs.Pair], clock: Clock) -> Tally:
    """Play pairs of lost messages."""
    return _play("pairs", map(pairs.play, chosen), clock)


def run_deletions(cases: Iterable[deletions.Case], clock: Clock) -> Tally:
    """Play cuts at the steps of a height."""
    return _play("deletions", map(deletions.play, cases), clock)
