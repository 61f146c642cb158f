"""The second half's checks fail where the claim is false: served without a grant, words in clear."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from hansa.cli.story import sharing_steps
from hansa.cli.story.stage import MARKER, ORGANISATIONS
from hansa.errors import DeniedError
from tests.unit.cli.conftest import ID, committed, detail, erasure
from tests.unit.cli.story.kit import held, make_stage


async def test_refused_holds_on_denial_only(tmp_path: Path) -> None:
    """A node that serves without a grant fails the demo; so does a file that was written."""
    stage = make_stage(tmp_path, {"fetch": DeniedError("No grant.")})
    stage.datasets["copy"] = ID
    await sharing_steps.refused(stage)
    assert stage.checks.all_held

    served = make_stage(tmp_path, {"fetch": SimpleNamespace()})
    served.datasets["copy"] = ID
    (tmp_path / "refused").mkdir()
    (tmp_path / "refused" / "x.csv").write_text("x")
    await sharing_steps.refused(served)
    assert not any(check.held for check in served.checks.made)


async def test_shared_compares_the_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file with one byte changed is not identical; a purpose nobody can read is told."""
    monkeypatch.setattr(sharing_steps, "NOTE_S_MAX", 0.05)
    monkeypatch.setattr(sharing_steps, "POLL_S", 0.01)
    (tmp_path / "sunshine-copy.csv").write_bytes(b"same")
    for content, opened, fine in (
        (b"same", True, True),
        (b"samf", True, False),
        (b"same", False, False),
    ):
        (tmp_path / "got.csv").write_bytes(content)
        request = SimpleNamespace(
            view=SimpleNamespace(id=ID, purpose="other"),
            justification=f"Compare with the {MARKER}" if opened else "",
        )
        stage = make_stage(
            tmp_path,
            {
                "request_access": SimpleNamespace(request=bytes.fromhex(ID), status=committed()),
                "list_requests": [request],
                "grant_access": SimpleNamespace(status=committed()),
                "fetch": SimpleNamespace(files=(tmp_path / "got.csv",), bytes=4),
            },
        )
        stage.datasets["copy"] = ID
        await sharing_steps.shared(stage)
        assert stage.checks.all_held is fine


async def test_erasures_need_a_quorum_on_the_chain(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two acknowledgements, or three of which one is in no block yet, are too few."""
    monkeypatch.setattr(sharing_steps, "RECEIPTS_S_MAX", 0.05)
    monkeypatch.setattr(sharing_steps, "POLL_S", 0.01)
    for recorded, copies, fine in (
        ([8, 8, 8], 0, True),
        ([8, 8, 0], 0, False),
        ([8, 8, 8], 1, False),
    ):
        erasures = [erasure(name, height) for name, height in zip("abc", recorded, strict=True)]
        stage = make_stage(
            tmp_path,
            {
                "/v1/transactions/t/detail": detail(erasures=erasures),
                "status": SimpleNamespace(copies_held=copies),
            },
        )
        stage.transactions = ["t"]
        await sharing_steps.copies_erased(stage)
        assert stage.checks.all_held is fine


async def test_planted_words_are_found_in_any_file(tmp_path: Path) -> None:
    """One file of one node is enough; files are named."""
    stage = make_stage(tmp_path, {})
    for name in ORGANISATIONS:
        (tmp_path / name / "log").mkdir(parents=True)
        (tmp_path / name / "log" / "node.log").write_text("nothing here")
    await sharing_steps.nothing_in_clear(stage)
    assert stage.checks.all_held

    leak = tmp_path / "energy" / "log" / "leak"
    leak.write_bytes(b"\x00" + MARKER.encode() + b"\x00")
    leaking = make_stage(tmp_path, {})
    await sharing_steps.nothing_in_clear(leaking)
    assert not leaking.checks.all_held
    assert str(leak) in leaking.checks.made[0].measured

    leak.unlink()
    block = tmp_path / "hdfs" / "datanode-0" / "blk_1"
    block.parent.mkdir(parents=True)
    block.write_bytes(MARKER.encode())
    on_hdfs = make_stage(tmp_path, {})
    on_hdfs.alliance.hdfs = SimpleNamespace(folder=tmp_path / "hdfs")
    await sharing_steps.nothing_in_clear(on_hdfs)
    assert str(block) in on_hdfs.checks.made[0].measured


async def test_a_search_of_no_file_proves_nothing(tmp_path: Path) -> None:
    """Empty folders do not hold the claim."""
    stage = make_stage(tmp_path, {})
    await sharing_steps.nothing_in_clear(stage)
    assert held(stage) == {"the words are in no node's folder, store or log": False}
