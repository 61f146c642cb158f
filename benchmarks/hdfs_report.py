"""The run on HDFS as tables: Hansa beside the bare client, targets and what was reached."""

from collections.abc import Mapping
from statistics import median

from report import machine_lines, table

Row = Mapping[str, object]
TARGETS = {
    "sequential write, without the read-back": ("mb_per_s", 0.9),
    "sequential write, read back and compared": ("mb_per_s", None),
    "sequential read": ("mb_per_s", 0.9),
    "sequential read, 8 MiB one by one": ("mb_per_s", None),
    "random reads of 64 KiB, 1 at a time": ("per_s", 0.9),
    "random reads of 64 KiB, 8 at a time": ("per_s", 0.9),
    "small objects of 4 KiB": ("per_s", 20.0),
}


def _values(results: Row, operation: str, tool: str, field: str) -> list[float]:
    rows = results["rows"]
    return [
        float(row[field])
        for row in rows  # type: ignore[attr-defined]
        if (row["operation"], row["tool"]) == (operation, tool) and field in row
    ]


def _ratio(results: Row, operation: str, field: str) -> float:
    own, raw = (_values(results, operation, tool, field) for tool in ("hansa", "raw"))
    return median(a / b for a, b in zip(own, raw, strict=True))


def judge(results: Row) -> list[dict[str, object]]:
    """Return each target, what was reached and how much of it that is: medians of each repeat's own ratio."""
    found = []
    for operation, (field, wanted) in TARGETS.items():
        reached = _ratio(results, operation, field)
        found.append(_judged(f"{operation}, times raw", wanted, reached))
    fewer = 1 / _ratio(results, "small objects of 4 KiB", "objects_each")
    found.append(_judged("NameNode objects for small objects, times fewer", 1_000.0, fewer))
    return found


def _judged(what: str, wanted: float | None, reached: float) -> dict[str, object]:
    told = {
        "what": what,
        "target": f"≥ {wanted:g}" if wanted else "none",
        "reached": round(reached, 3),
    }
    return told | {"share": round(reached / wanted, 2) if wanted else None}


def render(results: Row) -> str:
    """Return all tables."""
    head = [
        machine_lines(results),
        f"- {results['client']}; {results['data_nodes']} DataNodes, replication {results['replication']}; "
        f"{results['packs']} packs of {results['pack_mib']} MiB a repeat",
    ]
    targets = [
        [
            row["what"],
            row["target"],
            row["reached"],
            f"{100 * row['share']:.0f} %" if row["share"] else "",
        ]  # type: ignore[operator]
        for row in judge(results)
    ]
    return "\n\n".join(
        [
            "\n".join(head),
            "### Targets\n\n" + table(["what", "target", "reached", "share of the target"], targets),
            "### Figures\n\n" + _figures(results),
        ]
    ) + "\n"  # fmt: skip


def _figures(results: Row) -> str:
    lines: list[list[object]] = []
    for operation, (field, _) in TARGETS.items():
        for tool in ("hansa", "raw"):
            rates = _values(results, operation, tool, field)
            unit = "MB/s" if field == "mb_per_s" else "1/s"
            more = []
            for name, word in (("p50_ms", "p50 ms"), ("p99_ms", "p99 ms"), ("count", "objects"),
                               ("seconds", "s"), ("name_node_files", "files and folders"),
                               ("name_node_blocks", "blocks"), ("until_durable_s", "s until durable")):  # fmt: skip
                found = _values(results, operation, tool, name)
                if found and field == "per_s":
                    more.append(f"{median(found):g} {word}")
            told = f"{median(rates):.0f} ({min(rates):.0f}–{max(rates):.0f}) {unit}"
            lines.append([operation, tool, told, ", ".join(more)])
    return table(["operation", "through", "median (runs)", "more"], lines)
