"""Tests of bootstrap.building: a folder is opened only if it is what it must be, by one node at a time."""

import contextlib
import dataclasses
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "node"))

from live_node import LocalAlliance
from new_node import NODE

from hansa.bootstrap.building import build_node
from hansa.bootstrap.running import main
from hansa.codec import encode
from hansa.errors import ConflictError, DeniedError, InvalidError, MissingError
from hansa.node.folder import install_genesis, prepare_node_folder
from hansa.node.server import make_context
from hansa.system import SystemEntropy


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
