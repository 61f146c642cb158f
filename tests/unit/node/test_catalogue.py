"""Tests of node.catalogue: index and hash index table follow the chain."""

import os
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest
from live_node import LiveNode, run_in_process

from hansa.chain.blocks import Result
from hansa.chain.transactions import AddUser, RetireDataset
from hansa.errors import DiskFullError, MissingError
from hansa.index.records import IndexChange
from hansa.ledger.block_ledger import BlockLedger
from hansa.node import catalogue
from hansa.node.catalogue import accepted_operations
from hansa.rest import Question, StoreStats
from hansa.types import Height


async def publish(live: LiveNode, folder: Path, title: str, dataset: bytes | None = None):
    """Publish a file as the member's user."""
    path = folder / "file.bin"
    if not path.exists():
        path.write_bytes(os.urandom(200_000))
    async with live.alliance.client(live.member) as client:
        return await client.publish([path], title=title, dataset=dataset)


async def found(live: LiveNode, words: str) -> list[tuple[str, int]]:
    """Return ids and versions that answer a question, once the index is at height."""

    async def is_there() -> bool:
        return live.services.index.height == live.services.ledger.height()

    await live.alliance.until(is_there)
    async with live.alliance.client(live.member) as client:
        answer = await client.find(Question(words=words))
        return [(match.id, match.version) for match in answer.matches]


async def test_follows_the_chain(live: LiveNode, tmp_path: Path) -> None:
    """A registration is found and its chunks are duplicates; a new version replaces; a retired one goes."""
    first = await publish(live, tmp_path, "Bridges of the city")
    name = first.dataset.hex()
    assert [(name, 1)] == await found(live, "bridges")
    again = await publish(live, tmp_path, "Bridges of the town", first.dataset)
    assert (first.dataset, 0) == (again.dataset, again.bytes_stored)
    assert [(name, 2)] == await found(live, "bridges town")
    assert [] == await found(live, "bridges city")
    stats = await live.get("/v1/store", StoreStats)
    assert (1, 2) == (stats.datasets, stats.versions)
    await live.submit(RetireDataset(first.dataset))
    assert [] == await found(live, "bridges")
    stats = await live.get("/v1/store", StoreStats)
    assert stats.versions == 0


async def test_lost_caches_are_made_again(alliance, tmp_path: Path) -> None:
    """Index and table thrown away between two runs are rebuilt from chain and manifests."""
    async with run_in_process(alliance) as live:
        first = await publish(live, tmp_path, "Bridges")
        digest = (await found(live, "bridges"), live.services.index.digest())
        folder = live.member.folder
    for path in [*(folder / "index").iterdir(), folder / "table.mdb", folder / "table.mdb-lock"]:
        path.unlink(missing_ok=True)
    async with run_in_process(alliance) as live:
        assert digest == (await found(live, "bridges"), live.services.index.digest())
        again = await publish(live, tmp_path, "The same")
        assert (0, True) == (again.bytes_stored, again.dataset != first.dataset)


async def test_lost_manifest_is_told(alliance, tmp_path: Path) -> None:
    """A living version without its manifest makes the node say that it is not well."""
    async with run_in_process(alliance) as live:
        await publish(live, tmp_path, "Bridges")
        assert await found(live, "bridges"), "the block is taken up: its version is bound"
        folder = live.member.folder
        (lost,) = {
            stored.address.pack
            for root, _ in live.services.versions.versions()
            for _, stored in live.services.versions.chunks.index.find([root])[0]
        }
    for path in (folder / "journal").glob(f"{lost.hex()}.*"):
        path.unlink()
    (folder / "table.mdb").unlink()
    (folder / "table.mdb-lock").unlink(missing_ok=True)
    async with run_in_process(alliance) as live:

        async def is_told() -> bool:
            return live.services.health.look().reasons == [
                "1 manifests of own versions are missing or damaged"
            ]

        await live.alliance.until(is_told)


