"""`hansa store`: figures, and long work at the node that fails where something is damaged."""

from pathlib import Path

import msgspec
import pytest

from hansa import lanes, rest
from hansa.bootstrap import opening
from hansa.node import config
from hansa.node.config import Listen, NodeConfig
from hansa.rest import StoreJob, StoreJobRequest
from hansa.storage.migrate import MigrateReport
from tests.unit.cli.conftest import ID, Desk

STATS = rest.StoreStats(
    url="file:store", datasets=1, versions=2, logical_bytes=4096, chunks=3, stored_bytes=2048,
    duplicate_bytes=1024, packs=1, journal_bytes=0, free_bytes=1 << 30, content_bytes=6144,
    condemned_chunks=2, condemned_bytes=512, quota_bytes=1 << 31, used_bytes=1 << 20,
    cluster_uses=[rest.ClusterUse(cluster="c7", words=["bus", "stop"], packs=1, bytes=99)],
    dataset_uses=[rest.DatasetUse(dataset=ID, title="Stops", versions=2, logical_bytes=9,
                                        stored_bytes=8, new_bytes=7)],
)  # fmt: skip
HURT = rest.HurtDataset(dataset=ID, title="Stops", version=1, chunks=3, bytes=999, files=2)
CHECKED = rest.CheckReport(packs=1, chunks=3, bytes_read=10, problems=[], damaged_datasets=[])
COLLECTED = rest.CollectReport(
    dry_run=False, chunks=9, chunks_needed=4, chunks_fresh=0, chunks_condemned=2,
    bytes_condemned=2048, chunks_waiting=1, bytes_waiting=1, chunks_forgotten=2,
    bytes_forgotten=4096, manifests_condemned=0, manifests_waiting=0, manifests_deleted=1,
    keys_destroyed=1, wraps_destroyed=1, packs_deleted=1, packs_rewritten=1, bytes_freed=8192,
)  # fmt: skip
REPAIRED = rest.RepairReport(
    dry_run=False, packs_adopted=0, packs_rewritten=1, chunks_saved=5, chunks_lost=1,
    segments_adopted=0, versions_bound=0, problems=["pack 7: digest"], hurt=[HURT],
)  # fmt: skip


def answer(desk: Desk, request: StoreJobRequest, **report: object) -> None:
    """Let the node answer with a job that is done."""
    desk.answers["/v1/store/jobs"] = StoreJob(
        number=1, request=request, status="done", phase="end", done=1, total=1, started_ms=1,
        ended_ms=2, **report,
    )  # fmt: skip


def test_stats(desk: Desk) -> None:
    """What deduplication and compression saved, what is dead, what is free."""
    desk.answers["/v1/store"] = STATS
    text = desk("store", "stats").stdout
    for part in ("4.0 KiB", "1.0 GiB", "2.00 to 1", "1.0 MiB of 2.0 GiB", "2 chunks, 512 B"):
        assert part in text, part
    assert "none yet" in text
    assert desk.json("store", "stats")["duplicate_bytes"] == 1024
    text = desk("store", "stats", "--datasets", "--clusters").stdout
    assert ID in text
    assert "bus stop" in text


def test_stats_without_bounds(desk: Desk) -> None:
    """A store that nothing bounds says so."""
    desk.answers["/v1/store"] = msgspec.structs.replace(STATS, free_bytes=None, quota_bytes=0)
    assert "no quota" in desk("store", "stats").stdout


def test_check_that_finds_nothing(desk: Desk) -> None:
    """Exit code 0, and --read-data reaches the node; without it the words do not claim too much."""
    answer(desk, StoreJobRequest(work="check"), check=CHECKED)
    assert desk.json("store", "check", "--read-data")["problems"] == []
    assert desk.client.calls[0][1] == (StoreJobRequest(work="check", read_data=True),)
    assert "bytes of packs not read: use --read-data" in desk("store", "check").stdout


def test_check_that_finds_damage(desk: Desk) -> None:
    """Exit code 8, the problem and the dataset named, the report still printed."""
    report = msgspec.structs.replace(
        CHECKED, problems=["pack 7: digest"], damaged_datasets=[ID], hurt=[HURT], read_data=True
    )
    answer(desk, StoreJobRequest(work="check"), check=report)
    done = desk("store", "check")
    assert done.exit_code == 8
    for part in ("pack 7: digest", ID, "Stops", "999 B", "some of 2", "every byte"):
        assert part in done.stdout, part
    assert "hansa store repair" in done.stderr
    assert desk("store", "check", "--json").exit_code == 8


