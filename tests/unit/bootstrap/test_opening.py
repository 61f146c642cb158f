"""Tests of bootstrap.opening: a ledger whose parts contradict each other, another's key, a folder in use."""

import contextlib
import shutil
import sys
from pathlib import Path

import msgspec
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "node"))

from live_node import LocalAlliance, run_in_process

from hansa.bootstrap.opening import (
    check_identity,
    migrate_store,
    open_index_files,
    open_ledger,
    open_nodes_index_files,
    read_genesis,
)
from hansa.errors import ConflictError, CorruptError, InvalidError, MissingError
from hansa.ledger.lock import FolderLock
from hansa.node.config import IndexSection, Listen, NodeConfig
from hansa.storage.memory import MemoryStore
from hansa.system import SystemEntropy
from hansa.types import OrganisationName, PublicKey


async def test_a_state_of_other_blocks(tmp_path: Path) -> None:
    """A state that is further than the blocks beside it is not opened."""
    alliance = LocalAlliance.create(tmp_path, 1, super_nodes=1)
    ledger, early = alliance.members[0].folder / "ledger", tmp_path / "early"

    async def two_more() -> None:
        async with run_in_process(alliance) as live:
            for _ in range(2):
                await live.submit()

    await two_more()
    shutil.copytree(ledger, early)
    await two_more()
    with contextlib.ExitStack() as closing:
        found, state = open_ledger(ledger, alliance.genesis, closing)
        assert found.height() == state.height > 2
    shutil.copy(ledger / "state.mdb", early / "state.mdb")
    with contextlib.ExitStack() as closing, pytest.raises(CorruptError):
        open_ledger(early, alliance.genesis, closing)


def test_whose_node_this_is(tmp_path: Path) -> None:
    """The genesis names a founder's key; of a later member it says nothing."""
    genesis = LocalAlliance.create(tmp_path, 1, super_nodes=1).genesis
    founder = genesis.organisations[0]
    check_identity(genesis, founder.name, founder.node_key)
    check_identity(genesis, OrganisationName("latecomer"), PublicKey(b"k" * 32))
    with pytest.raises(InvalidError, match="another node key"):
        check_identity(genesis, founder.name, PublicKey(b"k" * 32))


def test_the_genesis_is_needed(tmp_path: Path) -> None:
    """Its bytes, or what to do."""
    folder = LocalAlliance.create(tmp_path, 1, super_nodes=1).members[0].folder
    assert read_genesis(folder) == (folder / "genesis.hansa").read_bytes()
    with pytest.raises(MissingError, match=r"genesis\.hansa") as caught:
        read_genesis(tmp_path)
    assert "hansa alliance init" in caught.value.remedy


def test_a_store_in_use_does_not_move(tmp_path: Path) -> None:
    """While the node runs, its store stays where it is."""
    folder = LocalAlliance.create(tmp_path, 1, super_nodes=1).members[0].folder
    with FolderLock(folder), pytest.raises(ConflictError, match="Another node"):
        migrate_store(folder, f"file:{tmp_path / 'elsewhere'}", lambda *_: None)
    assert not (tmp_path / "elsewhere").exists()


def test_index_files(tmp_path: Path) -> None:
    """A folder that is not there is made."""
    open_index_files(tmp_path / "index")
    assert (tmp_path / "index").is_dir()


def test_where_a_nodes_index_lies(tmp_path: Path) -> None:
    """In the store if its settings say so; once they say otherwise, nothing of it stays there."""
    config = NodeConfig(organisation="transport", listen=Listen(peer="a:1", api="a:2"))
    in_store = msgspec.structs.replace(config, index=IndexSection(place="store"))
    store, entropy = MemoryStore(), SystemEntropy()
    open_nodes_index_files(in_store, tmp_path, store, entropy).write("base-1", [b"contents"])
    assert [name[:6] for name in store.objects] == ["index/"]
    again = open_nodes_index_files(in_store, tmp_path, store, entropy)
    assert b"contents" == again.open("base-1").read(0, 8)
    files = open_nodes_index_files(config, tmp_path, store, entropy)
    assert not store.objects
    files.write("base-1", [b"contents"])
    assert b"contents" == (tmp_path / "index" / "base-1").read_bytes()
