"""Tests of node.health: ready is said only if all is well."""

from types import SimpleNamespace

import pytest

from hansa.node.health import HealthCheck
from hansa.types import PublicKey

KEYS = [PublicKey(bytes([number]) * 32) for number in range(4)]


def make(tmp_path, **changes) -> HealthCheck:
    """Return the check of a super node at which all is well, but for the changes."""
    well = {
        "connected": set(KEYS[1:3]),
        "is_synced": True,
        "ledger_height": 5,
        "index_height": 5,
        "lost": 0,
        "free_min": 1,
        "status": "active",
        "trouble": "",
        "waiting_for": "",
    } | changes
    member = SimpleNamespace(status=well["status"]) if well["status"] else None
    state = SimpleNamespace(
        height=5,
        super_nodes=lambda: KEYS,
        organisation_by_node_key=lambda key: member,
    )
    return HealthCheck(
        node_key=KEYS[0],
        replica=SimpleNamespace(state=state, is_synced=well["is_synced"]),
        ledger=SimpleNamespace(height=lambda: well["ledger_height"]),
        peers=SimpleNamespace(connected=lambda: frozenset(well["connected"])),
        index_height=lambda: well["index_height"],
        lost_manifests=lambda: well["lost"],
        folder=tmp_path,
        disk_free_bytes_min=well["free_min"],
        store_trouble=lambda: well["trouble"],
        store_waiting_for=lambda: well["waiting_for"],
    )


def test_ready(tmp_path) -> None:
    """A quorum counting itself, synced, with room: ready, without a reason."""
    health = make(tmp_path).look()
    assert (True, []) == (health.ready, health.reasons)


def test_behind(tmp_path) -> None:
    """Only what bears on knowing the newest block counts, not a full disk or a slow index."""
    assert make(tmp_path, index_height=-100, lost=1, trouble="x", free_min=1 << 70).behind() == ""
    assert "not synced" in make(tmp_path, is_synced=False).behind()
    assert "2 of 4" in make(tmp_path, connected={KEYS[1]}).behind()
    assert "suspended" in make(tmp_path, status="suspended").behind()
    assert "different heights" in make(tmp_path, ledger_height=4).behind()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"connected": {KEYS[1]}}, "2 of 4 super nodes"),
        ({"is_synced": False}, "not synced"),
        ({"ledger_height": 4}, "different heights"),
        ({"index_height": -100}, "the index is 105 blocks behind"),
        ({"lost": 2}, "2 manifests"),
        ({"trouble": "It is away."}, "packs wait in the journal"),
        ({"waiting_for": "The NameNode is in safe mode."}, "waited for: The NameNode is in safe"),
        ({"free_min": 1 << 70}, "bytes are free"),
        ({"status": "suspended"}, "suspended"),
        ({"status": ""}, "not admitted"),
    ],
)
def test_not_ready(tmp_path, change, told) -> None:
    """Each thing that is not well is told."""
    health = make(tmp_path, **change).look()
    assert not health.ready
    assert any(told in reason for reason in health.reasons), health.reasons
