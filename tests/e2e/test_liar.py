"""A super node that signs two votes for one slot, over real links: found out, expelled, replaced."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hansa.chain.blocks import SignedVote, Vote, sign_vote
from hansa.chain.transactions import VoteSuperNodes
from hansa.codec import encode
from hansa.consensus.messages import Confirm
from hansa.crypto.signing import SigningKey
from hansa.keyfile import load_signing_key
from hansa.net.peers import Handlers, PeerEntry, PeerNetwork
from hansa.net.tls import Credentials
from hansa.node.config import CERTIFICATE_FILE, KEY_FILE
from hansa.rest import NodeStatus, OrganisationView
from hansa.system import SystemClock, SystemEntropy
from tests.e2e.local_alliance import LocalAlliance, Member

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


@contextlib.asynccontextmanager
async def pose_as(alliance: LocalAlliance, liar: Member) -> AsyncIterator[PeerNetwork]:
    """Hold a member's links with its own key, in place of its node."""
    key = load_signing_key(liar.folder / KEY_FILE, lambda: None)
    entries = {
        candidate.node_key: PeerEntry(candidate.name, candidate.peer_address, candidate.certificate)
        for candidate in alliance.candidates
        if candidate.node_key != key.public
    }
    host, port = next(
        candidate.peer_address for candidate in alliance.candidates if candidate.name == liar.name
    ).split(":")

    async def serve(_sender: bytes, _method: str, _data: bytes) -> bytes:
        return b""

    peers = PeerNetwork(
        key=key,
        credentials=Credentials(liar.folder / CERTIFICATE_FILE, liar.folder / KEY_FILE, None),
        alliance=alliance.genesis.digest(),
        listen=(host, int(port)),
        directory=lambda: entries,
        handlers=Handlers(
            on_message=lambda _sender, _data: None,
            on_connected=lambda _peer: None,
            on_lost=lambda _peer: None,
            on_call=serve,
        ),
        clock=SystemClock(),
        entropy=SystemEntropy(),
    )
    peers.bind()
    async with asyncio.TaskGroup() as group:
        running = group.create_task(peers.run())
        try:
            yield peers
        finally:
            running.cancel()


def two_votes(alliance: LocalAlliance, key: SigningKey, at: NodeStatus) -> list[SignedVote]:
    """Return two confirms for the height in progress."""
    return [
        sign_vote(
            Vote(alliance.genesis.digest(), at.epoch, at.height + 1, 0, "confirm", digest), key
        )
        for digest in (bytes([1]) * 32, bytes([2]) * 32)
    ]


async def test_two_votes_for_one_slot_expel(tmp_path: Path) -> None:
    """Whoever hears both brings the proof; the next election goes on without the liar."""
    alliance = LocalAlliance.create(tmp_path, 5, super_nodes=4)
    liar, *honest = alliance.members
    for member in honest:
        member.start()
    try:
        await alliance.until_ready(honest)
        everybody = VoteSuperNodes(tuple(member.name for member in alliance.members))
        assert "committed" == (await alliance.submit(honest[0], everybody)).status
        key = load_signing_key(liar.folder / KEY_FILE, lambda: None)
        async with pose_as(alliance, liar) as peers:
            await alliance.until(lambda: _is_connected(peers, honest[0]))

            # Votes for a height that is decided meanwhile say nothing: lie until it is heard.
            async def is_expelled() -> bool:
                status = await alliance.status(honest[0])
                for vote in two_votes(alliance, key, status):
                    peers.send(honest[0].node_key, encode(Confirm(vote)))
                return bool(await _expelled(alliance, honest[1], liar))

            await alliance.until(is_expelled)

        async def is_replaced() -> bool:
            status = await alliance.status(honest[2])
            return liar.name not in status.super_nodes and len(status.super_nodes) == 4

        await alliance.until(is_replaced)
        assert "committed" == (await alliance.submit(honest[3])).status
        for member in honest:
            assert await _expelled(alliance, member, liar)
            assert not [other for other in honest if await _expelled(alliance, member, other)]
    finally:
        for member in honest:
            assert 0 == member.end()


async def _is_connected(peers: PeerNetwork, member: Member) -> bool:
    return member.node_key in peers.connected()


async def _expelled(alliance: LocalAlliance, at: Member, whom: Member) -> int:
    """Return the height at which a member was expelled, as another's node tells it; 0 if it was not."""
    members = await alliance.get(at, "/v1/organisations", list[OrganisationView])
    return next(item.expelled_height for item in members if item.name == whom.name)
