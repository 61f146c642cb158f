"""Tests of bootstrap.joining: a snapshot of a running node becomes another folder's ledger, or nothing does."""

import contextlib
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "node"))

from live_node import LocalAlliance, run_in_process

from hansa.bootstrap.joining import join_by_snapshot
from hansa.bootstrap.opening import open_ledger
from hansa.errors import InvalidError
from hansa.types import Height


async def test_a_snapshot_becomes_the_ledger(tmp_path: Path) -> None:
    """State and blocks of the node that gave it; what a crash left half made is in nobody's way."""
    alliance = LocalAlliance.create(tmp_path, 2, super_nodes=1)
    folder = alliance.members[1].folder
    (folder / "ledger.joining").mkdir()
    (folder / "ledger.joining" / "left").touch()
    async with run_in_process(alliance) as live:
        for _ in range(3):
            await live.submit()
        first = live.services.ledger.block(Height(1))
        await join_by_snapshot(folder, f"1:{first.block.header.digest().hex()}")
        theirs = live.services.ledger.height()
    with contextlib.ExitStack() as closing:
        ledger, state = open_ledger(folder / "ledger", alliance.genesis, closing)
        assert ledger.height() == state.height == theirs
    assert not (folder / "ledger.joining").exists()


async def test_a_ledger_is_left_alone(tmp_path: Path) -> None:
    """A node with a ledger, or without a checkpoint, asks nobody."""
    folder = LocalAlliance.create(tmp_path, 1, super_nodes=1).members[0].folder
    await join_by_snapshot(folder)
    assert not (folder / "ledger").exists()
    (folder / "ledger").mkdir()
    await join_by_snapshot(folder, "1:" + "00" * 32)
    assert list((folder / "ledger").iterdir()) == []


async def test_a_checkpoint_that_is_none(tmp_path: Path) -> None:
    """Refused before anything is asked or made."""
    folder = LocalAlliance.create(tmp_path, 1, super_nodes=1).members[0].folder
    with pytest.raises(InvalidError, match="checkpoint"):
        await join_by_snapshot(folder, "yesterday")
    assert not (folder / "ledger.joining").exists()
