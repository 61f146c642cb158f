"""Six processes with any one super node dead, paused for 10 s, cut off or restarted keep agreeing."""

import asyncio
from pathlib import Path

import pytest

from hansa.cli import processes
from hansa.cli.local_alliance import LocalAlliance
from tests.e2e.harness import SIX, converge
from tests.e2e.load import assert_all_there, load_on, publish_one_each
from tests.e2e.relay import Relay, relays

PAUSE_S = 10
pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]


def _with_relays(folder: Path) -> tuple[LocalAlliance, Relay]:
    """Make an alliance whose nodes reach each other through relays."""
    alliance = LocalAlliance.create(folder, SIX, 4, "")
    targets = {}
    for name, port in zip(SIX, processes.free_ports(len(SIX)), strict=True):
        reached = alliance.state.ports[name][0]
        config = alliance.node_folder(name) / "node.toml"
        text = config.read_text()
        assert text.count(f"127.0.0.1:{reached}") == 1
        config.write_text(text.replace(f"127.0.0.1:{reached}", f"127.0.0.1:{port}"))
        targets[name] = (reached, port)
    return alliance, Relay(targets, {})


async def _torment(folder: Path, source: Path) -> None:
    alliance, relay = _with_relays(folder)
    try:
        async with relays(relay):
            for name in SIX:
                relay.pids[name] = alliance.start(name)
            await alliance.up(lambda _: None)
            async with alliance.clients() as clients:
                datasets = await publish_one_each(clients, str(source))
                async with load_on(clients, datasets) as load:
                    await load.more(10)
                    for victim in SIX[:4]:
                        await _each_fault(alliance, relay, victim, load)
                await converge(clients)
                await assert_all_there(clients, load)
                assert len(load.acknowledged) >= 4 * 4 * 5
    finally:
        alliance.stop()


async def _each_fault(alliance: LocalAlliance, relay: Relay, victim: str, load) -> None:
    """Dead and restarted, paused, cut off: each time writes by the others go on."""
    folder = alliance.node_folder(victim)
    processes.kill_process(folder)
    await load.more(5)
    relay.pids[victim] = alliance.start(victim)
    await load.more(5)
    processes.pause_process(folder)
    try:
        await asyncio.sleep(PAUSE_S)
        await load.more(5)
    finally:
        processes.resume_process(folder)
    relay.cut_off(victim)
    await load.more(5)
    await asyncio.sleep(1)
    relay.join_again(victim)


def test_one_super_node_dead_paused_cut_off_restarted(tmp_path: Path) -> None:
    """Each super node in turn suffers each fault under load; afterwards all six are equal."""
    source = tmp_path / "counts.csv"
    source.write_text("place,count\nbridge,7\n")
    asyncio.run(_torment(tmp_path / "city", source))
