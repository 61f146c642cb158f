"""Real node processes: one signed transaction into a block that survives kill -9, on real TLS sockets."""

import asyncio
import signal
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from local_alliance import LocalAlliance

from hansa.rest import BlockDetail, NodeStatus, TransactionStatus

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


async def test_transaction_survives_kill(tmp_path: Path) -> None:
    """A transaction goes through four processes into a block; kill -9 of all of them keeps it."""
    alliance = LocalAlliance.create(tmp_path, 4)
    with alliance.running():
        await alliance.until_ready()
        first = alliance.members[0]
        done = await alliance.submit(first)
        assert done.status == "committed", done
        block = await alliance.get(first, f"/v1/blocks/{done.height}", BlockDetail)
        assert [done.transaction] == [item.transaction for item in block.transactions]

        for member in alliance.members:
            assert member.end(signal.SIGKILL) == -signal.SIGKILL
        for member in alliance.members:
            member.start()
        await alliance.until_ready()

        roots = set()
        for member in alliance.members:
            path = f"/v1/transactions/{done.transaction}"
            again = await alliance.get(member, path, TransactionStatus)
            assert (done.status, done.height) == (again.status, again.height)
            status = await alliance.get(member, "/v1/status", NodeStatus)
            assert status.height >= done.height
        after = await alliance.submit(alliance.members[1])
        assert after.status == "committed"
        assert after.height > done.height

        async def is_equal() -> bool:
            nonlocal roots
            found = [await alliance.status(member) for member in alliance.members]
            roots = {(status.height, status.state_root) for status in found}
            return len(roots) == 1 and all(status.copies_held == 0 for status in found)

        await alliance.until(is_equal)
        ends = await asyncio.to_thread(lambda: [member.end() for member in alliance.members])
        assert ends == [0, 0, 0, 0]
