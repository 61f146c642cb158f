"""Other city files than the shipped ones: every file goes in and comes out, byte for byte.

The files lie beside the checkout where developers and CI work, not on a user's machine.
"""

import asyncio
import os
from pathlib import Path

import pytest

from hansa import rest
from hansa.cli.local_alliance import LocalAlliance
from tests.e2e.attacks import until_at
from tests.e2e.harness import devnet

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
OFFICES = ["energy", "environment", "health", "planning", "safety", "transport"]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]


def _data() -> Path:
    if not DATA.is_dir():
        if os.environ.get("CI"):
            pytest.fail(f"the city data should be there: {DATA}")
        pytest.skip("the city data are not on this machine")
    return DATA


def _contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


async def _through(alliance: LocalAlliance, data: Path, scratch: Path) -> None:
    duplicates = 0
    async with alliance.clients() as clients:
        for office in OFFICES:
            other = OFFICES[OFFICES.index(office) - 1]
            for folder in sorted(path for path in (data / office).iterdir() if path.is_dir()):
                published = await clients[office].publish(
                    [folder], title=folder.name.replace("-", " "), themes=[office]
                )
                duplicates += published.duplicates
                while (await clients[other].status()).index_height < published.status.height:
                    await asyncio.sleep(0.02)  # the other node may hear of the block a little later
                title = rest.Question(title=folder.name.replace("-", " "))
                found = await clients[other].find(title)
                assert [match.id for match in found.matches] == [published.dataset.hex()]
                asked = await clients[other].request_access(published.dataset, purpose="audit")
                await until_at(clients[office], asked.status.height)
                granted = await clients[office].grant_access(asked.request)
                await until_at(clients[other], granted.status.height)
                out = scratch / office / folder.name
                await clients[other].fetch(published.dataset, out)
                assert _contents(out / folder.name) == _contents(folder)
        assert duplicates > 0, "successive versions of one file share chunks"


def test_every_city_file_comes_out_as_it_went_in(tmp_path: Path) -> None:
    """Each department's folders are published by its office, granted to another, and compared."""
    data = _data()
    with devnet(tmp_path / "city", OFFICES) as alliance:
        asyncio.run(_through(alliance, data, tmp_path / "out"))
