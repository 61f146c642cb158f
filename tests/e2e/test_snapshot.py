"""A new node takes a snapshot by the operator's checkpoint instead of replaying the chain, and does its part."""

import asyncio
from pathlib import Path

import msgspec
import pytest

from hansa.consensus.schedule import RECENT_BLOCKS
from hansa.rest import BlockDetail, Question
from tests.e2e.harness import wait_for
from tests.e2e.local_alliance import LocalAlliance, Member

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


async def _grow(alliance: LocalAlliance, source: Path) -> bytes:
    """Publish once, then commit more blocks than a snapshot brings; return the dataset."""
    first = alliance.members[0]
    await alliance.until_ready(alliance.members[:4], 90)
    async with alliance.client(first) as client:
        dataset = (await client.publish([source], title="Bridges of the city")).dataset
    while (await alliance.status(first)).height < RECENT_BLOCKS + 6:
        assert (await alliance.submit(first)).status == "committed"
    return dataset


async def _checkpoint(alliance: LocalAlliance, height: int) -> str:
    _, body, _ = await alliance.request(alliance.members[0], "GET", f"/v1/blocks/{height}")
    return f"{height}:{msgspec.json.decode(body, type=BlockDetail).summary.digest}"


def _configure(member: Member, checkpoint: str) -> None:
    config = member.folder / "node.toml"
    config.write_text(
        config.read_text() + f'\n[chain]\ncheckpoint = "{checkpoint}"\nkeep_blocks = 10\n'
    )


async def _joined(alliance: LocalAlliance, joiner: Member, dataset: bytes) -> None:
    """The joiner stands at the tip without the old blocks, answers, writes, and proves what it wrote."""
    await alliance.until_ready([joiner], 60)
    status, body, _ = await alliance.request(joiner, "GET", "/v1/blocks/2")
    assert status == 404, body
    done = await alliance.submit(joiner)
    assert done.status == "committed"
    path = f"/v1/transactions/{done.transaction}/receipt"
    assert (await alliance.request(joiner, "GET", path))[0] == 200
    tips = [await alliance.status(member) for member in (alliance.members[0], joiner)]
    assert tips[0].state_root == tips[1].state_root or tips[0].height != tips[1].height

    async def is_found() -> bool:
        async with alliance.client(joiner) as client:
            found = await client.find(Question(words="bridges"))
            return [match.id for match in found.matches] == [dataset.hex()]

    await alliance.until(is_found)


def test_a_joiner_takes_a_snapshot(tmp_path: Path) -> None:
    """With a true checkpoint it joins, restarts included; with a false one it takes nothing."""
    source = tmp_path / "bridges.csv"
    source.write_text("bridge,metres\n" * 50)
    alliance = LocalAlliance.create(tmp_path, 5)
    joiner = alliance.members[4]
    try:
        for member in alliance.members[:4]:
            member.start()
        dataset = asyncio.run(_grow(alliance, source))
        checkpoint = asyncio.run(_checkpoint(alliance, 3))
        plain = (joiner.folder / "node.toml").read_text()
        _configure(joiner, "3:" + "0" * 64)
        joiner.start()
        log = joiner.folder / "log" / "node.log"
        wait_for(lambda: log.exists() and "not the checkpoint" in log.read_text(), 60)
        joiner.end()
        assert not (joiner.folder / "ledger").exists()
        (joiner.folder / "node.toml").write_text(plain)
        _configure(joiner, checkpoint)
        joiner.start()
        asyncio.run(_joined(alliance, joiner, dataset))
        assert joiner.end() == 0
        joiner.start()
        asyncio.run(_joined(alliance, joiner, dataset))
    finally:
        for member in alliance.members:
            if member.process is not None:
                member.process.kill()
                member.process.wait(10)
