"""Tests of node.daemon."""

import asyncio
import json
import os
from pathlib import Path
from unittest.mock import Mock

import pytest
from live_node import run_in_process

from hansa.errors import DiskFullError
from hansa.node.daemon import Daemon, ReadyRecord, first_error


def test_first_error() -> None:
    """The failure inside nested groups is found."""
    error = DiskFullError("The disk is full.")
    nested = BaseExceptionGroup("", [BaseExceptionGroup("", [error]), DiskFullError("later")])
    assert error is first_error(nested)


async def test_ready_file_and_clean_end(alliance) -> None:
    """node.json tells pid and ports while the node runs, and is gone afterwards."""
    async with run_in_process(alliance) as live:
        told = json.loads((live.member.folder / "node.json").read_text())
        assert live.member.url.endswith(f":{told['api_port']}")
        assert live.member.name == told["organisation"]
        folder = live.member.folder
    assert not (folder / "node.json").exists()
    log = (folder / "log" / "node.log").read_text()
    assert "node-stopped" in log


async def test_who_started_it_is_told_once_it_listens(tmp_path: Path) -> None:
    """After node.json is written, with the same ports."""
    services = Mock(organisation="water", peers=Mock(port=7400))
    listener = Mock(getsockname=lambda: ("127.0.0.1", 7401))
    file = tmp_path / "node.json"
    daemon = Daemon(services, server=Mock(), listener=listener, ready_file=file)
    told: list[tuple[ReadyRecord, bool]] = []
    daemon.on_listening = lambda record: told.append((record, file.exists()))
    await daemon._announce(Mock(started=True))
    assert told == [(ReadyRecord(os.getpid(), "water", 7400, 7401), True)]


async def test_failed_write_ends_the_node(alliance) -> None:
    """When the ledger cannot be written the whole node ends with that error (fail-stop)."""

    def fail(*_arguments: object) -> None:
        raise DiskFullError("The disk is full.")

    async def run_into_it() -> None:
        async with run_in_process(alliance) as live:
            live.services.ledger.append = fail
            transaction = await live.alliance.sign(live.member)
            live.services.driver.submit(await live.alliance.seal(live.member, transaction))
            async with asyncio.timeout(10):
                await asyncio.Event().wait()

    with pytest.raises(BaseExceptionGroup) as caught:
        await run_into_it()
    assert isinstance(first_error(caught.value), DiskFullError)
    log = (alliance.members[0].folder / "log" / "node.log").read_text()
    assert "node-failed" in log
    assert "disk-full" in log


async def test_takes_up_what_was_not_settled(alliance) -> None:
    """A submission kept on disk is committed by the node's next run."""
    async with run_in_process(alliance) as live:
        transaction = await live.alliance.sign(live.member)
        sealed = await live.alliance.seal(live.member, transaction)
        live.services.driver.submit = lambda sealed: None
        await live.services.outbox.keep(sealed)
    async with run_in_process(alliance) as live:
        # The sealing key of the first run is gone with it: the client is told to seal again.
        digest = transaction.digest()
        status = await live.services.statuses.wait(digest, 10_000)
        assert status.status == "reseal"
        done = await live.alliance.send(live.member, transaction)
        assert done.status == "committed"


async def test_block_ahead_of_the_state_is_replayed(alliance) -> None:
    """A block that was synced before its state could be written is there after the next start."""

    def fail(*_arguments: object) -> None:
        raise DiskFullError("The disk is full.")

    digests = []

    async def run_into_it() -> None:
        async with run_in_process(alliance) as live:
            await live.submit()
            live.services.ledger._table.commit = fail
            transaction = await live.alliance.sign(live.member)
            digests.append(transaction.digest())
            live.services.driver.submit(await live.alliance.seal(live.member, transaction))
            async with asyncio.timeout(10):
                await asyncio.Event().wait()

    with pytest.raises(BaseExceptionGroup) as caught:
        await run_into_it()
    assert isinstance(first_error(caught.value), DiskFullError)
    async with run_in_process(alliance) as live:
        status = live.services.statuses.get(digests[0])
        assert status.status == "committed"
        assert live.services.state().height >= status.height
        assert (await live.submit()).height > status.height
