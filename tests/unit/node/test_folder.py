"""Tests of node.folder: a new node's folder is made whole, once, or not at all."""

import dataclasses
from pathlib import Path

import pytest
from live_node import LocalAlliance
from new_node import NODE

from hansa.chain.genesis import validate_genesis
from hansa.codec import encode
from hansa.errors import ConflictError, InvalidError
from hansa.keyfile import certificate_public_key
from hansa.node.folder import install_genesis, prepare_node_folder
from hansa.system import SystemEntropy


def test_new_folder(tmp_path: Path) -> None:
    """Keys are fresh and private, the certificate is of the node's key, nothing is replaced."""
    folder = tmp_path / "node"
    candidate = prepare_node_folder(folder, NODE, entropy=SystemEntropy())
    assert candidate.node_key == certificate_public_key(candidate.certificate)
    assert "https://127.0.0.1:0" == candidate.api_url
    for name in ("node.key", "directory.key"):
        assert (folder / name).stat().st_mode & 0o077 == 0, name
    with pytest.raises(ConflictError, match="holds a node already"):
        prepare_node_folder(folder, NODE, entropy=SystemEntropy())


@pytest.mark.parametrize("field", ["peer", "api"])
def test_bad_address(tmp_path: Path, field: str) -> None:
    """A malformed address makes no folder."""
    with pytest.raises(InvalidError):
        prepare_node_folder(
            tmp_path / "node",
            dataclasses.replace(NODE, **{field: "nowhere"}),
            entropy=SystemEntropy(),
        )
    assert not (tmp_path / "node").exists()


def test_genesis(tmp_path: Path) -> None:
    """The genesis is checked, put once, and never replaced by another."""
    alliance = LocalAlliance.create(tmp_path, 1, super_nodes=1)
    other = LocalAlliance.create(tmp_path / "other", 1, super_nodes=1)
    folder = alliance.members[0].folder
    validate_genesis(install_genesis(folder, encode(alliance.genesis)))
    with pytest.raises(ConflictError, match="another alliance"):
        install_genesis(folder, encode(other.genesis))
    with pytest.raises(InvalidError):
        install_genesis(folder, b"nonsense")
