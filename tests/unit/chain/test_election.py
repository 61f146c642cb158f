"""The election: one organisation one vote, ties, who stays, when it takes effect."""

import hashlib
from typing import NamedTuple

import msgspec
from hypothesis import event, given, settings
from hypothesis import strategies as st

from hansa.chain import records
from hansa.chain.draft import Draft
from hansa.chain.election import elect, is_election_pending, tally
from hansa.chain.genesis import ElectionRules, RuledGenesis, VoteWeight
from hansa.chain.state import State
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


# --- weights and leads ------------------------------------------------------------------------------


def ruled(kit, rules: ElectionRules) -> RuledGenesis:
    """Return the genesis of the six with rules of election."""
    plain = kit.make_genesis()
    fields = {name: getattr(plain, name) for name in plain.__struct_fields__}
    return RuledGenesis(**{**fields, "format": 2, "election": rules})


def test_a_lead_that_takes_a_seat(kit) -> None:
    """With a lead of two, one vote more is not enough, two are; a challenger of many comes in."""
    alliance = kit.Alliance(ruled(kit, ElectionRules(lead=2)))
    alliance.act("health", VoteSuperNodes(kit.NAMES))
    alliance.act("energy", VoteSuperNodes(("transport",)))
    assert not is_election_pending(alliance.state)
    alliance.act("planning", VoteSuperNodes(("transport",)))
    assert is_election_pending(alliance.state)
    assert kit.key("transport node").public in elect(alliance.state)


def test_weights_count_up_to_the_cap(kit) -> None:
    """A vote of weight five counts two under a cap of two; a ballot on members knows no weights."""
    rules = ElectionRules((VoteWeight("energy", 5),), weight_cap=2)
    alliance = kit.Alliance(ruled(kit, rules))
    alliance.act("energy", VoteSuperNodes(("transport",)))
    alliance.act("health", VoteSuperNodes(("transport", "safety")))
    standing = {item.organisation: item.votes for item in tally(alliance.state)}
    assert (3, 1, 0) == (standing["transport"], standing["safety"], standing["energy"])
    for name in ("energy", "environment"):
        assert "" == alliance.act(name, SuspendOrganisation("safety", "reason"))
    assert "active" == alliance.state.organisation("safety").status
    assert "" == alliance.act("health", SuspendOrganisation("safety", "reason"))
    assert "suspended" == alliance.state.organisation("safety").status


class City(NamedTuple):
    """An election at random: who sits, who may, who votes for whom, how much it counts."""

    rules: ElectionRules
    sitting: frozenset[int]
    suspended: frozenset[int]
    expelled: frozenset[int]
    votes: dict[int, frozenset[int]]


@st.composite
def cities(draw: st.DrawFn, names: tuple[str, ...]) -> City:
    """Draw an election among organisations by index; few of them are suspended or expelled."""
    who, some = st.integers(0, len(names) - 1), st.frozensets
    weights = draw(st.dictionaries(who, st.integers(1, 9), max_size=3))
    given = tuple(VoteWeight(names[index], weights[index]) for index in sorted(weights))
    return City(
        ElectionRules(given, draw(st.integers(1, 4)), draw(st.integers(1, 5))),
        draw(some(who, min_size=4, max_size=4)),
        draw(some(who, max_size=2)),
        draw(some(who, max_size=1)),
        draw(st.dictionaries(who, some(who, min_size=1), min_size=3)),
    )


def draft_of(kit, city: City) -> Draft:
    """Return a state in which the city stands as drawn."""
    draft = Draft(State.at_genesis(ruled(kit, city.rules)))
    for index, name in enumerate(kit.NAMES):
        changed = msgspec.structs.replace(
            draft.organisation(name),
            status="suspended" if index in city.suspended else "active",
            expelled_height=3 if index in city.expelled else 0,
        )
        draft.put(records.organisation_key(name), changed)
    for index, whom in city.votes.items():
        candidates = tuple(kit.NAMES[one] for one in sorted(whom))
        vote = records.VoteRecord(kit.NAMES[index], candidates, 1)
        draft.put(records.vote_key(vote.organisation), vote)
    sitting = tuple(sorted(kit.key(f"{kit.NAMES[one]} node").public for one in city.sitting))
    seats = msgspec.structs.replace(draft.election, super_nodes=sitting)
    draft.put(records.ELECTION_KEY, seats)
    return draft


def plain_model(kit, city: City) -> set[int]:
    """Return who is elected: the eligible whom fewer than four others beat, one against one."""
    weights = {kit.NAMES.index(item.organisation): item.weight for item in city.rules.weights}
    heard = {voter: whom for voter, whom in city.votes.items() if voter not in city.suspended}

    def votes(one: int) -> int:
        counted = [v for v, whom in heard.items() if one in whom]
        return sum(min(weights.get(voter, 1), city.rules.weight_cap) for voter in counted)

    def beats(one: int, other: int) -> bool:
        mine, theirs = votes(one), votes(other)
        if one in city.sitting and other not in city.sitting:
            return not theirs >= mine + city.rules.lead
        if other in city.sitting and one not in city.sitting:
            return mine >= theirs + city.rules.lead
        by_key = [kit.key(f"{kit.NAMES[index]} node").public for index in (one, other)]
        first, second = (hashlib.sha256(key).digest() for key in by_key)
        return mine > theirs or (mine == theirs and first < second)

    barred = city.suspended | city.expelled
    eligible = [one for one in range(6) if one not in barred and votes(one) > 0]
    if len(eligible) < 4:
        return set(city.sitting)
    return {one for one in eligible if sum(beats(o, one) for o in eligible if o != one) < 4}


@given(data=st.data())
@settings(max_examples=150, deadline=None)
def test_any_weights_and_leads(kit, data) -> None:
    """The tally agrees with the model of duels, whoever sits, is suspended or was proved to lie."""
    city = data.draw(cities(kit.NAMES))
    draft = draft_of(kit, city)
    expected = plain_model(kit, city)
    event(f"seats that change hands: {len(expected - city.sitting)}")
    nodes = [kit.key(f"{name} node").public for name in kit.NAMES]
    assert tuple(sorted(nodes[one] for one in expected)) == elect(draft)
    assert 4 == len(elect(draft))
    # Whatever order votes and members lie in, the tally is the same: a pure function of the state.
    assert tally(draft) == tally(draft_of(kit, city))
