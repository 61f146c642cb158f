"""Tests of consensus.progress: the votes of the present round, and of no other."""

from hansa.consensus.progress import measure
from hansa.consensus.rounds import HeightState
from hansa.consensus.schedule import Absence
from hansa.types import Height, PublicKey, Round

KEYS = tuple(PublicKey(bytes([number]) * 32) for number in range(4))
ABSENT = Absence(KEYS[1], Height(1), Height(4), is_heard=False)


def test_a_fresh_height() -> None:
    """Nothing was heard yet; a state that is looked at is not touched by it."""
    height = HeightState(Height(3), KEYS)
    found = measure(
        height,
        master=KEYS[2],
        is_super_node=True,
        is_synced=False,
        expects_block=False,
        absent=(ABSENT,),
        waiting_transactions=4,
        unsettled_submissions=5,
    )
    assert (3, 0, "propose", -1) == (found.height, found.round, found.step, found.locked_round)
    assert (frozenset(), frozenset(), False) == (
        found.reviewed,
        found.confirmed,
        found.has_proposal,
    )
    assert (KEYS, KEYS[2], 4, 5) == (
        found.members,
        found.master,
        found.waiting_transactions,
        found.unsettled_submissions,
    )
    assert (ABSENT,) == found.absent
    assert not height.is_touched


def test_votes_of_the_present_round_only(quiet) -> None:
    """Reviews seen at one node while a block is made; the next round begins without any."""
    quiet.submit(5)
    replica = quiet.world.nodes[0].replica
    seen: set[PublicKey] = set()
    for _ in range(200):
        quiet.world.run_for(1)
        seen |= replica.progress().reviewed
    assert len(seen) >= 3
    assert seen <= set(replica.progress().members)
    height = replica._agreement.height
    height.round = Round(height.round + 1)
    assert frozenset() == replica.progress().reviewed
