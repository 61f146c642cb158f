"""The election: one organisation one vote, ties, who stays, when it takes effect."""

import hashlib

from hypothesis import given, settings
from hypothesis import strategies as st

from hansa.chain.election import elect, is_election_pending, tally
from hansa.chain.transactions import SuspendOrganisation, VoteSuperNodes

NEW = ("health", "planning", "safety", "transport")


def vote_all(alliance, kit, names) -> None:
    """All organisations vote for the same names."""
    alliance.commit(*(alliance.sign(name, VoteSuperNodes(names)) for name in kit.NAMES))


def set_of(kit, names) -> tuple[bytes, ...]:
    """Return the sorted node keys of organisations."""
    return tuple(sorted(kit.key(f"{name} node").public for name in names))


def test_takes_effect_at_the_epochs_end(alliance, kit) -> None:
    """The block whose height is a multiple of the epoch names the next set; the next one has it."""
    old = alliance.state.super_nodes()
    assert set_of(kit, kit.NAMES[:4]) == old
    assert not is_election_pending(alliance.state)
    vote_all(alliance, kit, NEW)
    assert is_election_pending(alliance.state)
    while alliance.state.height < 7:
        alliance.commit()
        assert old == alliance.state.super_nodes()
    assert 0 == alliance.state.epoch()
    alliance.commit()
    header = alliance.header
    assert (8, 0, old) == (header.height, header.epoch, header.super_nodes)
    assert set_of(kit, NEW) == header.next_super_nodes == alliance.state.super_nodes()
    assert (1, (8,)) == (alliance.state.epoch(), alliance.state.set_changes())
    assert not is_election_pending(alliance.state)
    alliance.commit()
    assert (1, set_of(kit, NEW)) == (alliance.header.epoch, alliance.header.super_nodes)


def test_too_few_candidates_keep_the_old_set(alliance, kit) -> None:
    """Three candidates for four seats: nothing changes."""
    vote_all(alliance, kit, NEW[:3])
    assert not is_election_pending(alliance.state)
    assert alliance.state.super_nodes() == elect(alliance.state)


def test_of_equals_the_present_stay(alliance, kit) -> None:
    """A challenger with as many votes does not replace a super node; with one more it does."""
    alliance.act("health", VoteSuperNodes(kit.NAMES))
    assert not is_election_pending(alliance.state)
    alliance.act("energy", VoteSuperNodes(("transport",)))
    assert is_election_pending(alliance.state)
    standing = {item.organisation: item for item in tally(alliance.state)}
    assert (2, True) == (standing["transport"].votes, standing["transport"].is_next)
    assert ("energy", "health") == standing["transport"].voters


def test_ties_among_challengers_by_key(alliance, kit) -> None:
    """The smaller SHA-256 of the node key goes first."""
    alliance.act("health", VoteSuperNodes(("safety", "transport")))
    first, second = [item.organisation for item in tally(alliance.state)][:2]
    by_key = sorted(
        ("safety", "transport"),
        key=lambda name: hashlib.sha256(kit.key(f"{name} node").public).digest(),
    )
    assert by_key == [first, second]


def test_the_suspended_neither_vote_nor_win(alliance, kit) -> None:
    """A suspended organisation's vote is void and it is not elected, but its seat counts till then."""
    vote_all(alliance, kit, NEW)
    for name in ("energy", "environment", "planning"):
        alliance.act(name, SuspendOrganisation("health", "x"))
    standing = {item.organisation: item for item in tally(alliance.state)}
    assert 5 == standing["safety"].votes
    assert not standing["health"].is_electable
    assert not is_election_pending(alliance.state), "three electable candidates are too few"
    alliance.act("energy", VoteSuperNodes(("energy", "planning", "safety", "transport")))
    assert set_of(kit, ("energy", "planning", "safety", "transport")) == elect(alliance.state)
    assert kit.key("health node").public in alliance.state.super_nodes()


@given(
    votes=st.lists(
        st.tuples(st.integers(0, 5), st.sets(st.integers(0, 5), max_size=6)), max_size=12
    )
)
@settings(max_examples=30, deadline=None)
def test_any_votes(kit, votes) -> None:
    """The elected are the best by the stated order, computed here from the votes alone."""
    alliance = kit.Alliance(kit.make_genesis())
    last: dict[int, set[int]] = {}
    for who, whom in votes:
        names = tuple(kit.NAMES[index] for index in sorted(whom))
        # All are there all the time: standing (`test_standing`) decides nothing here.
        owed = alliance.blocks[-1].block.header.super_nodes if alliance.blocks else ()
        acknowledged = tuple(
            alliance.erasure(name, alliance.state.height, has_voted=True)
            for name in kit.NAMES
            if kit.key(f"{name} node").public in owed
        )
        vote = alliance.sign(kit.NAMES[who], VoteSuperNodes(names))
        assert alliance.commit(vote, erasures=acknowledged)[0].accepted
        last[who] = whom
    # The set may have changed at an epoch's end on the way: compare with the present one.
    present = set(alliance.state.super_nodes())
    nodes = [kit.key(f"{name} node").public for name in kit.NAMES]
    support = [sum(index in whom for whom in last.values()) for index in range(6)]
    candidates = sorted(
        (index for index in range(6) if support[index]),
        key=lambda index: (
            -support[index],
            nodes[index] not in present,
            hashlib.sha256(nodes[index]).digest(),
        ),
    )
    expected = {nodes[index] for index in candidates[:4]} if len(candidates) >= 4 else present
    assert tuple(sorted(expected)) == elect(alliance.state)
    assert 4 == len(elect(alliance.state))
