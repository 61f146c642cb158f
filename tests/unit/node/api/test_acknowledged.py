"""Who acknowledged: remembered, read from blocks, or no longer kept; never wrongly called missing."""

from hansa.chain.transactions import VoteSuperNodes
from hansa.node.api.acknowledged import acknowledged, erasure_views
from tests.unit.chain.conftest import NAMES, PARAMETERS, Alliance, key, make_genesis

SET = NAMES[:4]
EPOCH, LIFETIME = PARAMETERS.epoch_blocks, PARAMETERS.transaction_lifetime_heights


def node(name: str) -> bytes:
    """Return an organisation's node key."""
    return key(f"{name} node").public


def played(heights: int) -> Alliance:
    """Return an alliance whose first block two acknowledge in the third, and one in the ninth."""
    alliance = Alliance(make_genesis())
    alliance.act("health", VoteSuperNodes(("energy",)))
    alliance.commit()
    alliance.commit(erasures=tuple(alliance.erasure(name, 1) for name in SET[:2]))
    while alliance.state.height < heights:
        late = alliance.state.height + 1 == EPOCH + 1
        alliance.commit(erasures=(alliance.erasure(SET[2], 1),) if late else ())
    return alliance


def told(alliance: Alliance, lost: range = range(0)):
    """Return what a node knows that has lost the blocks of some heights."""

    def block_at(height: int):
        return None if height in lost or height < 1 else alliance.blocks[height - 1]

    found = acknowledged(alliance.state, alliance.blocks[0], block_at)
    names = {node(name): name for name in NAMES}
    return found, [
        (view.organisation, view.recorded_at, view.recorded_ms > 0)
        for view in erasure_views(found, 1, names, block_at)
    ]


def test_while_the_state_remembers() -> None:
    """No block is needed for who; for when, the one that says so."""
    alliance = played(EPOCH + 2)
    found, views = told(alliance, lost=range(2, 3))
    assert [(SET[0], 3, True), (SET[1], 3, True), (SET[2], EPOCH + 1, True)] == views
    assert ((node(SET[3]),), True, 2 * EPOCH) == (found.wanting, found.is_kept, found.last_height)
    _, views = told(alliance, lost=range(2, 4))
    assert (SET[0], 3, False) == views[0]


def test_when_the_state_has_forgotten() -> None:
    """The blocks say the same; before, everybody would have been called missing."""
    alliance = played(LIFETIME + 1)
    assert () == alliance.state.erasures(1)
    before, now = told(played(LIFETIME)), told(alliance)
    assert 3 == len(before[1])
    assert before == now
    # One block past the last that may carry an acknowledgement is not looked at.
    assert now == told(alliance, lost=range(2 * EPOCH + 1, LIFETIME + 2))


def test_what_was_pruned() -> None:
    """With a block gone nobody is missing, what is left is told; if all are found, it is complete."""
    alliance = played(LIFETIME + 1)
    found, views = told(alliance, lost=range(2, 5))
    assert [(SET[2], EPOCH + 1, True)] == views
    assert ((), False) == (found.wanting, found.is_kept)
    complete = played(4)
    complete.commit(erasures=tuple(complete.erasure(name, 1) for name in SET[2:]))
    while complete.state.height <= LIFETIME:
        complete.commit()
    found, views = told(complete, lost=range(6, LIFETIME + 2))
    assert (4, (), True) == (len(views), found.wanting, found.is_kept)


def test_a_failed_round_is_no_acknowledgement_of_the_block() -> None:
    """Who erased a failed round's copies still owes the committed one's."""
    alliance = Alliance(make_genesis())
    alliance.act("health", VoteSuperNodes(("energy",)))
    failed = alliance.erasure(SET[0], 1, outcome="failed", digest=bytes(32))
    alliance.commit(erasures=(failed,))
    found, views = told(alliance)
    assert [(SET[0], 2, True)] == views
    assert node(SET[0]) in found.wanting
