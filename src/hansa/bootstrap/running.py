"""A node's process: opened, hardened, run until it is asked to stop."""

import asyncio
import contextlib
import ctypes
import gc
import resource
import sys
from pathlib import Path

from hansa.bootstrap.building import build_node
from hansa.bootstrap.joining import join_by_snapshot
from hansa.errors import HansaError, InvalidError
from hansa.node.config import CONFIG_FILE
from hansa.node.daemon import ReadyRecord

_PR_SET_DUMPABLE = 4
COLLECT_GARBAGE_AFTER = (50_000, 20, 20)
"""Most of what a node makes is freed by counting; a look at all of it pauses the node."""


def run_node(folder: Path, checkpoint: str = "") -> int:
    """Run the node of a folder until it is asked to stop; return the exit code.

    Args:
        folder: of the node.
        checkpoint: HEIGHT:DIGEST, instead of the one in node.toml; matters to a node without blocks.

    Raises:
        HansaError: it cannot start, or a part failed.
    """
    if not __debug__:
        raise InvalidError(
            "A node does not run under python -O: its safety checks would be off.",
            remedy="Start it without -O and without PYTHONOPTIMIZE.",
        )
    harden()
    if (folder / CONFIG_FILE).exists() and not (folder / "ledger").exists():
        asyncio.run(join_by_snapshot(folder, checkpoint))
    with contextlib.ExitStack() as closing:
        daemon = build_node(folder, closing)
        # What is loaded now lives as long as the node: collecting garbage need not look at it.
        gc.collect()
        gc.freeze()
        gc.set_threshold(*COLLECT_GARBAGE_AFTER)
        daemon.on_listening = _tell_ready
        asyncio.run(daemon.run())
    return 0


def _tell_ready(record: ReadyRecord) -> None:
    """Say on standard error that the node answers: for whoever started it by hand."""
    sys.stderr.write(
        f"ready: node of {record.organisation}, listening on port {record.peer_port} for nodes"
        f" and on port {record.api_port} for its users\n"
    )
    sys.stderr.flush()


def harden() -> None:
    """Switch core dumps off: memory holds copies and keys that must not reach a disk."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def main(folder: str) -> int:
    """Run a node from a command line: failures become a message and an exit code."""
    try:
        return run_node(Path(folder))
    except HansaError as error:
        sys.stderr.write(f"Error: {error.message}\n")
        if error.remedy:
            sys.stderr.write(f"  {error.remedy}\n")
        return error.exit_code