@pytest.mark.parametrize(
    ("text", "ms"), [("24h", 86_400_000), ("90m", 5_400_000), ("7d", 604_800_000), ("0h", 0)]
)
def test_collect(desk: Desk, text: str, ms: int) -> None:
    """The grace reaches the node in milliseconds; what was done is told."""
    answer(desk, StoreJobRequest(work="collect"), collect=COLLECTED)
    done = desk("store", "collect", "--grace", text, "--compact")
    assert done.exit_code == 0
    assert desk.client.calls[0][1] == (StoreJobRequest(work="collect", grace_ms=ms, compact=True),)
    assert "2 chunks, 4.0 KiB" in done.stdout
    assert "after the grace period" in done.stdout
    assert desk.json("store", "collect")["bytes_freed"] == 8192


def test_collect_dry(desk: Desk) -> None:
    """A dry run says what would be."""
    report = msgspec.structs.replace(COLLECTED, dry_run=True)
    answer(desk, StoreJobRequest(work="collect"), collect=report)
    done = desk("store", "collect", "--dry-run")
    assert "would be forgotten" in done.stdout
    assert "after the grace period" not in done.stdout


@pytest.mark.parametrize("bad", ["soon", "1", "-1h", "1w", "h"])
def test_collect_with_a_strange_grace(desk: Desk, bad: str) -> None:
    """It is a question of usage; a year is too long to mean it."""
    assert desk("store", "collect", f"--grace={bad}").exit_code == 2
    assert desk("store", "collect", "--grace=900d").exit_code == 3


def test_repair(desk: Desk) -> None:
    """Exit code 8 while something stays lost, with what to publish again."""
    answer(desk, StoreJobRequest(work="repair"), repair=REPAIRED)
    done = desk("store", "repair", "--rebuild-table")
    assert desk.client.calls[0][1] == (StoreJobRequest(work="repair", rebuild_table=True),)
    assert done.exit_code == 8
    assert "pack 7: digest" in done.stdout
    assert "Publish these again" in done.stderr
    sound = msgspec.structs.replace(REPAIRED, hurt=[], problems=[])
    answer(desk, StoreJobRequest(work="repair"), repair=sound)
    assert desk.json("store", "repair", "--dry-run")["hurt"] == []


def test_a_job_that_failed(desk: Desk) -> None:
    """Its reason and what to do about it, with the exit code of its kind."""
    desk.answers["/v1/store/jobs"] = StoreJob(
        number=1, request=StoreJobRequest(work="collect"), status="failed", phase="mark", done=0,
        total=1, started_ms=1, ended_ms=2, code="unavailable", message="Nothing was collected: x.",
        remedy="Wait.",
    )  # fmt: skip
    done = desk("store", "collect")
    assert done.exit_code == 7
    assert "Nothing was collected: x." in done.stderr


def test_migrate(desk: Desk, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Old and new place are named; damage that came along is an error, after all was copied."""
    monkeypatch.setattr(
        config,
        "load_config",
        lambda _: NodeConfig(organisation="a", listen=Listen(peer="", api="")),
    )
    report = MigrateReport(objects=3, bytes=4096, copied=2)
    asked = []

    def move(folder, url, progress):
        progress("copy", 1, 2)
        asked.append((folder, url))
        return report

    monkeypatch.setattr(opening, "migrate_store", move)
    done = desk("store", "migrate", tmp_path, "--to", "file:///there")
    assert asked == [(tmp_path, "file:///there")]
    assert "file:store" in done.stdout
    assert "3, 4.0 KiB" in done.stdout
    report.damaged = ("packs/aa/bb",)
    assert desk("store", "migrate", tmp_path, "--to", "x", "--json").exit_code == 8


def test_lanes(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether several chunks are fingerprinted at once; a build that fails says so and ends with 7."""
    monkeypatch.setenv(lanes.SWITCH, "off")
    lanes.find_lanes.cache_clear()
    assert "HANSA_LANES=off" in desk("store", "lanes").stdout
    assert desk.json("store", "lanes")["lanes"] == 0
    monkeypatch.setattr(lanes, "library_path", lambda: Path("/dev/null/lanes.so"))
    monkeypatch.setattr(lanes.shutil, "which", lambda _: None)
    monkeypatch.delenv("CC", raising=False)
    failed = desk("store", "lanes", "--build")
    assert failed.exit_code == 7
    assert "not built" in failed.output
    lanes.find_lanes.cache_clear()
