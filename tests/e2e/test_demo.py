"""The demo, as `make demo` runs it: every check of the story holds."""

import json
import tempfile
from pathlib import Path

import pytest

from tests.e2e.harness import Shell


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_demo_holds_every_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit code 0, all checks held and written; no process and no folder is left behind."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    tempfile.tempdir = None
    document = tmp_path / "checks.json"
    done = Shell(tmp_path / "home")("demo", "--json", document, timeout=280)
    told = json.loads(document.read_bytes())
    assert done.code == 0, done.out + done.err
    assert told["finished"]
    assert told["all_held"]
    assert len(told["checks"]) >= 30
    assert {check["held"] for check in told["checks"]} == {True}
    assert len({check["step"] for check in told["checks"]}) == 11
    assert [path.name for path in tmp_path.glob("hansa-demo-*")] == []
    tempfile.tempdir = None
