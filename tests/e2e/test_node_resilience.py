"""Six real processes: one super node dead, paused or behind; the alliance goes on and all converge."""

import asyncio
import signal
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from local_alliance import LocalAlliance, Member

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


async def until_equal(alliance: LocalAlliance, height: int) -> None:
    """Wait until all running nodes stand at one height with one root, and hold no copy."""

    async def is_equal() -> bool:
        found = [await alliance.status(m) for m in alliance.members if m.process is not None]
        places = {(status.height, status.state_root, status.tip) for status in found}
        assert len(places) == 1, places
        return found[0].height >= height and all(status.copies_held == 0 for status in found)

    await alliance.until(is_equal, 60)


async def find_master(alliance: LocalAlliance) -> Member:
    """Return the member whose turn it is."""
    name = (await alliance.status(alliance.members[-1])).master
    return next(member for member in alliance.members if member.name == name)


async def test_one_super_node_dead_then_back(tmp_path: Path) -> None:
    """The master is killed with kill -9; five nodes go on; it comes back and catches up."""
    alliance = LocalAlliance.create(tmp_path, 6)
    with alliance.running():
        await alliance.until_ready()
        ordinary = alliance.members[-1]
        assert (await alliance.submit(ordinary)).status == "committed"
        dead = await find_master(alliance)
        assert dead is not ordinary
        assert dead.end(signal.SIGKILL) == -signal.SIGKILL
        last = None
        for _ in range(5):
            last = await alliance.submit(ordinary)
            assert last.status == "committed"
        dead.start()
        await alliance.until_ready([dead])
        await until_equal(alliance, last.height)
        after = await alliance.submit(dead)
        assert after.status == "committed"
        await until_equal(alliance, after.height)


async def test_one_super_node_paused(tmp_path: Path) -> None:
    """A super node stands still for ten seconds; the others agree; then all are equal again."""
    alliance = LocalAlliance.create(tmp_path, 6)
    with alliance.running():
        await alliance.until_ready()
        ordinary = alliance.members[-1]
        paused = await find_master(alliance)
        assert paused.process is not None
        paused.process.send_signal(signal.SIGSTOP)
        loop = asyncio.get_running_loop()
        end = loop.time() + 10
        last = None
        while last is None or loop.time() < end:
            last = await alliance.submit(ordinary)
            assert last.status == "committed"
        paused.process.send_signal(signal.SIGCONT)
        await until_equal(alliance, last.height)
        assert (await alliance.submit(paused)).status == "committed"
