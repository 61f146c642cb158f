"""Fixtures: a real node in this process."""

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from live_node import LiveNode, LocalAlliance, run_in_process
from scene import Scene


@pytest.fixture
def alliance(tmp_path: Path) -> LocalAlliance:
    """An alliance of one organisation, not started."""
    return LocalAlliance.create(tmp_path, 1, super_nodes=1)


@pytest.fixture
async def live(alliance: LocalAlliance) -> AsyncIterator[LiveNode]:
    """A running node."""
    async with run_in_process(alliance) as node:
        yield node


@pytest.fixture
async def scene(tmp_path: Path):
    """A published dataset and a reader without a grant."""
    alliance = LocalAlliance.create(tmp_path, 2, super_nodes=1)
    async with run_in_process(alliance) as live:
        scene = Scene(live)
        await scene.publish(tmp_path)
        yield scene
