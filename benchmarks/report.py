"""The figures as tables, for a terminal and for the documents: Markdown."""

from collections.abc import Iterable, Mapping, Sequence

Row = Mapping[str, object]


def render(results: Mapping[str, object]) -> str:
    """Return all tables of a run."""
    parts = [machine_lines(results)]
    for name, make in SECTIONS.items():
        if name in results:
            parts.append(make(results[name]))  # type: ignore[arg-type]
    return "\n\n".join(parts) + "\n"


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table in Markdown."""
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    lines += [f"| {' | '.join(str(cell) for cell in row)} |" for row in rows]
    return "\n".join(lines)


def machine_lines(results: Row) -> str:
    """Return what a run ran on."""
    machine, sync = results["machine"], results["fdatasync"]
    operations = results.get("operations", {})
    assert isinstance(machine, dict)
    assert isinstance(sync, dict)
    assert isinstance(operations, dict)
    told = [f"{name[:-3]} {value} µs" for name, value in operations.items()]
    return "\n".join(
        [
            f"- date: {results['date']}; command: `{results['command']}`; commit {machine['commit']}",
            f"- {machine['processor']}, {machine['cores']} cores, {machine['memory_mib']} MiB, "
            f"{machine['system']}, Python {machine['python']}",
            f"- write and fdatasync of 4 KiB: p50 {sync['p50_ms']} ms, p99 {sync['p99_ms']} ms",
            *(["- one core: " + ", ".join(told)] if told else []),
            f"- load average before and after: {results['load_average_before']}, "
            f"{results['load_average_after']}",
        ]
    )


def _agreement(section: Row) -> str:
    head = ["nodes", "load", "sealing", "committed/s (runs)", "p50 ms", "p99 ms", "tx per block"]
    head += [
        "blocks/s",
        "node CPU ms/tx",
        "cores: nodes",
        "cores: generator",
        "load avg",
        "not committed",
    ]
    rows = [
        [
            row["nodes"],
            row["load"],
            str(row["sealing"]).split(":")[0],
            f"{row['committed_per_s']} ({min(row['runs_per_s'])}–{max(row['runs_per_s'])})",
            row["p50_ms"],
            row["p99_ms"],
            row["transactions_per_block"],
            row["blocks_per_s"],
            row["node_cpu_ms_per_transaction"],
            row["all_nodes_cores"],
            row["generator_cores"],
            row["load_average"],
            row["failed"] or 0,
        ]
        for row in section["rows"]  # type: ignore[attr-defined]
    ]
    return "### Agreement\n\n" + table(head, rows)


def _transfer(section: Row) -> str:
    head = [
        "tool",
        "operation",
        "MB in",
        "MB/s (runs)",
        "MB stored",
        "client CPU s",
        "nodes CPU s",
        "load avg",
    ]
    rows = [
        [
            row["tool"],
            row["operation"],
            f"{row['bytes'] / 1e6:.1f}",
            f"{row['median_mb_per_s']} ({min(row['runs_mb_per_s'])}–{max(row['runs_mb_per_s'])})",
            f"{row['stored_bytes'] / 1e6:.1f}" if "stored_bytes" in row else "",
            row.get("client_cpu_s", ""),
            row.get("node_cpu_s", ""),
            row["load_average"],
        ]
        for row in section["rows"]  # type: ignore[attr-defined]
    ]
    return "### Publish and fetch\n\n" + table(head, rows)


def _rest(section: Row) -> str:
    rows: list[Sequence[object]] = [
        ["start to ready", f"{section['start_to_ready_s']} s"],
        ["resident memory (RSS)", f"{section['rss_mib']} MiB"],
        ["of that its own (USS)", f"{section['uss_mib']} MiB"],
        [
            f"processor time over {section['idle_s']} idle s",
            f"{section['idle_cpu_percent_of_a_core']} % of a core",
        ],
    ]
    rows += [
        [f"`{command['command']}`", f"{command['seconds']} s"]
        for command in section["commands"]  # type: ignore[attr-defined]
    ]
    return "### A node at rest\n\n" + table(["what", "figure"], rows)


def _catch_up(section: Row) -> str:
    rows = [[name.replace("_", " "), value] for name, value in section.items()]
    return "### Catching up\n\n" + table(["what", "figure"], rows)


def _profile(section: Row) -> str:
    rows = [[f"{row['percent']} %", row["where"]] for row in section["groups"]]  # type: ignore[attr-defined]
    top = [[f"{row['percent']} %", f"`{row['where']}`"] for row in section["innermost"]]  # type: ignore[attr-defined]
    return (
        f"### Where a super node's time goes ({section['load']}, {section['samples']} samples)\n\n"
        + table(["share", "by the call that was under way"], rows)
        + "\n\n"
        + table(["share", "innermost function of Hansa"], top)
    )


SECTIONS = {
    "agreement": _agreement,
    "profile": _profile,
    "transfer": _transfer,
    "rest": _rest,
    "catch_up": _catch_up,
}
