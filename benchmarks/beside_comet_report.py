"""The tables of a run beside CometBFT: Markdown."""

from statistics import median
from typing import Any

from report import Row, table

SYSTEMS = {
    "hansa": "Hansa: signature, identity, authority, state tree",
    "kv": "CometBFT, key-value, checks nothing",
    "checking": "CometBFT, key-value, checks the signature",
}


def render(results: Any) -> str:
    """Return all tables."""
    parts = [_conditions(results)]
    if "rounds" in results:
        parts += [_rounds(results["rounds"]), _ratios(results["rounds"]), _breakdown(results)]
    if "peak" in results:
        parts.append(_faults(results))
    if "growth" in results:
        parts.append(_growth(results["growth"]))
    return "\n\n".join(parts) + "\n"


def _conditions(results: Any) -> str:
    machine, operations = results["machine"], results["operations"]
    return "\n".join(
        [
            f"- date: {results['date']}; `make bench-agreement`, {results['took_s']} s; commit {machine['commit']}",
            f"- {machine['processor']}, {machine['cores']} cores, {machine['memory_mib']} MiB, {machine['system']}, Python {machine['python']}",
            f"- write and fdatasync of 4 KiB: p50 {results['fdatasync']['p50_ms']} ms, p99 {results['fdatasync']['p99_ms']} ms; "
            f"one signature check: {operations['verify_us']} µs",
            f"- load average before and after: {results['load_average_before']}, {results['load_average_after']}",
        ]
    )


def _runs(rows: list[Row], system: str, nodes: int, load: str, figure: str) -> list[float]:
    return [
        float(row[load][figure])  # type: ignore[index]
        for row in rows
        if (row["system"], row["nodes"]) == (system, nodes)
    ]


def _told(values: list[float]) -> str:
    middle = f"{median(values):,.1f}" if median(values) < 1000 else f"{median(values):,.0f}"
    spread = f" ({min(values):,.0f}–{max(values):,.0f})" if len(values) > 1 else ""
    return middle + spread


def _rounds(rows: list[Row]) -> str:
    head = ["nodes", "system", "committed/s (runs)", "p50 ms", "p99 ms", "node CPU µs/tx", "RSS MiB",
            "at 50/s: p50 ms", "p99 ms"]  # fmt: skip
    lines = []
    for nodes in sorted({int(str(row["nodes"])) for row in rows}):
        for system, name in SYSTEMS.items():
            if not _runs(rows, system, nodes, "full", "committed_per_s"):
                continue
            full = [
                _told(_runs(rows, system, nodes, "full", figure))
                for figure in (
                    "committed_per_s",
                    "p50_ms",
                    "p99_ms",
                    "node_cpu_us_per_transaction",
                    "rss_mib",
                )
            ]
            light = [_told(_runs(rows, system, nodes, "light", f)) for f in ("p50_ms", "p99_ms")]
            lines.append([nodes, name, *full, *light])
    return table(head, lines)


def _ratios(rows: list[Row]) -> str:
    lines = []
    for nodes in sorted({int(str(row["nodes"])) for row in rows}):
        for peer, wanted in (("kv", "≥ 1.0"), ("checking", "≥ 1.5")):
            if not _runs(rows, peer, nodes, "full", "committed_per_s"):
                continue
            ratios = [
                median(_runs(rows, "hansa", nodes, load, figure))
                / max(1e-9, median(_runs(rows, peer, nodes, load, figure)))
                for load, figure in (
                    ("full", "committed_per_s"),
                    ("light", "p50_ms"),
                    ("light", "p99_ms"),
                )
            ]
            lines.append(
                [nodes, SYSTEMS[peer], f"{ratios[0]:.2f} ({wanted})", f"{ratios[1]:.2f} (≤ 0.3)", f"{ratios[2]:.2f} (≤ 0.5)"]
            )  # fmt: skip
    head = ["nodes", "Hansa beside", "committed/s, ratio (aim)", "p50 at 50/s", "p99 at 50/s"]
    return table(head, lines)


def _breakdown(results: Any) -> str:
    rows, verify = results["rounds"], float(results["operations"]["verify_us"])
    spent = median(_runs(rows, "hansa", 4, "full", "node_cpu_us_per_transaction"))
    return (
        f"Of Hansa's {spent:,.0f} µs for a transaction over four nodes, four signature checks are {4 * verify:,.0f} µs "
        f"({400 * verify / spent:.0f} %); on two cores that are theirs alone four nodes cannot pass {2e6 / (4 * verify):,.0f}/s "
        "for the checks alone."
    )


def _faults(results: Any) -> str:
    peak, overload, dead = results["peak"], results["overload"], results["one_dead"]
    rate = float(peak["committed_per_s"])
    lines = [
        ["peak", f"{rate:,.0f}/s", "", peak["rss_mib"], peak["not_committed"] or ""],
        ["four times the load", f"{overload['committed_per_s']:,.0f}/s", f"{overload['committed_per_s'] / rate:.2f} (≥ 0.9)", overload["rss_mib"], overload["not_committed"] or ""],
        ["one super node of four dead", f"{dead['committed_per_s']:,.0f}/s", f"{dead['committed_per_s'] / rate:.2f} (≥ 0.7)", dead["rss_mib"], dead["not_committed"] or ""],
    ]  # fmt: skip
    killed, bundles = results["killed"], results["bundles"]
    return (
        table(
            [
                "what",
                "committed",
                "of the peak (aim)",
                "RSS MiB",
                "calls refused for now, not committed",
            ],
            lines,
        )
        + f"\n\nA super node killed at 50/s: next block after {killed['to_next_block_ms']} ms, longest time without one {killed['longest_without_block_ms']} ms "
        f"(round timeout of the genesis: {killed['proposal_timeout_ms']} ms). Registrations of users: {bundles['operations_per_s_single']:,.0f}/s one on a signature, "
        f"{bundles['operations_per_s_bundles_of_100']:,.0f}/s a hundred: {bundles['ratio']} times (≥ 4)."
    )


def _growth(rows: list[Row]) -> str:
    kinds = ["Propose", "Review", "Confirm", "Submit", "BlockDecided", "Erased", "Erase", "Status"]
    lines = []
    for row in rows:
        sent, formula = row["sent_for_each_block"], row["formula"]
        assert isinstance(sent, dict)
        assert isinstance(formula, dict)
        cells = [
            f"{sent.get(kind, 0)} ({formula[kind]})" if kind in formula else sent.get(kind, 0)
            for kind in kinds
        ]
        lines.append([row["super_nodes"], row["blocks"], *cells, row["p50_ms"]])
    return (
        "Messages for each block at 20/s, in brackets the formula of [spec/agreement.md](spec/agreement.md):\n\n"
        + table(["r", "blocks", *kinds, "p50 ms"], lines)
    )
