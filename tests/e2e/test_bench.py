"""The benchmarks run, small: every section measures something on real nodes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SECTIONS = {"agreement", "profile", "transfer", "rest", "catch_up"}


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_smoke_run_measures_every_section(tmp_path: Path) -> None:
    """All figures are there and positive, nothing failed, nothing is left behind; none is judged."""
    target = tmp_path / "results.json"
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    words = ["benchmarks/run.py", "--smoke", "--json", str(target), "--folder", str(scratch)]
    done = subprocess.run(
        [sys.executable, *words],
        cwd=ROOT,
        env={**os.environ, "HANSA_HOME": str(tmp_path / "home")},
        capture_output=True,
        check=False,
        timeout=170,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    results = json.loads(target.read_text())
    assert results.keys() >= SECTIONS
    for row in results["agreement"]["rows"]:
        assert row["failed"] == {}
        assert row["committed"] > 0
        assert 0 < row["p50_ms"] <= row["p99_ms"]
    assert all(row["mb_per_s"] > 0 for row in results["transfer"]["rows"])
    assert results["profile"]["samples"] > 0
    assert results["rest"]["rss_mib"] > 0
    assert results["catch_up"]["blocks_behind"] >= 20
    assert "### Agreement" in done.stdout
    assert [] == list(scratch.iterdir())
