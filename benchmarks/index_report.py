"""Tables and growth curves from results/index.json."""

from math import log10
from typing import Any

_WIDTH, _HEIGHT, _EDGE = 640, 360, 60


def render(report: dict[str, Any]) -> str:
    """Return the tables."""
    sizes = report["sizes"]
    lines = [
        f"Run of {report['date']}, {report['seconds']} s, load average {report['load_before']} before and"
        f" {report['load_after']} after. Times are the middle of the questions, each the best of three, in µs;"
        " ratios are the peer's time over Hansa's, question by question.",
        "",
        "| descriptions | clusters | bytes of memory each | file MB | build CPU s | peak memory of the run MB | facets µs | scan × | SQLite × "
        "| words µs | FTS5 × | nearest 10 µs | BallTree × | FAISS flat × | uniform points µs | addition µs |",
        "|" + "---|" * 16,
    ]
    for size, told in sizes.items():
        near, uniform = told["nearest"]["of the data"], told["nearest"]["uniform random"]
        cells = (
            f"{int(size):,}", told["clusters"], told["bytes_per_description"],
            round(told["file_bytes"] / 1e6), told["build_cpu_s"],
            round(told["peak_bytes"] / 1e6),
            told["facets"]["hansa_us"], told["facets"]["scan_ratio"], told["facets"]["sqlite_ratio"],
            told["words"]["hansa_us"], told["words"]["fts5_ratio"], near["hansa_us"],
            near["BallTree_ratio"], near.get("FAISS flat_ratio", "not there"), uniform["hansa_us"],
            told["addition"]["hansa_us"],
        )  # fmt: skip
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    lines += [
        "",
        "| descriptions | what is not there | questions | refused with nothing read | Hansa µs | peer µs |",
        "|---|---|---|---|---|---|",
    ]
    for size, told in sizes.items():
        for name, part in told["absent"].items():
            peer = " ".join(
                f"{key[:-3]} {part[key]}" for key in ("fts5_us", "sqlite_us") if key in part
            )
            share = f"{100 * part['refused_unread_share']:.2f} %"
            lines.append(
                f"| {int(size):,} | {name} | {part['questions']} | {share} | {part['hansa_us']} | {peer} |"
            )
    wrong = sum(
        part["answers_differing"]
        for told in sizes.values()
        for part in (told["facets"], told["words"], *told["nearest"].values())
    )
    lines += ["", f"Answers that differ from a peer's: {wrong}."]
    if report.get("clustering"):
        lines += ["", *_clustering(report["clustering"])]
    return "\n".join(lines)


def _clustering(told: dict[str, Any]) -> list[str]:
    """Return the table of mean shift, and what is said below it."""
    lines = [
        "| points | how | bandwidth CPU s | mean shift CPU s | wall s | clusters | scikit-learn CPU s | times faster "
        "| adjusted Rand index |",
        "|" + "---|" * 9,
    ]
    for part in told["exact"]:
        done, agreed = part["peer_is_done"], part["peer_ari_with_exact"]
        peer = f"{part['peer_cpu_s']:.0f}" if done else f"stopped at {part['peer_cpu_s']:.0f}"
        times = f"{'' if done else 'over '}{part['times_faster']:.1f}"
        agreement = "" if agreed is None else f"{agreed:.4f} (scikit-learn with exact)"
        lines.append(_row(part, "every point a seed: exact", peer, times, agreement))
    over = ("crowds over all points", "crowds over crowds, then over all points")
    for part, how in zip(told["crowds"], over, strict=True):
        lines.append(_row(part, how, "", "", f"{part['ari_with_exact']:.4f} (with exact)"))
    lines.append(_row(told["million"], over[1], "", "", ""))
    added = told["additions"]
    lines += [
        "",
        f"One addition joins or founds a cluster in {added['cpu_us_p50']:.0f} µs (median; 99th of 100:"
        f" {added['cpu_us_p99']:.0f} µs).",
    ]
    return lines


def _row(part: dict[str, Any], how: str, peer: str, times: str, agreement: str) -> str:
    cells = (
        f"{part['points']:,}", how, f"{part['bandwidth_cpu_s']:.1f}", f"{part['cpu_s']:.1f}",
        f"{part['wall_s']:.1f}", part["clusters"], peer, times, agreement,
    )  # fmt: skip
    return "| " + " | ".join(map(str, cells)) + " |"


def draw(report: dict[str, Any]) -> str:
    """Return growth curves as SVG: both axes logarithmic."""
    sizes = [int(size) for size in report["sizes"]]
    told = list(report["sizes"].values())
    curves = {
        "facets": ("#1b6ca8", [t["facets"]["hansa_us"] for t in told]),
        "words": ("#c0392b", [t["words"]["hansa_us"] for t in told]),
        "nearest ten": ("#2e8b57", [t["nearest"]["of the data"]["hansa_us"] for t in told]),
        "absent word": ("#8e44ad", [t["absent"]["word"]["hansa_us"] for t in told]),
        "addition": ("#d68910", [t["addition"]["hansa_us"] for t in told]),
        "memory, bytes each": ("#555", [t["bytes_per_description"] for t in told]),
    }
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH + 150} {_HEIGHT}"'
        ' font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="#fff"/>'
    ]
    for power in range(5):
        y = _place_y(10**power)
        parts.append(f'<path d="M{_EDGE} {y}H{_WIDTH}" stroke="#ddd"/><text x="8" y="{y + 4}">{10**power:,} µs</text>')  # fmt: skip
    for size in sizes:
        x = _place_x(size, sizes)
        parts.append(f'<text x="{x}" y="{_HEIGHT - 12}" text-anchor="middle">{size:,}</text>')
    for name, (colour, values) in curves.items():
        points = [(_place_x(s, sizes), _place_y(v)) for s, v in zip(sizes, values, strict=True)]
        line = " ".join(f"{x},{y}" for x, y in points)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        x, y = points[-1]
        parts.append(f'<text x="{x + 8}" y="{y + 4}" fill="{colour}">{name}</text>')
    return "".join(parts) + "</svg>\n"


def _place_x(size: int, sizes: list[int]) -> float:

    low, high = log10(sizes[0]), log10(sizes[-1])
    return round(_EDGE + (log10(size) - low) / max(1e-9, high - low) * (_WIDTH - _EDGE - 30), 1)


def _place_y(value: float) -> float:

    return round(
        _HEIGHT - 40 - max(0.0, min(4.6, log10(max(1.0, value)))) / 4.6 * (_HEIGHT - 60), 1
    )
