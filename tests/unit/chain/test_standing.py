"""Standing: which acknowledgements a block may carry, what is counted, and who sits out."""

import msgspec
import pytest

from hansa.chain.blocks import Vote, sign_vote
from hansa.chain.election import elect, is_election_pending, tally
from hansa.chain.records import StandingEntry
from hansa.chain.standing import counted_until, is_erasure_valid, sitting_out
from hansa.chain.transactions import VoteSuperNodes

VOTE = VoteSuperNodes(("health",))


def judge(alliance, erasure, height: int) -> bool:
    """Tell whether the next block may carry an acknowledgement."""
    assert height == alliance.state.height + 1
    return is_erasure_valid(alliance.state, erasure, height, alliance.header.digest())


def test_erasures_are_judged(alliance) -> None:
    """An acknowledgement counts once, from a super node of its height, for a past height, signed."""
    alliance.commit(alliance.sign("health", VOTE))
    good = alliance.erasure("energy", 1)
    assert judge(alliance, good, 2)
    assert judge(alliance, alliance.erasure("energy", 1, round=1, outcome="failed"), 2)
    wrong = (
        alliance.erasure("transport", 1),  # an ordinary node
        alliance.erasure("energy", 2),  # not past
        alliance.erasure("energy", 0),  # the genesis has no copies
        alliance.erasure("energy", 1, alliance=bytes(32)),
        alliance.erasure("energy", 1, round=-1),
        alliance.erasure("energy", 1, copies=-1),
        alliance.erasure("energy", 1, digest=b"short"),
        msgspec.structs.replace(good, copies=2),  # not what was signed
    )
    for erasure in wrong:
        assert not judge(alliance, erasure, 2), erasure
    alliance.commit(erasures=(good,))
    (entry,) = alliance.state.erasures(1)
    assert (good.super_node, 2) == (entry.super_node, entry.recorded_height)
    assert not judge(alliance, good, 3), "once"


def test_erasures_of_the_last_set_and_their_end(alliance, kit) -> None:
    """The outgoing set may still acknowledge; old heights are forgotten."""
    elected = ("health", "planning", "safety", "transport")
    alliance.commit(*(alliance.sign(name, VoteSuperNodes(elected)) for name in kit.NAMES))
    while alliance.state.height < 8:
        alliance.commit()
    assert kit.key("energy node").public not in alliance.state.super_nodes()
    assert judge(alliance, alliance.erasure("energy", 8), 9)
    assert not judge(alliance, alliance.erasure("safety", 8), 9)
    alliance.commit(erasures=(alliance.erasure("energy", 8),))
    assert judge(alliance, alliance.erasure("safety", 9), 10)
    while alliance.state.height < 17:
        alliance.commit()
    late = alliance.erasure("environment", 8)
    assert not judge(alliance, late, 18), "two epochs ago"
    assert alliance.state.erasures(8)
    while alliance.state.height < 28:
        alliance.commit()
    assert () == alliance.state.erasures(8)


def test_an_acknowledgement_names_the_block_and_carries_a_vote_for_it(alliance, kit) -> None:
    """Of a failed round neither can be asked; a vote for something else is none."""
    alliance.commit(alliance.sign("health", VOTE))
    digest = alliance.header.digest()
    assert judge(alliance, alliance.erasure("energy", 1, has_voted=True), 2)
    assert not judge(alliance, alliance.erasure("energy", 1, digest=bytes(32)), 2)
    assert judge(alliance, alliance.erasure("energy", 1, digest=bytes(32), outcome="failed"), 2)
    plain = Vote(alliance.state.alliance, 0, 1, 0, "confirm", digest)
    for change in ({"phase": "review"}, {"round": 1}, {"digest": bytes(32)}, {"epoch": 1}):
        vote = sign_vote(msgspec.structs.replace(plain, **change), kit.key("energy node"))
        assert not judge(alliance, alliance.erasure("energy", 1, vote=vote.signature), 2)
    other = sign_vote(plain, kit.key("health node")).signature
    assert not judge(alliance, alliance.erasure("energy", 1, vote=other), 2)
    voted = alliance.erasure("energy", 1, has_voted=True)
    failed = alliance.erasure("energy", 1, vote=voted.vote, outcome="failed")
    assert not judge(alliance, failed, 2)
    alliance.commit(alliance.sign("health", VOTE))
    alliance.commit()
    older = alliance.erasure("energy", 1, has_voted=True)
    assert judge(alliance, older, 4), "a late one, for any later master to bring"
    assert not judge(alliance, alliance.erasure("energy", 1, digest=digest[::-1]), 4)


