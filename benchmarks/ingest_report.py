"""The ingest run as tables: what each tool did, what the two cores could do, targets and what was reached."""

from collections.abc import Mapping, Sequence
from statistics import median

from report import machine_lines, table

Row = Mapping[str, object]
PEERS = ("restic", "borg", "rclone")
OWN = ("hansa", "hansa blake3")
RSS_MIB_MAX = 300


class Rows:
    """The rows of a run, asked by tool, corpus and operation."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self._rows = rows

    def find(self, tool: str, corpus: str, operation: str) -> list[Row]:
        """Return a measurement's repeats, in order."""
        wanted = (tool, corpus, operation)
        return [r for r in self._rows if (r["tool"], r["corpus"], r["operation"]) == wanted]

    def values(self, tool: str, corpus: str, operation: str, field: str) -> list[float]:
        """Return one figure of each repeat."""
        found = self.find(tool, corpus, operation)
        return [float(str(row[field])) for row in found if field in row]

    def median(self, tool: str, corpus: str, operation: str, field: str) -> float | None:
        """Return the median of one figure, or None if it was not measured."""
        found = self.values(tool, corpus, operation, field)
        return median(found) if found else None

    def ratio(self, tool: str, others: Sequence[str], corpus: str, operation: str) -> float | None:
        """Return how many times the fastest of the others a tool is: the median of the repeats' own ratios."""
        own = self.values(tool, corpus, operation, "mb_per_s")
        beside = [self.values(other, corpus, operation, "mb_per_s") for other in others]
        beside = [rates for rates in beside if len(rates) == len(own)]
        if not own or not beside:
            return None
        return median(rate / max(at) for rate, *at in zip(own, *beside, strict=True))

    def ceiling(self, tool: str, corpus: str) -> tuple[float, float] | None:
        """Return the ceiling of a corpus for a profile in MB/s, and the share of it that was reached."""
        profile = "blake3" if tool.endswith("blake3") else "md5+sha1"
        most = [row["mb_per_s"][profile] for row in self.find("ceiling", corpus, "ceiling")]  # type: ignore[index]
        own = self.values(tool, corpus, "ingest", "mb_per_s")
        if not most or len(most) != len(own):
            return None
        return median(most), median(rate / top for rate, top in zip(own, most, strict=True))


def render(results: Row) -> str:
    """Return all tables."""
    rows = Rows(results["rows"])  # type: ignore[arg-type]
    tools: Mapping[str, Mapping[str, str]] = results["tools"]  # type: ignore[assignment]
    parts = [
        machine_lines(results),
        "\n".join(
            f"- {name}: {told['version']}; {told['settings']}" for name, told in tools.items()
        ),
        "### Targets\n\n" + _targets(results),
        "### Ingest\n\n" + _ingest(rows, list(tools), _corpora(results, "ingest")),
        "### Restore and deletion\n\n" + _restore(rows, list(tools), results),
        "### What one core does\n\n" + _stages(rows),
    ]
    if "starts" in results:
        told = "; ".join(f"{row['tool']} {row['seconds']} s" for row in results["starts"])  # type: ignore[attr-defined]
        parts.append(f"One file of three bytes, start-up and syncs: {told}.")
    if "ranges" in results:
        figures = [[name.replace("_", " "), value] for name, value in results["ranges"].items()]  # type: ignore[attr-defined]
        parts.append("### Ranges of 64 KiB\n\n" + table(["what", "figure"], figures))
    if "end_to_end" in results:
        parts.append(_end_to_end(results["end_to_end"]))  # type: ignore[arg-type]
    return "\n\n".join(parts) + "\n"


def _corpora(results: Row, operation: str) -> list[str]:
    names: dict[str, None] = {}
    for row in results["rows"]:  # type: ignore[attr-defined]
        if row["operation"] == operation:
            names[row["corpus"]] = None
    return list(names)


def _ingest(rows: Rows, tools: Sequence[str], corpora: Sequence[str]) -> str:
    head = [
        "corpus",
        "tool",
        "MB in",
        "MB/s (runs)",
        "ceiling",
        "share",
        "new MB",
        "stored MB in all",
    ]
    head += ["peak MiB", "CPU s", "others' cores"]
    lines: list[list[object]] = []
    for corpus in corpora:
        for tool in tools:
            found = rows.find(tool, corpus, "ingest")
            if not found:
                continue
            top = rows.ceiling(tool, corpus) if tool in OWN else None
            lines.append(
                [
                    corpus,
                    tool,
                    f"{float(str(found[0]['bytes'])) / 1e6:.1f}",
                    _rates(rows, tool, corpus, "ingest"),
                    f"{top[0]:.0f}" if top else "",
                    f"{100 * top[1]:.0f} %" if top else "",
                    *(_mb(rows, tool, corpus, name) for name in ("new_bytes", "stored_bytes")),
                    f"{max(rows.values(tool, corpus, 'ingest', 'rss_mib')):.0f}",
                    f"{rows.median(tool, corpus, 'ingest', 'cpu_s'):.2f}",
                    f"{max(rows.values(tool, corpus, 'ingest', 'others')):.2f}",
                ]
            )
    return table(head, lines)


def _mb(rows: Rows, tool: str, corpus: str, field: str, operation: str = "ingest") -> str:
    value = rows.median(tool, corpus, operation, field)
    return "" if value is None else f"{value / 1e6:.1f}"


def _rates(rows: Rows, tool: str, corpus: str, operation: str) -> str:
    rates = rows.values(tool, corpus, operation, "mb_per_s")
    return f"{median(rates):.0f} ({min(rates):.0f}–{max(rates):.0f})"


