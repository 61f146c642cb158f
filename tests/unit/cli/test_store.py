"""`hansa store`: figures of the own store, and a check that fails where something is damaged."""

from hansa import rest
from tests.unit.cli.conftest import ID, Desk

STATS = rest.StoreStats(
    url="file:store", datasets=1, versions=2, logical_bytes=4096, chunks=3, stored_bytes=2048,
    duplicate_bytes=1024, packs=1, journal_bytes=0, free_bytes=1 << 30,
)  # fmt: skip


def test_stats(desk: Desk) -> None:
    """What deduplication saved, and what is free."""
    desk.answers["/v1/store"] = STATS
    text = desk("store", "stats").stdout
    assert "4.0 KiB" in text
    assert "1.0 GiB" in text
    assert desk.json("store", "stats")["duplicate_bytes"] == 1024


def test_check_that_finds_nothing(desk: Desk) -> None:
    """Exit code 0, and --read-data reaches the node."""
    desk.answers["/v1/store/check"] = rest.CheckReport(
        packs=1, chunks=3, bytes_read=10, problems=[], damaged_datasets=[]
    )
    assert desk.json("store", "check", "--read-data")["problems"] == []
    assert desk.client.calls[0][1] == (rest.CheckRequest(read_data=True),)


def test_check_that_finds_damage(desk: Desk) -> None:
    """Exit code 8, the problem and the dataset named, the report still printed."""
    desk.answers["/v1/store/check"] = rest.CheckReport(
        packs=1, chunks=3, bytes_read=10, problems=["pack 7: digest"], damaged_datasets=[ID]
    )
    done = desk("store", "check")
    assert done.exit_code == 8
    assert "pack 7: digest" in done.stdout
    assert ID in done.stdout
    assert "Publish the damaged datasets again" in done.stderr
    assert desk("store", "check", "--json").exit_code == 8
