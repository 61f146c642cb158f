"""`hansa sim`: the agreement under faults and lies, in one process, on a virtual clock."""

import time
from collections.abc import Callable
from typing import TypeVar

import click
import msgspec

from hansa.sim import deletions, pairs, traces, twins
from hansa.sim.actors import ACTORS
from hansa.sim.campaign import (
    Tally,
    run_deletions,
    run_mixed,
    run_pairs,
    run_seeds,
    run_twins,
)
from hansa.sim.run import Plan, Run
from hansa.sim.spread import spread as spread_block

T = TypeVar("T")


@click.group()
def sim() -> None:
    """Run the agreement in a simulated world, and count what it breaks."""


def _options(function: Callable[..., None]) -> Callable[..., None]:
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(function)


@sim.command("run", epilog="\b\nExample:\n  hansa sim run --first-seed 0 --seeds 100 --byzantine 1")
@click.option("--first-seed", default=0, show_default=True, help="Where to begin.")
@click.option("--seeds", default="20", show_default=True, help="How many; or from..to, as 0..999.")
@click.option("--organisations", default=6, show_default=True, help="Founding members.")
@click.option("--super-nodes", default=4, show_default=True, help="r = 3f+1.")
@click.option("--byzantine", default=0, show_default=True, help="Liars among the super nodes.")
@click.option("--actor", "actors", multiple=True, type=click.Choice(tuple(ACTORS)), help="Which.")
@click.option("--changes", is_flag=True, help="Admit, suspend and readmit members meanwhile.")
@click.option("--joins", is_flag=True, help="Nodes lose their disks, join by snapshots, prune.")
@click.option("--mixed", is_flag=True, help="Vary by seed: honest, lying, changing members.")
@click.option("--chaos-ms", default=5_000, show_default=True, help="Virtual time before healing.")
@click.option("--twins", "with_twins", is_flag=True, help="All two-round scripts of twins, too.")
@click.option("--pairs", "with_pairs", is_flag=True, help="All pairs of lost messages, too.")
@click.option("--deletions", "with_deletions", is_flag=True, help="All cuts of deletions, too.")
@_options
def run(
    first_seed: int,
    seeds: str,
    organisations: int,
    super_nodes: int,
    byzantine: int,
    actors: tuple[str, ...],
    changes: bool,
    joins: bool,
    mixed: bool,
    chaos_ms: int,
    with_twins: bool,
    with_pairs: bool,
    with_deletions: bool,
    as_json: bool,
) -> None:
    """Run worlds from seeds: faults, liars, then healing; exit 1 if a promise is broken."""
    plan = Plan(
        organisations=max(organisations, super_nodes),
        super_nodes=super_nodes,
        byzantine=byzantine,
        actors=actors,
        changes=changes,
        joins=joins,
        chaos_ms=chaos_ms,
    )
    _check_plan(plan)
    chosen = _range_of(first_seed, seeds)
    clock = time.perf_counter
    runner = run_mixed if mixed else run_seeds
    tallies = {"seeds": runner(chosen, plan, clock)}
    if with_twins:
        tallies["twins"] = run_twins(twins.all_scripts(), clock)
    if with_pairs:
        tallies["pairs"] = run_pairs(pairs.all_pairs(pairs.count_messages()), clock)
    if with_deletions:
        tallies["deletions"] = run_deletions(deletions.all_cases(), clock)
    _finish(tallies, as_json=as_json)


@sim.command("twins", epilog="\b\nExample:\n  hansa sim twins --only 1:0110,2:0001")
@click.option("--rounds", default=2, show_default=True, help="Rounds that are scripted.")
@click.option("--scripts", default=0, help="So many drawn from a seed; 0 for all.")
@click.option("--first-seed", default=0, show_default=True, help="To draw from.")
@click.option("--only", default="", help="One script, as a violation names it.")
@_options
def run_all_twins(rounds: int, scripts: int, first_seed: int, only: str, as_json: bool) -> None:
    """Two instances with one key, scripted masters and partitions (arXiv 2004.10617)."""
    if only:
        chosen = iter([_named(twins.decode_name, only)])
    elif scripts:
        chosen = twins.some_scripts(scripts, rounds, first_seed)
    else:
        chosen = twins.all_scripts(rounds)
    _finish({"twins": run_twins(chosen, time.perf_counter)}, as_json=as_json)


@sim.command("pairs", epilog="\b\nExample:\n  hansa sim pairs --only 3,17")
@click.option("--only", default="", help="One pair, as a violation names it.")
@_options
def run_all_pairs(only: str, as_json: bool) -> None:
    """Two heights again for every pair of their messages that may be lost."""
    chosen = iter([_named(_pair, only)]) if only else pairs.all_pairs(pairs.count_messages())
    _finish({"pairs": run_pairs(chosen, time.perf_counter)}, as_json=as_json)


@sim.command("deletions", epilog="\b\nExample:\n  hansa sim deletions --only locks:17:crash")
@click.option("--only", default="", help="One case, as a violation names it.")
@_options
def run_all_deletions(only: str, as_json: bool) -> None:
    """Heights whose copies are erased while rounds change, cut at every step in every way."""
    chosen = iter([_named(deletions.decode_name, only)]) if only else deletions.all_cases()
    _finish({"deletions": run_deletions(chosen, time.perf_counter)}, as_json=as_json)


