"""How the end of a write is told: ids, sizes, where it stands."""

import pytest

from hansa.cli.acting import Acting
from hansa.cli.waiting import print_settled
from tests.unit.cli.conftest import TX, committed, pending


def test_json_has_ids_and_the_height(capsys: pytest.CaptureFixture[str]) -> None:
    """A program gets numbers as numbers; a height only if there is a block."""
    acting = Acting(None, as_json=True)
    print_settled(acting, committed(3), dataset="d", bytes_in=5)
    told = capsys.readouterr().out
    assert '"bytes_in": 5' in told
    assert '"height": 3' in told
    print_settled(acting, pending())
    assert "height" not in capsys.readouterr().out


def test_text_has_sizes_and_what_is_next(capsys: pytest.CaptureFixture[str]) -> None:
    """A person reads sizes, the block, or how to follow what was only sent."""
    acting = Acting(None, as_json=False)
    print_settled(acting, committed(3), bytes_in=2048, files=2048)
    told = capsys.readouterr().out
    assert "bytes in     2.0 KiB" in told
    assert "files        2048" in told
    assert "committed in block 3" in told
    print_settled(acting, pending())
    assert f"hansa tx show {TX}" in capsys.readouterr().out
