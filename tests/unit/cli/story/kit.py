"""A stage without processes: fake clients, checks printed to nowhere."""

import io
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from rich.console import Console

from hansa.cli.story.catalogue import load_sample
from hansa.cli.story.checks import Checks
from hansa.cli.story.stage import ORGANISATIONS, Stage
from tests.unit.cli.conftest import FakeClient


def make_stage(folder: Path, answers: dict[str, Any]) -> Stage:
    """Return a stage whose six clients give the same answers."""
    at_height = SimpleNamespace(index_height=1 << 60, copies_held=0)
    client: Any = FakeClient({"status": at_height} | answers)
    alliance: Any = SimpleNamespace(
        folder=folder, node_folder=lambda name: folder / name, views=list, hdfs=None
    )
    return Stage(
        alliance=alliance,
        clients=dict.fromkeys(ORGANISATIONS, client),
        checks=Checks(Console(file=io.StringIO())),
        scratch=folder,
        sample=load_sample(),
    )


def held(stage: Stage) -> dict[str, bool]:
    """Return each claim and whether it held."""
    return {check.claim: check.held for check in stage.checks.made}
