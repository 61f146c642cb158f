"""The quiet world that scripts play in."""

from hansa.sim.scene import Scene


def test_a_scene_without_a_script_decides_in_round_0() -> None:
    """And two more heights after it."""
    scene = Scene(confidential=True)
    scene.start()
    scene.hand_to_all()
    scene.demand(2)
    outcome = scene.outcome("none")
    assert ((), 0, "none") == (outcome.violations, outcome.rounds, outcome.name)
    assert 3 == len(scene.asked)


def test_what_does_not_come_is_a_violation() -> None:
    """A demand that is not met says which."""
    scene = Scene()
    scene.start()
    scene.world.drops = lambda *_: True
    scene.hand_to_all()
    scene.demand(0)
    (text,) = scene.outcome("cut").violations
    assert text.startswith("no progress after the script")
    assert -1 == scene.outcome("cut").rounds
