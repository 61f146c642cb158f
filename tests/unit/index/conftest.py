"""What the index's tests share: made datasets and a naive scan to compare with."""

import runpy
from pathlib import Path
from types import SimpleNamespace

import pytest


@pytest.fixture(scope="session")
def made() -> SimpleNamespace:
    """Give make_record, dataset_id, scan, draw_question and the units of making.py."""
    return SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("making.py"))))