@sim.command("trace", epilog="\b\nExample:\n  hansa sim trace --seed 7 > TraceData.tla")
@click.option("--seed", default=0, show_default=True, help="The world.")
@click.option("--byzantine", default=1, show_default=True, help="Liars among the super nodes.")
@click.option("--chaos-ms", default=2_000, show_default=True, help="Virtual time before healing.")
def trace(seed: int, byzantine: int, chaos_ms: int) -> None:
    """Print what a world's honest super nodes did, as the module that spec/ checks."""
    plan = Plan(byzantine=byzantine, chaos_ms=chaos_ms)
    _check_plan(plan)
    run = Run(seed, plan)
    recorder = traces.record(run.world)
    run.run()
    found = recorder.complete(plan.super_nodes - byzantine, plan.super_nodes)
    click.echo(traces.write(found, recorder.faulty), nl=False)


@sim.command("spread", epilog="\b\nExample:\n  hansa sim spread --nodes 10000 --silent 0.1")
@click.option("--seed", default=0, show_default=True, help="Decides who stands where.")
@click.option("--nodes", default=10_000, show_default=True, help="In all.")
@click.option("--super-nodes", default=4, show_default=True, help="r = 3f+1; f pass nothing on.")
@click.option("--silent", default=0.0, show_default=True, help="Share that passes nothing on.")
@click.option("--down", default=0.0, show_default=True, help="Share that is down.")
@_options
def spread(
    seed: int, nodes: int, super_nodes: int, silent: float, down: float, as_json: bool
) -> None:
    """Send one block down the tree of all nodes; exit 1 if an honest one never gets it."""
    if super_nodes < 1 or super_nodes % 3 != 1 or nodes < super_nodes:
        raise click.UsageError("--super-nodes must be 1, 4, 7, …, and at most --nodes.")
    if silent < 0 or down < 0 or silent + down > 1:
        raise click.UsageError("--silent and --down are shares, together at most 1.")
    found = spread_block(seed, nodes=nodes, super_nodes=super_nodes, silent=silent, down=down)
    if as_json:
        click.echo(msgspec.json.encode(found).decode())
    else:
        click.echo(
            f"{found.nodes} nodes: {found.hops} hops; {found.missed} missed it, and had it after"
            f" {found.seconds} s of status\nat most sent by a super node {found.super_sends_max},"
            f" by another {found.node_sends_max}; asked in a second {found.asked_max}"
        )
    if found.seconds < 0:
        raise click.exceptions.Exit(1)


@sim.command("actors", epilog="\b\nExample:\n  hansa sim actors")
@_options
def list_actors(as_json: bool) -> None:
    """List the kinds of liars."""
    told = {name: (kind.__doc__ or "").splitlines()[0] for name, kind in ACTORS.items()}
    if as_json:
        click.echo(msgspec.json.encode(told).decode())
        return
    for name, text in told.items():
        click.echo(f"{name:20} {text}")


def _pair(text: str) -> pairs.Pair:
    first, second = text.split(",")
    return int(first), int(second)


def _named(decode: Callable[[str], T], name: str) -> T:
    try:
        return decode(name)
    except ValueError as error:
        raise click.UsageError(f"{name!r} names no such run.") from error


def _check_plan(plan: Plan) -> None:
    if plan.super_nodes < 1 or plan.super_nodes % 3 != 1:
        raise click.UsageError("--super-nodes must be of the form 3f+1: 1, 4, 7, …")
    if not 0 <= plan.byzantine <= plan.super_nodes:
        raise click.UsageError("--byzantine must be from 0 to the number of super nodes.")


def _range_of(first: int, text: str) -> range:
    """Return the seeds that `--first-seed` and `--seeds` name: a number of them, or from..to."""
    start, dots, end = text.partition("..")
    try:
        if dots:
            return range(int(start), int(end) + 1)
        return range(first, first + int(text))
    except ValueError as error:
        raise click.UsageError(f"--seeds {text} is neither a number nor from..to.") from error


def _finish(tallies: dict[str, Tally], *, as_json: bool) -> None:
    violations = [item for tally in tallies.values() for item in tally.violations]
    if as_json:
        click.echo(msgspec.json.encode(_answer(tallies)).decode())
    else:
        for name, tally in tallies.items():
            click.echo(
                f"{name}: {tally.runs} runs, {tally.steps} steps, {tally.seconds:.1f} s,"
                f" {len(tally.violations)} violations"
            )
        for item in violations:
            click.echo(f"{item.run}: {item.violation}\n  {item.replay}")
    if violations:
        raise click.exceptions.Exit(1)


def _answer(tallies: dict[str, Tally]) -> dict[str, object]:
    """Return what `--json` prints: the seeds' figures at the top, the scripts' beside them."""
    seeds = tallies.get("seeds", Tally())
    answer: dict[str, object] = {
        "seeds": seeds.runs,
        "seeds_per_second": seeds.runs_per_second,
        "committed": seeds.committed,
        "messages": seeds.messages,
    }
    for name, tally in tallies.items():
        if name != "seeds":
            answer[name] = tally.runs
            answer[f"{name}_per_second"] = tally.runs_per_second
    answer["violations"] = [
        {"run": item.run, "violation": item.violation, "replay": item.replay}
        for tally in tallies.values()
        for item in tally.violations
    ]
    return answer
