"""The run with small datasets on HDFS as tables: targets and what was reached, then all figures."""

from collections.abc import Mapping
from statistics import median

from report import machine_lines, table

Row = Mapping[str, object]
ONE_FILE = "one HDFS file each"
SINGLY = "index, manifest and packs, one by one"
TOGETHER = "index, manifests and packs, in one call"
TIMES_FASTER = 5.0
TIMES_FEWER = 100.0
TIMES_CHEAPER = 100.0
COUNTED = "ask for what is absent, one after the other"
UNITS = {
    "per_s": "1/s",
    "p50_us": "µs in the middle",
    "wall_us": "µs",
    "cpu_us": "µs of processor time, the NameNode's too",
    "cpu_own_us": "µs of processor time, of the asking process",
}


def _rows(results: Row, operation: str) -> list[Row]:
    return [row for row in results["rows"] if row["operation"] == operation]  # type: ignore[attr-defined]


def _values(results: Row, operation: str, way: str, name: str) -> list[float]:
    return [float(row[name]) for row in _rows(results, operation) if row["way"] == way]  # type: ignore[arg-type]


def _ratio(results: Row, operation: str, name: str, way: str, other: str) -> float:
    """Return the median of each repeat's own ratio."""
    pairs = zip(
        _values(results, operation, way, name),
        _values(results, operation, other, name),
        strict=True,
    )
    return median(one / two for one, two in pairs)


def judge(results: Row) -> list[tuple[str, float, float]]:
    """Return what was aimed at, how much, and what was reached."""
    found = []
    for readers in (1, 8):
        operation = f"fetch, {readers} at a time"
        for way in (SINGLY, TOGETHER):
            reached = _ratio(results, operation, "per_s", way, ONE_FILE)
            found.append((f"{operation}: {way}, times one file each", TIMES_FASTER, reached))
    objects = {row["part"]: int(row["objects"]) for row in _rows(results, "NameNode objects")}  # type: ignore[call-overload]
    fewer = objects["one file each"] / objects["packs, manifests too"]
    found.append(("NameNode objects, times fewer", TIMES_FEWER, fewer))
    for way in ("index, by id", "index, by title", "index, by word"):
        reached = _ratio(results, "ask for what is absent", "p50_us", "NameNode", way)
        found.append((f"absent: {way}, times cheaper than the NameNode", TIMES_CHEAPER, reached))
        if _rows(results, COUNTED):
            reached = _ratio(results, COUNTED, "cpu_us", "NameNode", way)
            found.append((f"absent: {way}, times less processor time", TIMES_CHEAPER, reached))
    return found


def render(results: Row) -> str:
    """Return all tables."""
    head = (
        f"- {results['client']}; {results['data_nodes']} DataNodes, replication {results['replication']}; "
        f"{results['datasets']} datasets of 4 KiB, {results['fetched']} of them fetched a repeat"
    )
    targets = [
        [what, f"≥ {wanted:g}", f"{reached:.3g}", f"{100 * reached / wanted:.0f} %"]
        for what, wanted, reached in judge(results)
    ]
    lines: list[list[object]] = [
        [row["operation"], row["part"], f"{row['objects']}"]
        for row in _rows(results, "NameNode objects")
    ]
    for name, unit in UNITS.items():
        told = {(row["operation"], row["way"]): None for row in results["rows"] if name in row}  # type: ignore[attr-defined]
        for operation, way in told:
            found = _values(results, operation, way, name)
            digits = 0 if name == "per_s" else 1
            ends = f"{min(found):.{digits}f}–{max(found):.{digits}f}"
            lines.append([operation, way, f"{median(found):.{digits}f} ({ends}) {unit}"])
    return "\n\n".join(
        [
            f"{machine_lines(results)}\n{head}",
            "### Targets of small datasets\n\n"
            + table(["what", "target", "reached", "share of the target"], targets),
            "### Figures of small datasets\n\n"
            + table(["operation", "through", "median (runs)"], lines),
        ]
    ) + "\n"  # fmt: skip
