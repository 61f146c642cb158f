"""Put the tables of results/agreement.json, growth.json, ingest.json and others into docs/benchmarks.md, between their marks.

python benchmarks/document.py
"""

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path

import beside_comet_report
import growth_report
import hash_index_report
import hdfs_report
import hdfs_small_report
import index_report
import ingest_report

ROOT = Path(__file__).resolve().parents[1]
DOCUMENT = ROOT / "docs" / "benchmarks.md"
PARTS: dict[str, Callable[..., str]] = {
    "agreement": beside_comet_report.render,
    "growth": growth_report.render,
    "ingest": ingest_report.render,
    "hdfs": hdfs_report.render,
    "hdfs-small": hdfs_small_report.render,
    "index": index_report.render,
    "table": hash_index_report.render,
}


def fill(text: str) -> str:
    """Return the document with the tables of the results that are there."""
    for name, render in PARTS.items():
        results = ROOT / "benchmarks" / "results" / f"{name}.json"
        if results.exists():
            tables = render(json.loads(results.read_text()))
            marks = re.compile(
                rf"(<!-- {name}: begin[^\n]*-->\n).*?(<!-- {name}: end -->)", re.DOTALL
            )
            text, count = marks.subn(lambda found, t=tables: f"{found[1]}\n{t}\n{found[2]}", text)
            assert count == 1, f"{DOCUMENT.name} has no marks for {name}"
    return text


def main() -> int:
    """Write the document anew."""
    DOCUMENT.write_text(fill(DOCUMENT.read_text()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
