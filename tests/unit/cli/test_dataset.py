"""`hansa dataset`: what a publisher and a reader type, and the keys programs rely on."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hansa import rest
from hansa.cli.acting import Acting
from hansa.cli.values import FROM, TO
from hansa.errors import DeniedError
from tests.unit.cli.conftest import ID, TX, Desk, committed, pending


def _published(**more: Any) -> SimpleNamespace:
    values = {
        "dataset": bytes.fromhex(ID), "version": 1, "files": 2, "chunks": 5, "duplicates": 1,
        "bytes_in": 4096, "bytes_stored": 1536, "duplicate_bytes": 700, "status": committed(),
    }  # fmt: skip
    return SimpleNamespace(**(values | more))


def _view(**more: Any) -> rest.DatasetView:
    version = rest.VersionView(
        number=1, manifest_root="aa" * 32, content_bytes=2048, stored_bytes=900, files=1, chunks=1,
        height=4, time_ms=1_000, transaction=TX,
    )  # fmt: skip
    values: dict[str, Any] = {
        "id": ID, "owner": "transport", "status": "active", "title": "Stops", "description": "",
        "keywords": ["bus"], "themes": ["transport"], "place": "Oakland", "bbox": None,
        "from_ms": None, "to_ms": 1_000, "licence": "CC0", "formats": ["csv"], "columns": [],
        "rhythm": "daily", "column_types": [],
        "cluster": "c1", "versions": [version], "undecided": "ask", "owner_users": [],
    }  # fmt: skip
    return rest.DatasetView(**(values | more))


def _answer(*matches: rest.Match, read: bool = False) -> rest.Answer:
    told = rest.Explanation(
        clusters=0, clusters_refused=0, refusals=[], refused_by="", pages_read=0, rows_read=0,
        bytes_read=0, discriminant_us=1, cluster_us=1, data_us=1,
    )  # fmt: skip
    return rest.Answer(
        height=9, total=len(matches), matches=list(matches), facets={}, read_from_disk=read,
        explanation=told,
    )  # fmt: skip


MATCH = rest.Match(
    id=ID, version=1, title="Stops", owner="transport", score=3, themes=["transport"],
    formats=["csv"], place="Oakland",
)  # fmt: skip


def test_publish_prints_ids_and_bytes(desk: Desk) -> None:
    """Dataset, transaction, bytes in, bytes stored; all texts reach the client."""
    desk.answers["publish"] = _published()
    told = desk.json(
        "dataset", "publish", "a.csv", "b/", "--title", "T", "--description", "D", "--keyword", "k1",
        "--keyword", "k2", "--theme", "t", "--place", "P", "--bbox=-1,2,3,4", "--from",
        "2026-01-01", "--to", "2026-01-02", "--licence", "CC0", "--rhythm", "daily",
    )  # fmt: skip
    assert told["dataset"] == ID
    assert told["transaction"] == TX
    assert (told["bytes_in"], told["bytes_stored"]) == (4096, 1536)
    _, args, named = desk.client.calls[0]
    assert args == (("a.csv", "b/"),)
    named.pop("progress")
    assert named == {
        "dataset": None, "wait": True, "title": "T", "description": "D", "keywords": ("k1", "k2"),
        "themes": ("t",), "place": "P", "bbox": [-1.0, 2.0, 3.0, 4.0],
        "from_ms": FROM.convert("2026-01-01", None, None),
        "to_ms": TO.convert("2026-01-02", None, None), "licence": "CC0", "name": None,
        "columns": False, "follow_links": False, "rhythm": "daily",
    }  # fmt: skip


def test_publish_for_people(desk: Desk) -> None:
    """Sizes read well; what nobody waited for says how to see its end."""
    desk.answers["publish"] = _published(status=pending())
    text = desk("dataset", "publish", "a", "--title", "T", "--no-wait").stdout
    assert "4.0 KiB" in text
    assert "1.5 KiB" in text
    assert f"hansa tx show {TX}" in text


def test_a_new_dataset_needs_a_title_a_version_none(desk: Desk) -> None:
    """--title or --dataset."""
    desk.answers["publish"] = _published(version=2)
    refused = desk("dataset", "publish", "a.csv")
    assert refused.exit_code == 2
    assert "--title" in refused.stderr
    assert desk.client.calls == []
    assert desk.json("dataset", "publish", "a.csv", "--dataset", ID)["version"] == 2
    assert desk.client.calls[0][2]["dataset"] == bytes.fromhex(ID)


def test_find(desk: Desk) -> None:
    """Matches with ids, and whether anything was read from disk; phrases stay together."""
    desk.answers["/v1/questions"] = _answer(MATCH, read=True)
    told = desk.json("dataset", "find", "bus", "night line", "--theme", "transport", "--like", ID)
    assert told["matches"][0]["id"] == ID
    assert told["read_from_disk"] is True
    question = desk.client.calls[0][1][0]
    assert (question.words, question.theme, question.like) == ('bus "night line"', "transport", ID)
    text = desk("dataset", "find", "bus").stdout
    assert ID in text
    assert "1 found at height 9; the disk was read." in text
    desk.answers["/v1/questions"] = _answer()
    assert "nothing was read from disk" in desk("dataset", "find", "volcano").stdout


def test_show_and_ls(desk: Desk) -> None:
    """One dataset by its fields, many as a table; a retired list must be asked for."""
    desk.answers |= {f"/v1/datasets/{ID}": _view(), "/v1/datasets": [_view()]}
    text = desk("dataset", "show", ID).stdout
    assert "Oakland" in text
    assert TX in text
    assert "2.0 KiB" in text
    assert "daily" in text
    view = _view(columns=["id", "note"], column_types=["integer", ""])
    desk.answers[f"/v1/datasets/{ID}"] = view
    assert "id (integer)" in desk("dataset", "show", ID).stdout
    assert desk.json("dataset", "show", ID)["versions"][0]["transaction"] == TX
    assert ID in desk("dataset", "ls", "--organisation", "transport", "--retired").stdout
    query = {"organisation": "transport", "retired": "true"}
    assert desk.client.calls[-1][1] == (query,)
    assert desk.json("dataset", "ls")[0]["id"] == ID
    desk.answers["/v1/datasets"] = []
    assert desk("dataset", "ls").stdout == "no datasets\n"


def test_titles_of_others_cannot_steer_the_terminal(desk: Desk) -> None:
    """An escape sequence in a title is not passed on."""
    desk.answers["/v1/datasets"] = [_view(title="\x1b[2Jgone")]
    assert "\x1b" not in desk("dataset", "ls").stdout


def test_get_tells_files(desk: Desk, tmp_path: Path) -> None:
    """The files under their names, what was fetched now, that all was verified."""
    desk.answers["fetch"] = SimpleNamespace(
        version=2, files=(tmp_path / "x.csv",), bytes=2048, bytes_fetched=512
    )
    told = desk.json("dataset", "get", ID, "--output", tmp_path, "--version", "2", "--overwrite")
    assert told == {
        "dataset": ID, "version": 2, "files": [str(tmp_path / "x.csv")], "bytes": 2048,
        "bytes_fetched": 512, "verified": True,
    }  # fmt: skip
    _, args, named = desk.client.calls[0]
    assert args == (bytes.fromhex(ID), tmp_path)
    assert (named["version"], named["overwrite"]) == (2, True)
    assert "every file verified" in desk("dataset", "get", ID, "-o", tmp_path).stdout


def test_get_without_a_grant(desk: Desk, tmp_path: Path) -> None:
    """Exit code 4 and the reason."""
    desk.answers["fetch"] = DeniedError("Not granted.", remedy="Ask for it.")
    done = desk("dataset", "get", ID, "-o", tmp_path)
    assert done.exit_code == 4
    assert "Ask for it." in done.stderr


def test_get_on_a_full_disk(desk: Desk, tmp_path: Path) -> None:
    """What the disk refuses has its own code and says what to do."""
    desk.answers["fetch"] = OSError(28, "No space left on device", str(tmp_path))
    done = desk("dataset", "get", ID, "-o", tmp_path, "--json")
    assert done.exit_code == 7
    assert '"error":"disk-full"' in done.stderr


def test_an_interrupted_get_goes_on(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C says that nothing is lost."""

    def interrupted(_self: Acting, _call: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Acting, "run", interrupted)
    done = desk("dataset", "get", ID, "-o", tmp_path)
    assert done.exit_code == 130
    assert "the same command goes on" in done.stderr


def test_retire(desk: Desk) -> None:
    """By its id; waits unless told not to."""
    desk.answers["retire"] = committed()
    assert desk.json("dataset", "retire", ID)["dataset"] == ID
    assert desk.client.calls[0][1:] == ((bytes.fromhex(ID),), {"wait": True})