def _restore(rows: Rows, tools: Sequence[str], results: Row) -> str:
    lines: list[list[object]] = []
    for operation in ("restore", "restore, synced", "delete"):
        for corpus in _corpora(results, operation):
            for tool in tools:
                found = rows.find(tool, corpus, operation)
                if not found:
                    continue
                seconds = rows.median(tool, corpus, operation, "seconds")
                rate = _rates(rows, tool, corpus, operation) if "mb_per_s" in found[0] else ""
                freed = _mb(rows, tool, corpus, "freed_bytes", "delete")
                left = _mb(rows, tool, corpus, "stored_bytes", "delete")
                told = f"{freed} MB come back, {left} MB stay" if operation == "delete" else ""
                peak = f"{max(rows.values(tool, corpus, operation, 'rss_mib')):.0f}"
                lines.append([operation, corpus, tool, f"{seconds:.2f}", rate, peak, told])
    head = ["operation", "corpus", "tool", "seconds", "MB/s (runs)", "peak MiB", "bytes"]
    return table(head, lines)


def _stages(rows: Rows) -> str:
    found = {corpus: rows.find("ceiling", corpus, "ceiling") for corpus in "abcdf"}
    named: dict[str, dict[str, float]] = {}
    for corpus, repeats in found.items():
        for stage in repeats[0]["one_core_mb_per_s"] if repeats else ():  # type: ignore[attr-defined]
            rates = [row["one_core_mb_per_s"][stage] for row in repeats]  # type: ignore[index]
            named.setdefault(stage, {})[corpus] = median(rates)
    corpora = [corpus for corpus in found if found[corpus]]
    lines = [[stage, *(f"{at[c]:.0f}" for c in corpora)] for stage, at in named.items()]
    return table(["MB/s of plain bytes", *corpora], lines)


def _end_to_end(section: Row) -> str:
    lines = [
        [
            row["operation"],
            f"{row['bytes'] / 1e6:.1f}",
            f"{row['median_mb_per_s']} ({min(row['runs_mb_per_s'])}–{max(row['runs_mb_per_s'])})",
        ]
        for row in section["rows"]  # type: ignore[attr-defined]
        if row["tool"] == "hansa"
    ]
    head = ["over node, REST and agreement of four nodes", "MB in", "MB/s (runs)"]
    return "### End to end (another thing than the engine above)\n\n" + table(head, lines)


# --- targets ------------------------------------------------------------------------------------


def judge(results: Row) -> list[dict[str, object]]:
    """Return each target, what was reached and how much of it that is."""
    rows = Rows(results["rows"])  # type: ignore[arg-type]
    found: list[dict[str, object]] = []

    def at_least(what: str, wanted: float, reached: float | None) -> None:
        if reached is not None:
            found.append(_judged(what, f"≥ {wanted:g}", reached, reached / wanted))

    def at_most(what: str, wanted: float, reached: float | None) -> None:
        if reached is not None:
            found.append(
                _judged(what, f"≤ {wanted:g}", reached, wanted / reached if reached else 9)
            )

    def of(
        tool: str, others: Sequence[str], corpus: str, operation: str = "ingest"
    ) -> float | None:
        return rows.ratio(tool, others, corpus, operation)

    at_least("(a) ingest, times borg", 1.9, of("hansa", ["borg"], "a"))
    at_least("(b) ingest, times borg", 1.4, of("hansa", ["borg"], "b"))
    at_least("(b) ingest, profile blake3, times borg", 1.9, of("hansa blake3", ["borg"], "b"))
    at_least("(c) ingest, times borg", 3, of("hansa", ["borg"], "c"))
    at_least("(f) ingest, times the best peer", 3, of("hansa", PEERS, "f"))
    at_least("(a) restore, times restic", 1.3, of("hansa", ["restic"], "a", "restore"))
    at_least("(b) restore, times restic", 1.3, of("hansa", ["restic"], "b", "restore"))
    own, theirs = (rows.median(t, "c", "ingest", "stored_bytes") for t in ("hansa", "restic"))
    at_most("stored after (b) and (c), of restic's", 0.7, own / theirs if own and theirs else None)
    first = rows.median("hansa", "b", "ingest", "stored_bytes")
    new = rows.median("hansa", "c", "ingest", "new_bytes")
    at_most("new bytes for (c), of (b)'s", 0.1, new / first if new and first else None)
    for tool in OWN:
        for corpus in "abcf":
            top = rows.ceiling(tool, corpus)
            at_least(f"({corpus}) {tool}, share of the ceiling", 0.8, top[1] if top else None)
    ranges: Mapping[str, float] = results.get("ranges", {})  # type: ignore[assignment]
    at_most("64 KiB out of the large dataset, p50 ms", 2, ranges.get("p50_ms"))
    peaks = [float(str(row["rss_mib"])) for row in results["rows"] if row["tool"] in OWN]  # type: ignore[attr-defined]
    peaks += [ranges[name] for name in ("ingest_rss_mib", "read_rss_mib") if name in ranges]
    at_most("largest peak of memory, MiB", RSS_MIB_MAX, max(peaks, default=None))
    return found


def _judged(what: str, target: str, reached: float, share: float) -> dict[str, object]:
    return {"what": what, "target": target, "reached": round(reached, 3), "share": round(share, 2)}


def _targets(results: Row) -> str:
    lines = [
        [row["what"], row["target"], row["reached"], f"{100 * float(str(row['share'])):.0f} %"]
        for row in judge(results)
    ]
    return table(["what", "target", "reached", "share of the target"], lines)