async def test_a_manifest_lost_before_its_block_is_told(live: LiveNode, tmp_path: Path) -> None:
    """The index follows the chain all the same; health names what is lost, and nothing stops."""
    versions, bind = live.services.versions, live.services.versions.bind

    def lose(root: bytes, _version: object) -> None:
        raise MissingError("The manifest is not here.")

    versions.bind = lose
    try:
        first = await publish(live, tmp_path, "Bridges")
        assert [(first.dataset.hex(), 1)] == await found(live, "bridges")
    finally:
        versions.bind = bind
    assert 1 == live.services.catalogue.lost_manifests
    assert '"event": "manifest-lost"' in (live.member.folder / "log" / "node.log").read_text()


async def test_only_what_was_accepted_is_followed(live: LiveNode, tmp_path: Path) -> None:
    """An operation that its block refuses registers, changes and retires nothing."""
    first = await publish(live, tmp_path, "Bridges")
    certified = live.services.ledger.block(live.services.ledger.height())
    assert [first.dataset] == [dataset for _, dataset in accepted_operations(certified)]
    refused = (Result(False, "unknown-dataset"),) * len(certified.block.results)
    block = msgspec.structs.replace(certified.block, results=refused)
    assert [] == list(accepted_operations(msgspec.structs.replace(certified, block=block)))
    assert [(first.dataset.hex(), 1)] == await found(live, "bridges")
    live.services.catalogue.take_next()
    assert live.services.index.height == live.services.ledger.height(), "nothing new, nothing done"


async def test_blocks_without_datasets_are_passed_over(
    live: LiveNode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No thread is asked for a block that holds nothing for index or store, and the index is at its height."""
    follower, index = live.services.catalogue, live.services.index
    await found(live, "nothing yet")
    take_next, taken = follower.take_next, []

    def counted() -> None:
        taken.append(index.height + 1)
        take_next()

    monkeypatch.setattr(follower, "take_next", counted)
    status = await live.submit(AddUser(bytes([2]) * 32, bytes([3]) * 32, "A reader", ("reader",)))
    await found(live, "nothing yet")
    assert index.height >= status.height
    assert [] == taken
    published = await publish(live, tmp_path, "Bridges")
    assert [(published.dataset.hex(), 1)] == await found(live, "bridges")
    assert [published.status.height] == taken


async def test_a_disk_that_refuses_makes_it_late_only(
    live: LiveNode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The index stays behind while its disk is full, and follows by itself once there is room."""
    monkeypatch.setattr(catalogue, "RETRY_S", 0.01)
    real, refused = live.services.index.apply, []

    def apply(height: Height, changes: Sequence[IndexChange]) -> None:
        if len(refused) < 3:
            refused.append(height)
            raise DiskFullError("No room for the index.")
        real(height, changes)

    monkeypatch.setattr(live.services.index, "apply", apply)
    published = await publish(live, tmp_path, "Harbour cranes")
    assert [(published.dataset.hex(), 1)] == await found(live, "cranes")
    assert refused == [published.status.height] * 3


async def test_the_index_is_made_without_the_old_blocks(
    alliance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Blocks that were pruned, or never fetched: what lives is found, what was retired is not."""
    async with run_in_process(alliance) as live:
        first = await publish(live, tmp_path, "Bridges of the city")
        second = await publish(live, tmp_path, "Trees of the city")
        await publish(live, tmp_path, "Bridges of the town", first.dataset)
        await live.submit(RetireDataset(second.dataset))
        folder = live.member.folder
    for path in (folder / "index").iterdir():
        path.unlink()
    block = BlockLedger.block
    monkeypatch.setattr(
        BlockLedger, "block", lambda self, at: block(self, at) if at >= self.height() else None
    )
    async with run_in_process(alliance) as live:
        assert [(first.dataset.hex(), 2)] == await found(live, "bridges town")
        assert [] == await found(live, "trees")
