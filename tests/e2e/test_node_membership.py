"""A fifth organisation is admitted by vote and joins with its process; later it is suspended."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from local_alliance import LocalAlliance, problem

from hansa.chain.transactions import AdmitOrganisation, SuspendOrganisation

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


async def test_admitted_then_suspended(tmp_path: Path) -> None:
    """Before: not ready. After the vote: follows, submits. After the suspension: refused everywhere."""
    alliance = LocalAlliance.create(tmp_path, 5, founders=4)
    *founders, joiner = alliance.members
    with alliance.running():
        await alliance.until_ready(founders)
        status, body, _ = await alliance.request(joiner, "GET", "/healthz/ready", token="")
        assert (503, True) == (status, b"not admitted" in body)
        for founder in founders[:3]:
            done = await alliance.submit(founder, AdmitOrganisation(alliance.candidates[4]))
            assert done.status == "committed", done
        await alliance.until_ready([joiner])
        assert (await alliance.status(joiner)).height >= done.height
        assert (await alliance.submit(joiner)).status == "committed"
        for founder in founders[:3]:
            done = await alliance.submit(founder, SuspendOrganisation(joiner.name, "a test"))
            assert done.status == "committed", done

        async def is_cut_off() -> bool:
            peers = (await alliance.status(founders[0])).peers
            return joiner.name not in {peer.organisation for peer in peers}

        await alliance.until(is_cut_off)

        async def is_refused() -> bool:
            status, body, _ = await alliance.request(joiner, "GET", "/v1/status")
            return status == 403 and problem(body)["code"] == "denied"

        await alliance.until(is_refused)
        assert (await alliance.submit(founders[3])).status == "committed"
