"""Pre-flight: what a vote or a suspension would cost, as one node sees the others."""

import msgspec
import pytest

from hansa.chain import records
from hansa.chain.transactions import VoteSuperNodes
from hansa.errors import MissingError
from hansa.node import preflight
from tests.unit.chain.conftest import NAMES, Alliance, key, make_genesis

ALL = frozenset(key(f"{name} node").public for name in NAMES)
SITTING, OTHERS = NAMES[:4], NAMES[4:]


def without(*names: str) -> frozenset[bytes]:
    """Return who is reached when some are not."""
    return ALL - {key(f"{name} node").public for name in names}


def voted(*candidates: str) -> Alliance:
    """Return an alliance of which five have voted for the same, energy not yet."""
    alliance = Alliance(make_genesis())
    alliance.commit(*(alliance.sign(name, VoteSuperNodes(candidates)) for name in NAMES[1:]))
    return alliance


def test_a_suspension_with_all_nodes_up() -> None:
    """One of four may go; who would decide next stays as it is."""
    state = Alliance(make_genesis()).state
    found = preflight.suspending(state, "energy", ALL)
    assert ((), state.super_nodes()) == (found.objections, found.deciding)
    with pytest.raises(MissingError):
        preflight.suspending(state, "water", ALL)


def test_a_suspension_while_another_is_down() -> None:
    """The chain would allow it; two of four that are up would decide nothing."""
    state = Alliance(make_genesis()).state
    (objection,) = preflight.suspending(state, "energy", without("health")).objections
    assert "2 would be left and 3 are needed" in objection
    assert "energy (suspended), health (not reached)" in objection
    assert not preflight.suspending(state, OTHERS[0], without("health")).objections


def test_a_vote_for_who_is_down() -> None:
    """The vote that elects two silent nodes is objected to, by name; with one it is not."""
    new = ("health", "planning", *OTHERS)
    state = voted(*new).state
    assert not preflight.voting(state, "energy", new, without("safety")).objections
    assert not preflight.voting(state, "energy", new, without(*OTHERS)).objections, (
        "elected already"
    )
    alliance = Alliance(make_genesis())
    alliance.act("health", VoteSuperNodes(NAMES))
    assert not preflight.voting(alliance.state, "energy", SITTING, without(*OTHERS)).objections
    assert not preflight.voting(alliance.state, "energy", OTHERS, without(OTHERS[0])).objections
    found = preflight.voting(alliance.state, "energy", OTHERS, without(*OTHERS))
    (objection,) = found.objections
    assert "safety (not reached), transport (not reached)" in objection
    assert (4, ALL - without(*OTHERS)) == (
        len(found.deciding),
        set(found.deciding) - {key(f"{name} node").public for name in SITTING},
    )
    with pytest.raises(MissingError):
        preflight.voting(alliance.state, "energy", ("water",), ALL)


def test_withdrawing_a_vote() -> None:
    """Withdrawn as if it had never been; of who never voted nothing changes."""
    state = voted(*SITTING).state
    assert state.super_nodes() == preflight.voting(state, "health", (), without()).deciding
    assert not preflight.voting(state, "energy", (), without(*SITTING)).objections


def test_a_liar_in_the_set() -> None:
    """A node that was proved to lie counts as wanting."""
    alliance = Alliance(make_genesis())
    target = alliance.state.organisation("planning")
    expelled = msgspec.structs.replace(target, expelled_height=1)
    pairs = alliance.state.pairs.updated(
        [(records.organisation_key("planning"), msgspec.msgpack.encode(expelled))], {}
    )
    state = type(alliance.state)(alliance.genesis, alliance.state.alliance, pairs)
    (objection,) = preflight.suspending(state, "energy", ALL).objections
    assert "energy (suspended), planning (expelled)" in objection