def run_epoch(alliance, kit, *, silent: str = "", unvoting: str = "", late: bool = False) -> None:
    """Commit an epoch's blocks with transactions; super nodes acknowledge all but the silent one."""
    first = alliance.state.height + 1
    names = {kit.key(f"{name} node").public: name for name in kit.NAMES}
    for height in range(first, first + 8):
        owed = range(first, height) if late and height == first + 7 else range(height - 1, height)
        erasures = [
            alliance.erasure(names[key], past, has_voted=names[key] != unvoting)
            for past in owed
            if past >= first and not (late and height < first + 7)
            for key in alliance.state.super_nodes()
            if names[key] != silent
        ]
        alliance.commit(alliance.sign("health", VOTE), erasures=tuple(erasures))


ALL = ("energy", "environment", "health", "planning", "safety", "transport")


def vote_for_all(alliance) -> None:
    """Let all organisations approve of all; ties and the present set decide."""
    alliance.commit(*(alliance.sign(name, VoteSuperNodes(ALL)) for name in ALL))
    while alliance.state.height % 8:
        alliance.commit()


@pytest.mark.parametrize("how", ["silent", "unvoting"])
def test_who_missed_too_many_sits_out_one_epoch(alliance, kit, how: str) -> None:
    """Erasures or votes alike; with as many approvals as the others it is back an epoch later."""
    vote_for_all(alliance)
    state = alliance.state
    absent = next(name for name in ALL if kit.key(f"{name} node").public in state.super_nodes())
    key = kit.key(f"{absent} node").public
    run_epoch(alliance, kit, **{how: absent})
    after = alliance.state.super_nodes()
    assert key not in after
    assert 4 == len(after)
    assert 3 == len(set(after) & set(state.super_nodes())), "the others stay"
    assert (0, ()) == (alliance.state.standing.owed, alliance.state.standing.entries)
    (view,) = [item for item in tally(alliance.state) if item.organisation == absent]
    assert (True, False) == (view.is_electable, view.sits_out)


def test_who_was_there_stays(alliance, kit) -> None:
    """All acknowledged in time; half of the epoch's heights count."""
    vote_for_all(alliance)
    before = alliance.state.super_nodes()
    run_epoch(alliance, kit)
    assert before == alliance.state.super_nodes()


def test_a_late_acknowledgement_counts(alliance, kit) -> None:
    """One master of the epoch that brings it is enough, even the last."""
    vote_for_all(alliance)
    before = alliance.state.super_nodes()
    run_epoch(alliance, kit, late=True)
    assert before == alliance.state.super_nodes()


def test_what_is_counted(alliance, kit) -> None:
    """Heights with transactions that a window of masters follows; each once for each super node."""
    assert 4 == counted_until(alliance.state)
    alliance.commit(alliance.sign("health", VOTE))
    alliance.commit()
    alliance.commit(
        alliance.sign("health", VOTE),
        erasures=(alliance.erasure("energy", 1), alliance.erasure("energy", 2)),
    )
    key = kit.key("energy node").public
    assert (2, (StandingEntry(key, 1, 0),)) == (
        alliance.state.standing.owed,
        alliance.state.standing.entries,
    )
    again = alliance.erasure("energy", 1, round=1)
    alliance.commit(alliance.sign("health", VOTE), erasures=(again,))
    assert (3, 1) == (alliance.state.standing.owed, alliance.state.standing.entries[0].acknowledged)
    alliance.commit(alliance.sign("health", VOTE), erasures=(alliance.erasure("health", 4),))
    standing = alliance.state.standing
    assert 3 == standing.owed, "height 5 is too near to the epoch's end"
    assert 2 == len(standing.entries)


def test_nothing_counts_early_or_for_too_little(alliance, kit) -> None:
    """One height is no ground to send anybody away; two are, once their time is over."""
    alliance.commit(alliance.sign("health", VOTE))
    while alliance.state.height < 7:
        alliance.commit()
    assert frozenset() == sitting_out(alliance.state)
    vote_for_all(alliance)
    before = alliance.state.super_nodes()
    start = alliance.state.height
    for number in range(4):
        alliance.commit(*[alliance.sign("health", VOTE)][number < 2 :])
        assert frozenset() == sitting_out(alliance.state)
    alliance.commit()
    assert frozenset() == sitting_out(alliance.state)
    alliance.commit()
    assert start + 6 == alliance.state.height
    assert frozenset(before) == sitting_out(alliance.state)
    assert before == elect(alliance.state), "too few are left: standing is left out of account"
    assert not is_election_pending(alliance.state)
