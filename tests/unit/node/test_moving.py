"""Tests of node.moving: a stopped node's store moves, and node.toml says so, all else as it was."""

import asyncio
import os

import msgspec
import pytest
from live_node import run_in_process

from hansa.bootstrap.opening import migrate_store
from hansa.errors import ConflictError, InvalidError, MissingError, UnavailableError
from hansa.node.config import load_config
from hansa.node.moving import _switched
from hansa.storage.progress import no_progress


async def publish(live, tmp_path):
    """Publish a file, sealed into a pack; return its dataset."""
    (tmp_path / "f.bin").write_bytes(os.urandom(300_000))
    async with live.alliance.client(live.member) as client:
        done = await client.publish([tmp_path / "f.bin"], title="File")
    live.services.versions.chunks.flush()
    return done.dataset


async def test_a_node_runs_on_its_moved_store(alliance, tmp_path) -> None:
    """Cut short first, then whole; the old store stays and is used no more."""
    folder = alliance.members[0].folder
    async with run_in_process(alliance) as live:
        dataset = await publish(live, tmp_path)
        with pytest.raises(ConflictError, match="pid"):
            await asyncio.to_thread(migrate_store, folder, "file:elsewhere", no_progress)
    text = (folder / "node.toml").read_text()
    (folder / "node.toml").write_text(text + "\n# kept\n")
    url = (tmp_path / "new store").as_uri()

    def stop(*_):
        raise UnavailableError("stopped")

    with pytest.raises(UnavailableError):
        migrate_store(folder, url, stop)
    assert (folder / "node.toml").read_text() == text + "\n# kept\n"
    report = migrate_store(folder, url, no_progress)
    assert (2, ()) == (report.objects, report.damaged)
    assert (folder / "node.toml").read_text().endswith("# kept\n")
    assert load_config(folder).store.url == url
    assert list((folder / "store" / "objects").rglob("*"))
    async with run_in_process(alliance) as live:
        assert live.services.store_url == url
        async with live.alliance.client(live.member) as client:
            await client.fetch(dataset, tmp_path / "out")
        assert (tmp_path / "out" / "f.bin").read_bytes() == (tmp_path / "f.bin").read_bytes()
    with pytest.raises(InvalidError, match="already"):
        migrate_store(folder, url, no_progress)


def test_places_that_cannot_be(alliance, tmp_path) -> None:
    """No URL, no folder of a node: nothing is changed."""
    folder = alliance.members[0].folder
    before = (folder / "node.toml").read_bytes()
    for url in ("ftp://x/y", "file://host/x", "nonsense"):
        with pytest.raises(InvalidError):
            migrate_store(folder, url, no_progress)
    assert before == (folder / "node.toml").read_bytes()
    with pytest.raises(MissingError):
        migrate_store(tmp_path / "nowhere", "file:x", no_progress)


def test_settings_are_switched_and_nothing_else(alliance) -> None:
    """Whatever else stands there stays; what a program cannot change is refused."""
    folder = alliance.members[0].folder
    config = load_config(folder)
    wanted = msgspec.structs.replace(
        config, store=msgspec.structs.replace(config.store, url="file:there")
    )
    text = (folder / "node.toml").read_text()
    switched = _switched(text, wanted)
    differing = [pair for pair in zip(text.splitlines(), switched.splitlines(), strict=True)
                 if pair[0] != pair[1]]  # fmt: skip
    assert len(differing) == 1
    bare = '[listen]\npeer = "127.0.0.1:1"\napi = "127.0.0.1:2"\n'
    head = f'organisation = "{config.organisation}"\n'
    plain = msgspec.structs.replace(
        wanted, listen=msgspec.structs.replace(config.listen, peer="127.0.0.1:1", api="127.0.0.1:2"),
    )  # fmt: skip
    assert 'url = "file:there"' in _switched(head + bare, plain)
    with pytest.raises(ConflictError, match="cannot be changed"):
        _switched(f'{head}store = {{url = "file:a"}}\n{bare}', plain)
