"""HansaClient: checks its profile, and hands each call to its module."""

from dataclasses import replace

import pytest

from hansa.client.client import HansaClient
from hansa.codec import encode
from hansa.errors import InvalidError
from hansa.rest import NearestAnswer, NodeStatus, Question

from .conftest import CountedEntropy, Pair, Threads


def _client(pair: Pair, index: int = 0, **change) -> HansaClient:
    session = (pair.owner, pair.reader)[index]
    client = HansaClient(
        replace(session.profile, **change),
        clock=session.clock,
        entropy=CountedEntropy(b"client%d" % index),
        workers=Threads(),
        passphrase=lambda: None,
    )
    client._session = replace(client._session, transport=session.transport)
    return client


async def test_the_whole_story(pair, tmp_path, monkeypatch):
    """Publish, ask, grant, fetch, revoke, through the client alone."""
    monkeypatch.setenv("HANSA_HOME", str(tmp_path / "home"))
    owner, reader = _client(pair), _client(pair, 1)
    assert (owner.profile.name, owner.genesis) == ("health", pair.city.genesis)
    (tmp_path / "a.csv").write_bytes(b"a,b\n")
    done = await owner.publish([tmp_path / "a.csv"], title="T", themes=["health"])
    assert (await reader.dataset(done.dataset)).columns == []
    asked = await reader.request_access(done.dataset, purpose="audit")
    opened = (await owner.list_requests())[0]
    assert (opened.view.id, opened.justification) == (asked.request.hex(), "audit")
    assert (await owner.request(asked.request)) == opened
    assert (await owner.grant_access(asked.request)).dataset == done.dataset
    await reader.fetch(done.dataset, tmp_path / "out")
    assert (tmp_path / "out" / "a.csv").read_bytes() == b"a,b\n"
    pieces = []
    await reader.fetch_stream(done.dataset, pieces.append)
    assert b"".join(pieces) == b"a,b\n"
    assert (await owner.revoke_access(asked.request, "Over.")).status == "committed"
    second = await reader.request_access(done.dataset, purpose="audit")
    await owner.deny_access(second.request, "No.")
    await owner.retire(done.dataset)
    await owner.vote_super_nodes(["health"])
    await owner.admit(encode(pair.members[1].candidate()))
    await owner.suspend("transport", "why")
    await owner.revoke_user(b"k" * 32)
    added = await owner.add_user("N", ["reader"], profile_name="n")
    assert added.profile.exists()
    told = await owner.transaction(bytes.fromhex(done.status.transaction))
    assert told.status == "committed"


async def test_the_certificate_must_be_of_the_node_key(pair):
    """A profile put together wrongly is refused before anything is sent."""
    with pytest.raises(InvalidError, match="not of its node_key"):
        _client(pair, node_key=bytes(32))


async def test_plain_calls(pair):
    """`get`, `post` and their like go to the transport."""
    client = _client(pair)
    answer = await client.post("/v1/index/nearest", Question(), NearestAnswer)
    assert answer == NearestAnswer(cluster="")
    asked = []

    async def get(path, kind, query=None):
        asked.append((path, kind))

    pair.owner_node.get = get
    await client.status()
    assert asked == [("/v1/status", NodeStatus)]
