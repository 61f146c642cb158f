"""Tests of node.observe."""

import asyncio
import json
from pathlib import Path

from hansa.node import observe
from hansa.node.config import LogSection
from hansa.node.observe import Metrics, close_log, open_log


def test_log_is_json_and_withholds(tmp_path: Path, capsys) -> None:
    """Each event is one JSON line; a value that must not be logged is withheld."""
    log = open_log(tmp_path, LogSection(level="info"))
    log.info("block-committed", height=3)
    log.debug("not-wanted")
    log.warning("odd", purpose="MARKER", key="MARKER", passphrase="MARKER", token="MARKER")
    close_log()
    text = (tmp_path / "log" / "node.log").read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    assert ["block-committed", "odd"] == [line["event"] for line in lines]
    assert lines[0]["height"] == 3
    assert "MARKER" not in text
    assert "odd" in capsys.readouterr().err


async def test_what_the_loop_reports_is_an_event(tmp_path: Path) -> None:
    """A task's unexpected end is in the log with its trace, not lost; objects it shows are not."""
    open_log(tmp_path, LogSection())
    asyncio.get_running_loop().call_exception_handler(
        {"message": "A task ended.", "exception": ZeroDivisionError("why"), "what": "MARKER"}
    )
    close_log()
    text = (tmp_path / "log" / "node.log").read_text()
    (line,) = [json.loads(line) for line in text.splitlines()]
    assert (line["event"], line["message"]) == ("loop-error", "A task ended.")
    assert "ZeroDivisionError: why" in line["exception"]
    assert "MARKER" not in text


def test_log_is_turned_over(tmp_path: Path) -> None:
    """A full file is put aside, and only so many are kept."""
    log = open_log(tmp_path, LogSection(file_bytes_max=65_536, files_max=2))
    for number in range(4_000):
        log.info("request", number=number, text="x" * 50)
    close_log()
    files = sorted((tmp_path / "log").iterdir())
    assert len(files) == 3
    assert all(file.stat().st_size <= 65_536 + 1_000 for file in files)


def test_what_the_disk_refuses_is_lost_and_no_more(tmp_path: Path, monkeypatch, capsys) -> None:
    """A line that cannot be written raises nothing; the next one is written; after the end none is."""
    log = open_log(tmp_path, LogSection(file_bytes_max=65_536, files_max=2))
    log.info("before", text="x" * 60_000)
    (lines,) = observe._open

    def refuse() -> None:
        lines._file.close()
        lines._file.stream = None
        raise OSError("no room")

    with monkeypatch.context() as patch:
        patch.setattr(lines._file, "doRollover", refuse)
        log.info("lost", text="x" * 10_000)
    log.warning("after")
    close_log()
    close_log()
    log.warning("too-late")
    text = (tmp_path / "log" / "node.log").read_text()
    assert ["before", "after"] == [json.loads(line)["event"] for line in text.splitlines()]
    assert "too-late" in capsys.readouterr().err


def test_metrics() -> None:
    """Figures are rendered for Prometheus, each node with its own."""
    one, two = Metrics(), Metrics()
    one.height.set(7)
    one.reads.labels(what="content", outcome="served").inc()
    for kind in ("Review", "Confirm", "Review"):
        one.count_message(kind)
    assert b'hansa_messages_sent_total{kind="Review"} 2.0' in one.render()
    assert b'hansa_messages_sent_total{kind="Confirm"} 1.0' in one.render()
    assert b"hansa_height 7.0" in one.render()
    assert b'hansa_reads_served_total{outcome="served",what="content"} 1.0' in one.render()
    assert b"hansa_height 0.0" in two.render()
