"""One chain, four ways to it: live, killed and back, from block 1, index lost. One index, to the digest."""

import asyncio
import shutil
import signal
from pathlib import Path

import pytest

from hansa.chain.transactions import Redescribe
from hansa.client.client import HansaClient
from hansa.client.describe import Sniffed, Subject, describe
from hansa.rest import Answer, IndexStats, Question
from tests.e2e.local_alliance import LocalAlliance, Member

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
SUBJECTS = ("Bridges", "Trams", "Air", "Trees", "Noise", "Schools", "Clinics", "Taxis")
CONVERGE_S_MAX = 120


async def _publish(client: HansaClient, folder: Path, numbers: range) -> list[bytes]:
    """Publish small datasets about different things; return them."""
    made = []
    for number in numbers:
        source = folder / f"{number}.csv"
        source.write_text(f"place,count\n{number},{number * number}\n")
        title = f"{SUBJECTS[number % len(SUBJECTS)]} of district {number}"
        made.append((await client.publish([source], title=title)).dataset)
    return made


async def _change(alliance: LocalAlliance, folder: Path, datasets: list[bytes]) -> int:
    """A next version, another description, a retirement; return the height of the last."""
    owner = alliance.members[0]
    said = describe(
        Subject(title="Water of the river", keywords=("flood",)),
        Sniffed(formats=("csv",)),
        alliance.genesis.parameters.feature_model,
    )
    next_version = folder / "next.csv"
    next_version.write_text("place,count\n0,1\n1,2\n")
    async with alliance.client(owner) as client:
        await client.publish([next_version], dataset=datasets[0])
        done = await alliance.submit(owner, Redescribe(datasets[1], said))
        assert done.status == "committed", done
        done = await client.retire(datasets[2])
        assert done.status == "committed", done
    return done.height


async def _settled(alliance: LocalAlliance, height: int) -> list[IndexStats]:
    """Return every node's index once all of them stand at one height, no lower than the one given."""
    seen: list[IndexStats] = []

    async def is_settled() -> bool:
        views = [await alliance.get(m, "/v1/index", IndexStats) for m in alliance.members]
        heights = {view.height for view in views}
        heights |= {(await alliance.status(member)).height for member in alliance.members}
        assert len(heights) == 1, heights
        seen[:] = views
        return views[0].height >= height

    await alliance.until(is_settled, CONVERGE_S_MAX)
    return seen


async def _ask(alliance: LocalAlliance, member: Member, question: Question) -> list[str]:
    async with alliance.client(member) as client:
        answer: Answer = await client.find(question)
        return [match.id for match in answer.matches]


async def _live_through(alliance: LocalAlliance, folder: Path) -> tuple[str, int, list[bytes]]:
    """Let the chain grow while one ordinary node is killed; return an early digest, the height, the datasets."""
    owner, interrupted = alliance.members[0], alliance.members[4]
    await alliance.until_ready(alliance.members[:5], 90)
    async with alliance.client(owner) as client:
        datasets = await _publish(client, folder, range(9))
        early = (await alliance.get(owner, "/v1/index", IndexStats)).digest
        assert interrupted.end(signal.SIGKILL) == -signal.SIGKILL
        datasets += await _publish(client, folder, range(9, 11))
    return early, await _change(alliance, folder, datasets), datasets


async def _compare(alliance: LocalAlliance, early: str, height: int, datasets: list[bytes]) -> None:
    """All nodes have one digest, one set of clusters, and the same answers in the same order."""
    views = await _settled(alliance, height)
    assert 1 == len({view.digest for view in views}), [(v.height, v.digest) for v in views]
    assert early != views[0].digest
    assert {len(datasets) - 1} == {view.datasets for view in views}
    clusters = [{(item.label, item.rows) for item in view.cluster_list} for view in views]
    assert all(found == clusters[0] for found in clusters)
    for question in (
        Question(words="district"),
        Question(words="flood"),
        Question(like=datasets[3].hex()),
    ):
        answers = [await _ask(alliance, member, question) for member in alliance.members]
        assert answers[0]
        assert all(found == answers[0] for found in answers)


def test_one_chain_by_four_ways_gives_one_index(tmp_path: Path) -> None:
    """Live, killed and back, from block 1 by other nodes' blocks, index made anew from the own chain."""
    alliance = LocalAlliance.create(tmp_path / "alliance", 6)
    rebuilt, interrupted, newcomer = alliance.members[1], *alliance.members[4:]
    try:
        # The newcomer starts last: it learns all of the chain from others' blocks.
        for member in alliance.members[:5]:
            member.start()
        early, height, datasets = asyncio.run(_live_through(alliance, tmp_path))
        assert rebuilt.end() == 0
        shutil.rmtree(rebuilt.folder / "index")
        for member in (rebuilt, interrupted, newcomer):
            member.start()
        asyncio.run(alliance.until_ready(seconds=90))
        asyncio.run(_compare(alliance, early, height, datasets))
    finally:
        for member in alliance.members:
            if member.process is not None:
                member.process.kill()
                member.process.wait(10)
