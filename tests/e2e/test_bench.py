"""The benchmarks run, small: every section measures something on real nodes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from hansa.cli.hdfs.jars import why_not

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


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_smoke_run_of_ingest_measures_the_engine_and_its_ceiling(tmp_path: Path) -> None:
    """Both profiles take in, restore and delete each corpus; every target has a figure; nothing is left behind."""
    target, scratch = tmp_path / "ingest.json", tmp_path / "scratch"
    scratch.mkdir()
    words = ["benchmarks/ingest.py", "--mib", "3", "--files", "120", "--repeats", "1"]
    words += [
        "--range-gib",
        "0.01",
        "--tool",
        "hansa",
        "--tool",
        "hansa blake3",
        "--tool",
        "no such",
    ]
    words += ["--only", "a", "--only", "b", "--only", "f", "--only", "ranges"]
    words += [
        "--json",
        str(target),
        "--folder",
        str(scratch),
        "--corpora",
        str(tmp_path / "corpora"),
    ]
    done = subprocess.run(
        [sys.executable, *words], cwd=ROOT, capture_output=True, check=False, timeout=170, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "missing, left out: no such" in done.stderr
    results = json.loads(target.read_text())
    assert ["no such"] == results["missing"]
    rows = results["rows"]
    measured = {(row["tool"], row["corpus"], row["operation"]) for row in rows}
    for tool in ("hansa", "hansa blake3"):
        assert {(tool, corpus, "ingest") for corpus in "abcdf"} <= measured
        assert {(tool, corpus, "restore") for corpus in "abf"} <= measured
    assert all(row["mb_per_s"] > 0 for row in rows if row["operation"] in ("ingest", "restore"))
    stored = {row["corpus"]: row["new_bytes"] for row in rows if row["operation"] == "ingest"}
    assert 0 < stored["c"] < stored["b"] < (3 << 20) < stored["a"]
    assert results["ranges"]["dataset_bytes"] >= 10 << 20
    assert "share of the ceiling" in done.stdout
    assert [] == list(scratch.iterdir())


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_smoke_run_on_hdfs_measures_hansa_beside_the_bare_client(tmp_path: Path) -> None:
    """Each operation has a figure of both; small objects take few of the NameNode's; nothing is left behind."""
    reason = why_not()
    if reason and not os.environ.get("CI"):
        pytest.skip(reason)
    target, scratch = tmp_path / "hdfs.json", tmp_path / "scratch"
    scratch.mkdir()
    words = [
        "benchmarks/hdfs.py",
        "--packs",
        "1",
        "--pack-mib",
        "4",
        "--reads",
        "100",
        "--repeats",
        "1",
    ]
    words += ["--files", "300", "--sample", "20", "--json", str(target), "--folder", str(scratch)]
    done = subprocess.run(
        [sys.executable, *words], cwd=ROOT, capture_output=True, check=False, timeout=170, text=True
    )
    assert done.returncode == 0, done.stderr
    rows = json.loads(target.read_text())["rows"]
    measured = {(row["tool"], row["operation"]) for row in rows}
    operations = {operation for _, operation in measured}
    assert {(tool, operation) for tool in ("hansa", "raw") for operation in operations} == measured
    assert all(row.get("mb_per_s", 1) > 0 and row.get("per_s", 1) > 0 for row in rows)
    small = {row["tool"]: row for row in rows if "name_node_files" in row}
    assert 40 == small["raw"]["name_node_files"] + small["raw"]["name_node_blocks"]
    assert small["hansa"]["name_node_files"] + small["hansa"]["name_node_blocks"] < 40
    assert "NameNode objects" in done.stdout
    assert [] == list(scratch.iterdir())


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_smoke_run_of_small_datasets_on_hdfs(tmp_path: Path) -> None:
    """Each way brings every dataset back, as published; objects and absent questions are counted."""
    reason = why_not()
    if reason and not os.environ.get("CI"):
        pytest.skip(reason)
    target, scratch = tmp_path / "small.json", tmp_path / "scratch"
    scratch.mkdir()
    words = ["benchmarks/hdfs_small.py", "--datasets", "12", "--fetched", "8", "--absent", "20"]
    words += ["--counted", "300", "--repeats", "1"]
    words += ["--json", str(target), "--folder", str(scratch)]
    done = subprocess.run(
        [sys.executable, *words], cwd=ROOT, capture_output=True, check=False, timeout=230, text=True
    )
    assert done.returncode == 0, done.stderr
    rows = json.loads(target.read_text())["rows"]
    assert 4 == len([row for row in rows if row.get("cpu_us", 0) > 0])
    objects = {row["part"]: row["objects"] for row in rows if "objects" in row}
    assert 2 * 12 == objects["one file each"]
    assert 0 < objects["packs, manifests too"] < 24
    fetched = [row for row in rows if "per_s" in row]
    assert 2 * 3 == len(fetched)
    assert all(row["per_s"] > 0 for row in fetched)
    assert 4 == len([row for row in rows if row.get("p50_us", 0) > 0])
    assert "Targets of small datasets" in done.stdout
    assert [] == list(scratch.iterdir())


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_smoke_run_of_the_table_measures_each_size(tmp_path: Path) -> None:
    """Every figure is there at both sizes, the model is near what was measured, nothing is left behind."""
    target, scratch = tmp_path / "table.json", tmp_path / "scratch"
    scratch.mkdir()
    words = ["benchmarks/hash_index.py", "--sizes", "20000", "40000", "--questions", "4000"]
    words += ["--json", str(target), "--folder", str(scratch)]
    done = subprocess.run(
        [sys.executable, *words], cwd=ROOT, capture_output=True, check=False, timeout=110, text=True
    )
    assert done.returncode == 0, done.stderr
    rows = json.loads(target.read_text())["rows"]
    assert [20_000, 40_000] == [row["chunks"] for row in rows]
    for row in rows:
        assert row["known"] == row["chunks"]
        assert all(
            row[name] > 0 for name in row if name.endswith(("_per_s", "_us", "_s", "_bytes"))
        )
    assert "by the model" in done.stdout
    assert [] == list(scratch.iterdir())


def test_figures_in_the_document_are_those_of_the_runs() -> None:
    """What docs/benchmarks.md tells of the runs that are kept is what `benchmarks/document.py` writes."""
    script = (
        "import document; text = document.DOCUMENT.read_text(); assert document.fill(text) == text"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT / "benchmarks",
        capture_output=True,
        check=False,
        text=True,
    )
    assert done.returncode == 0, done.stderr
