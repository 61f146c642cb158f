"""The draft: an overlay that keeps or drops a transaction's changes and never touches its base."""

import pytest

from hansa.chain import records
from hansa.chain.draft import Draft, Refused, refuse
from hansa.chain.records import VoteRecord


def vote(name: str) -> VoteRecord:
    """Return some vote."""
    return VoteRecord(name, ("energy",), 1)


def test_keep_and_drop(alliance) -> None:
    """Pending changes are seen at once; dropped ones are gone, kept ones stay."""
    draft = Draft(alliance.state)
    draft.put(records.vote_key("health"), vote("health"))
    assert vote("health") == draft.vote("health")
    draft.drop()
    assert None is draft.vote("health")
    draft.put(records.vote_key("health"), vote("health"))
    draft.keep()
    draft.delete(records.vote_key("health"))
    assert None is draft.vote("health")
    draft.drop()
    assert vote("health") == draft.vote("health")
    assert None is alliance.state.vote("health")


def test_scan_merges(alliance) -> None:
    """A scan sees base, kept and pending values, in the same order as the next state's."""
    draft = Draft(alliance.state)
    for name in ("health", "energy", "safety"):
        draft.put(records.vote_key(name), vote(name))
        draft.keep()
    draft.delete(records.vote_key("energy"))
    seen = [item.organisation for item in draft.scan(records.VOTE, VoteRecord)]
    assert {"health", "safety"} == set(seen)
    draft.keep()
    _, pairs = draft.finish()
    assert seen == [leaf.record.organisation for leaf in pairs.leaves(records.VOTE)]
    assert 6 == len(draft.organisations())


def test_finish(alliance) -> None:
    """Writes are sorted; deleting what never was is no write; pending changes are our mistake."""
    draft = Draft(alliance.state)
    draft.put(records.vote_key("safety"), vote("safety"))
    draft.put(records.vote_key("energy"), vote("energy"))
    draft.delete(records.vote_key("health"))
    with pytest.raises(AssertionError):
        draft.finish()
    draft.keep()
    writes, pairs = draft.finish()
    assert [records.vote_key("energy"), records.vote_key("safety")] == [key for key, _ in writes]
    assert pairs.root == alliance.state.pairs.updated(writes).root


def test_refuse() -> None:
    """A refusal carries a known code; an unknown one is our mistake."""
    with pytest.raises(Refused) as caught:
        refuse("not-owner")
    assert "not-owner" == caught.value.code
    with pytest.raises(AssertionError):
        refuse("because")
