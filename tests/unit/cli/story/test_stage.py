"""The stage: who plays, and what the operating system says of a node that does not run."""

from pathlib import Path

from hansa.cli.story.stage import MARKER, ORGANISATIONS, SUPER_NODES
from tests.unit.cli.story.kit import make_stage


def test_six_organisations_four_seats() -> None:
    """Enough for one fault, and two that are no super nodes."""
    assert len(ORGANISATIONS) == 6
    assert SUPER_NODES == 4
    assert len(MARKER) > 20, "found by chance nowhere"


async def test_status_is_the_named_node_s(tmp_path: Path) -> None:
    """One client each."""
    stage = make_stage(tmp_path, {"status": "told"})
    assert await stage.status("health") == "told"


def test_a_node_that_does_not_run(tmp_path: Path) -> None:
    """No process, no figure: the demo then claims nothing of it."""
    stage = make_stage(tmp_path, {})
    (tmp_path / "health").mkdir()
    assert stage.process("health") is None
    assert stage.files_read("health") is None
