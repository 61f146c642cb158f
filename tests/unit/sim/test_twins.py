"""Scripts of twins: all there are, and what they make happen."""

import pytest

from hansa.sim import twins
from hansa.sim.remembered import remembered


def test_there_are_4096_scripts_of_two_rounds() -> None:
    """Each different, each found again by its name."""
    names = {script.name for script in twins.all_scripts()}
    assert 4_096 == len(names)
    assert all(name == twins.decode_name(name).name for name in names)


def test_some_are_drawn_from_a_seed() -> None:
    """Longer ones too; the same seed draws the same."""
    some = list(twins.some_scripts(50, 3, 1))
    assert 50 == len(set(some))
    assert some == list(twins.some_scripts(50, 3, 1))
    assert {3} == {len(script.rounds) for script in some}


@pytest.mark.parametrize("name", ["4:0000", "0:000", "x", "0-0000"])
def test_other_names_name_nothing(name: str) -> None:
    """They are refused, not guessed."""
    with pytest.raises(ValueError, match=r".*"):
        twins.decode_name(name)


def test_scripts_are_played() -> None:
    """The twin as master splits the others; a script of isolation costs rounds; nothing forks."""
    with remembered():
        for name, rounds in (("0:0000,0:0000", {0, 1, 2}), ("1:1011,0:0110", {0, 1, 2})):
            outcome = twins.play(twins.decode_name(name))
            assert () == outcome.violations
            assert outcome.rounds in rounds
