"""Tests of node.api.status."""

from hansa.chain.transactions import VoteSuperNodes
from hansa.rest import (
    NodeStatus,
    OrganisationView,
    PreflightView,
    ProgressView,
    SealingKeys,
    SuperNodesView,
    UserView,
)


async def test_status(live) -> None:
    """The node tells where it stands; at height 0 the tip is the alliance."""
    status = await live.get("/v1/status", NodeStatus)
    assert (0, status.alliance) == (status.height, status.tip)
    assert [live.member.name] == status.super_nodes
    assert (True, True, 0) == (status.is_super_node, status.is_synced, status.copies_held)
    done = await live.submit()
    after = await live.get("/v1/status", NodeStatus)
    assert after.height >= done.height
    assert after.tip != status.tip
    assert live.member.name == after.master


async def test_members(live) -> None:
    """Organisations, users and sealing keys are those of the state."""
    (member,) = await live.get("/v1/organisations", list[OrganisationView])
    assert (live.member.name, "active", True) == (member.name, member.status, member.is_super_node)
    (user,) = await live.get("/v1/users", list[UserView])
    assert live.member.user.public.hex() == user.key
    found = await live.refused("GET", "/v1/users?organisation=nobody")
    assert (404, "missing") == (found["status"], found["code"])
    keys = await live.get("/v1/sealing-keys", SealingKeys)
    assert (1, 1) == (keys.quorum, len(keys.keys))


async def test_super_nodes(live) -> None:
    """The tally follows the votes on the chain."""
    before = await live.get("/v1/super-nodes", SuperNodesView)
    assert (1, 0, 1, 8) == (before.seats, before.faults, before.quorum, before.epoch_ends_at)
    await live.submit(VoteSuperNodes((live.member.name,)))
    after = await live.get("/v1/super-nodes", SuperNodesView)
    assert [live.member.name] == after.candidates[0].voters


async def test_preflight(live) -> None:
    """A vote is looked at without being cast; a suspension of the only one would stop all."""
    path, name = "/v1/super-nodes/preflight", live.member.name
    voted = await live.get(f"{path}?vote={name}", PreflightView)
    assert ([name], []) == (voted.would_decide, voted.objections)
    (objection,) = (await live.get(f"{path}?suspend={name}", PreflightView)).objections
    assert f"{name} (suspended)" in objection
    found = await live.refused("GET", f"{path}?vote=nobody")
    assert (404, "missing") == (found["status"], found["code"])
    after = await live.get("/v1/super-nodes", SuperNodesView)
    assert ([], 1) == (after.candidates[0].voters, after.lead)


async def test_progress(live) -> None:
    """An idle node says that there is nothing to do, and how long ago the last block was."""
    before = await live.get("/v1/progress", ProgressView)
    assert ("nothing-to-do", 1, 0) == (before.cause, before.height, before.last_block_ms)
    assert ([live.member.name], []) == (before.super_nodes, before.unreachable)
    done = await live.submit()
    after = await live.get("/v1/progress", ProgressView)
    assert after.height > done.height
    assert 1 == after.quorum
    assert ([], "") == (after.absent, after.absence)
