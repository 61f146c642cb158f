"""Fixtures: a real node in this process."""

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from live_node import LiveNode, LocalAlliance, run_in_process


@pytest.fixture
def alliance(tmp_path: Path) -> LocalAlliance:
    """An alliance of one organisation, not started."""
    return LocalAlliance.create(tmp_path, 1, super_nodes=1)


@pytest.fixture
async def live(alliance: LocalAlliance) -> AsyncIterator[LiveNode]:
    """A running node."""
    async with run_in_process(alliance) as node:
        yield node
