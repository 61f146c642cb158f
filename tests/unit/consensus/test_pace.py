"""How long a round waits: never longer than the genesis says, never shorter than what was seen."""

from hypothesis import given
from hypothesis import strategies as st

from hansa import limits
from hansa.chain.genesis import Parameters
from hansa.consensus.pace import WAITS_MIN, WINDOWS_KEPT, Pace

PARAMETERS = Parameters(proposal_timeout_ms=2_000, vote_timeout_ms=1_000, timeout_growth_ms=700)
KEPT = WINDOWS_KEPT * PARAMETERS.super_nodes
FLOOR = limits.ROUND_TIMEOUT_MS_MIN


def noted(*waits: int, what: str = "proposal", parameters: Parameters = PARAMETERS) -> Pace:
    """Return the pace after some waits that came to their end."""
    made = Pace(parameters)
    for waited in waits:
        made.begin(what, 1_000)
        made.end(what, 1_000 + waited)
    return made


def test_the_genesis_holds_until_there_is_enough_to_go_by() -> None:
    """One quick master is no reason to be impatient with all."""
    few = noted(*[1] * (WAITS_MIN - 1))
    assert [2_000, 2_700, 3_400] == [few.proposal_timeout(number) for number in range(3)]
    assert [1_000, 1_700] == [few.vote_timeout(number) for number in range(2)]
    assert FLOOR == noted(*[1] * WAITS_MIN).proposal_timeout(0)
    assert FLOOR == noted(*[1] * WAITS_MIN, what="confirms").vote_timeout(0)


def test_twice_the_longest_of_the_last() -> None:
    """The longest is what counts, and only as long as it is among the last."""
    assert 600 == noted(300, 1, 1, 1).proposal_timeout(0)
    assert 600 == noted(*[1] * 20, 300).proposal_timeout(0)
    assert 600 == noted(300, *[150] * (KEPT - 1)).proposal_timeout(0)
    assert 300 == noted(300, *[150] * KEPT).proposal_timeout(0)


def test_who_seldom_waits_for_a_proposal_goes_by_the_votes() -> None:
    """A vote goes one way, a transaction and its proposal go there and back."""
    pace = noted(300, 100, 1, 1, what="reviews")
    assert 1_200 == pace.proposal_timeout(0)
    assert 600 == pace.vote_timeout(0)
    for _ in range(WAITS_MIN):
        pace.begin("proposal", 0)
        pace.end("proposal", 130)
    assert 260 == pace.proposal_timeout(0)


def test_much_to_do_is_given_more_time() -> None:
    """After quiet times, for what waits here; in no round more than the genesis gives."""
    quiet = noted(*[1] * 16)
    assert [200, 201, 1_200, 2_000] == [
        quiet.proposal_timeout(0, work) for work in (0, 1, 1_000, 10**6)
    ]
    assert 2 * quiet.proposal_timeout(0, 100) == quiet.proposal_timeout(1, 100)


def test_a_slow_master_among_fast_ones_is_waited_for() -> None:
    """It is met once in a window; the waits of some windows are kept."""
    pace = Pace(PARAMETERS)
    for turn in range(4 * KEPT):
        pace.begin("proposal", 0)
        pace.end("proposal", 450 if turn % PARAMETERS.super_nodes == 0 else 5)
        if turn >= WAITS_MIN:
            assert 900 == pace.proposal_timeout(0)


def test_a_liar_cannot_make_it_wait_longer_than_the_genesis() -> None:
    """However late a proposal was."""
    assert 2_000 == noted(*[1_000_000] * 16).proposal_timeout(0)


@given(
    waits=st.lists(st.integers(0, 10**7), max_size=40),
    genesis_ms=st.integers(10, 600_000),
    growth_ms=st.integers(0, 600_000),
    number=st.integers(0, limits.ROUND_MAX),
)
def test_bounds(waits: list[int], genesis_ms: int, growth_ms: int, number: int) -> None:
    """Floor and ceiling in round 0, and no round shorter than the one before."""
    parameters = Parameters(proposal_timeout_ms=genesis_ms, timeout_growth_ms=growth_ms)
    made = noted(*waits, parameters=parameters)
    last, first = waits[-KEPT:], made.proposal_timeout(0)
    assert min(FLOOR, genesis_ms) <= first <= genesis_ms
    if len(last) >= WAITS_MIN:
        assert first == min(genesis_ms, max(2 * max(last), FLOOR))
    assert made.proposal_timeout(number) <= made.proposal_timeout(number + 1)
    assert made.proposal_timeout(number) <= genesis_ms + number * growth_ms


def test_later_rounds_reach_the_genesis_and_grow_beyond_every_delay() -> None:
    """Partial synchrony: whatever the delay, some round waits longer."""
    made = noted(*[1] * 16)
    assert [FLOOR, 2 * FLOOR, 4 * FLOOR] == [made.proposal_timeout(number) for number in range(3)]
    for number in (6, 100, limits.ROUND_MAX):
        assert 2_000 + number * 700 == made.proposal_timeout(number)


def test_a_wait_that_goes_on_does_not_begin_anew_and_one_forgotten_says_nothing() -> None:
    """The time runs from the first moment at which something was expected."""
    pace = Pace(PARAMETERS)
    for _ in range(WAITS_MIN):
        pace.begin("reviews", 100)
        pace.begin("reviews", 350)
        pace.end("reviews", 400)
        pace.end("reviews", 10_000)
    assert 600 == pace.vote_timeout(0)
    pace.begin("reviews", 0)
    pace.forget()
    pace.end("reviews", 900)
    assert 600 == pace.vote_timeout(0)
