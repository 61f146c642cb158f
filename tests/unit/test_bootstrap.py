"""Tests of bootstrap: folders are made whole, and opened only if they are what they must be."""

import contextlib
import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "e2e"))

from local_alliance import LocalAlliance

from hansa import bootstrap
from hansa.bootstrap import (
    build_node,
    main,
    run_node,
)
from hansa.codec import encode
from hansa.crypto.signing import SigningKey
from hansa.errors import ConflictError, DeniedError, InvalidError, MissingError
from hansa.node.folder import NewNode, install_genesis, prepare_node_folder
from hansa.node.server import make_context
from hansa.system import SystemEntropy

NODE = NewNode(
    organisation="transport",
    title="Transport",
    admin_name="Ada",
    admin_key=SigningKey(b"a" * 32).public,
    admin_encryption_key=b"e" * 32,
    directory_key=b"d" * 32,
    peer="127.0.0.1:0",
    api="127.0.0.1:0",
)


def open_once(folder: Path) -> None:
    """Open a node's folder and close it again."""
    with contextlib.ExitStack() as closing:
        build_node(folder, closing)


def test_opens_and_closes(tmp_path: Path) -> None:
    """A folder can be opened again after it was closed, and only once at a time."""
    folder = LocalAlliance.create(tmp_path, 1, super_nodes=1).members[0].folder
    open_once(folder)
    open_once(folder)
    with contextlib.ExitStack() as closing:
        build_node(folder, closing)
        with pytest.raises(ConflictError, match="Another node"):
            open_once(folder)


def test_refuses_what_is_wrong(tmp_path: Path, capsys) -> None:
    """Each thing that is missing or of another node is told, with an exit code."""
    one, two = LocalAlliance.create(tmp_path, 2, super_nodes=1).members
    with pytest.raises(MissingError, match="no node folder"):
        open_once(tmp_path)
    genesis = (one.folder / "genesis.hansa").read_bytes()
    (one.folder / "genesis.hansa").unlink()
    with pytest.raises(MissingError, match=r"genesis\.hansa"):
        open_once(one.folder)
    (one.folder / "genesis.hansa").write_bytes(genesis)
    own = (one.folder / "node.key").read_bytes()
    (one.folder / "node.key").write_bytes((two.folder / "node.key").read_bytes())
    with pytest.raises(InvalidError, match="another node key"):
        open_once(one.folder)
    (one.folder / "node.key").write_bytes(own)
    (one.folder / "node.key").chmod(0o644)
    assert main(str(one.folder)) != 0
    assert "Error:" in capsys.readouterr().err
    (one.folder / "node.key").chmod(0o600)
    open_once(one.folder)


def test_passphrase(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A protected key opens with its passphrase only; without one the message says what to do."""
    folder = tmp_path / "node"
    node = dataclasses.replace(NODE, organisation="health")
    prepare_node_folder(folder, node, entropy=SystemEntropy(), passphrase=b"correct horse")
    alliance = LocalAlliance.create(tmp_path / "a", 1, super_nodes=1)
    install_genesis(folder, encode(alliance.genesis))
    for given in (None, "wrong horse"):
        monkeypatch.delenv("HANSA_PASSPHRASE", raising=False)
        if given:
            monkeypatch.setenv("HANSA_PASSPHRASE", given)
        with pytest.raises(DeniedError) as caught:
            open_once(folder)
        assert caught.value.remedy
    monkeypatch.setenv("HANSA_PASSPHRASE", "correct horse")
    open_once(folder)
    make_context(folder / "certificate.pem", folder / "node.key", b"correct horse")


def test_refuses_without_asserts(tmp_path: Path) -> None:
    """Under python -O the safety checks would be off: the node does not run."""
    assert callable(run_node)
    done = subprocess.run(
        [sys.executable, "-O", "-m", "hansa.bootstrap", str(tmp_path)],
        capture_output=True,
        check=False,
        env={"PYTHONPATH": str(Path(__file__).parents[2] / "src"), "PATH": "/usr/bin:/bin"},
    )
    assert done.returncode == InvalidError.exit_code
    assert b"python -O" in done.stderr


def test_a_failure_is_said_with_its_remedy(monkeypatch, capsys) -> None:
    """The message, what to do if there is something, and the exit code of its kind."""
    for remedy, expected in (
        ("Do this.", "Error: It is gone.\n  Do this.\n"),
        ("", "Error: It is gone.\n"),
    ):

        def fail(_folder, remedy=remedy):
            raise MissingError("It is gone.", remedy=remedy)

        monkeypatch.setattr(bootstrap, "run_node", fail)
        assert MissingError.exit_code == bootstrap.main("nowhere")
        assert expected == capsys.readouterr().err


def test_a_node_that_answers_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line on standard error, for whoever started it by hand."""

    class Listening:
        async def run(self) -> None:
            self.on_listening(bootstrap.ReadyRecord(1, "water", 7400, 7401))

    monkeypatch.setattr(bootstrap, "harden", lambda: None)
    monkeypatch.setattr(bootstrap, "build_node", lambda *_: Listening())
    assert bootstrap.run_node(tmp_path) == 0
    told = capsys.readouterr().err
    assert told.startswith("ready: node of water, listening on port 7400")
    assert told.count("\n") == 1
