"""A snapshot taken into the folder of a node that has no ledger yet."""

import asyncio
import contextlib
import shutil
from pathlib import Path

from hansa.bootstrap.building import Builder
from hansa.chain.snapshots import parse_checkpoint
from hansa.ledger.block_ledger import BlockLedger
from hansa.ledger.durable import sync_folder
from hansa.node.config import load_config
from hansa.node.joining import take_snapshot


async def join_by_snapshot(folder: Path, checkpoint: str = "") -> None:
    """Take a snapshot into a node's folder, if it has no ledger yet and a checkpoint is given.

    The ledger is made beside its place and renamed when it is whole: a crash leaves none.

    Raises:
        InvalidError: the checkpoint is none.
        UnavailableError: no node gave one in time.
        HansaError: the folder is not as it must be, or the disk refused.
    """
    place, beside = folder / "ledger", folder / "ledger.joining"
    text = checkpoint or load_config(folder).chain.checkpoint
    if place.exists() or not text:
        return
    wanted = parse_checkpoint(text)
    with contextlib.ExitStack() as closing:
        builder = Builder(folder, closing)
        network = builder.make_joining_network()
        async with asyncio.TaskGroup() as group:
            running = group.create_task(network.run())
            try:
                state, blocks = await take_snapshot(
                    network,
                    builder.genesis,
                    wanted,
                    lambda text: builder.log.warning("snapshot-refused", why=text),
                )
            finally:
                running.cancel()
        shutil.rmtree(beside, ignore_errors=True)
        ledger = BlockLedger(beside, alliance=builder.alliance)
        try:
            ledger.install(blocks, state.items())
        finally:
            ledger.close()
        beside.rename(place)
        sync_folder(folder)
        builder.log.info("snapshot-taken", height=state.height, blocks=len(blocks))
