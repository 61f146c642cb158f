"""`python -m hansa.sim`: run seeds, print what they came to as JSON, exit 1 on a violation."""

import argparse
import sys

import msgspec

from hansa.sim.run import run


def main() -> int:
    """Run the seeds that the arguments name."""
    parser = argparse.ArgumentParser(prog="python -m hansa.sim", description=__doc__)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--organisations", type=int, default=6)
    parser.add_argument("--super-nodes", type=int, default=4)
    parser.add_argument("--byzantine", type=int, default=0)
    parser.add_argument("--chaos-ms", type=int, default=5_000)
    chosen = parser.parse_args()
    violations: list[dict[str, object]] = []
    committed = 0
    for seed in range(chosen.first_seed, chosen.first_seed + chosen.seeds):
        report = run(
            seed,
            organisations=chosen.organisations,
            super_nodes=chosen.super_nodes,
            byzantine=chosen.byzantine,
            chaos_ms=chosen.chaos_ms,
        )
        committed += report.committed
        violations.extend(
            {"seed": seed, "violation": text, "replay": report.replay} for text in report.violations
        )
    answer = {"seeds": chosen.seeds, "committed": committed, "violations": violations}
    sys.stdout.write(msgspec.json.encode(answer).decode() + "\n")
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
