"""Real node processes for end-to-end tests: an alliance in a folder, commands as a person types them."""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hansa.cli.hdfs.jars import JARS_VARIABLE
from hansa.cli.local_alliance import LocalAlliance
from hansa.client.client import HansaClient
from hansa.rest import NodeStatus

SIX = ["transport", "environment", "health", "safety", "planning", "energy"]
CONVERGE_S_MAX = 60


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Return standard output as JSON."""
        return json.loads(self.out)


@dataclass(frozen=True)
class Shell:
    """Runs `hansa …` as its own process with a home of its own."""

    home: Path

    def environment(self, **more: str) -> dict[str, str]:
        """Return the environment the commands run in."""
        kept = {
            k: v for k, v in os.environ.items() if not k.startswith("HANSA_") or k == JARS_VARIABLE
        }
        return {**kept, "HANSA_HOME": str(self.home), **more}

    def __call__(
        self, *words: str | Path, stdin: bytes | None = None, timeout: float = 120
    ) -> Done:
        """Run a command to its end."""
        done = subprocess.run(
            [sys.executable, "-m", "hansa.cli.main", *map(str, words)],
            input=stdin if stdin is not None else b"",
            capture_output=True,
            check=False,
            timeout=timeout,
            env=self.environment(),
        )
        return Done(done.returncode, done.stdout.decode(), done.stderr.decode())

    def ok(self, *words: str | Path, stdin: bytes | None = None) -> Any:
        """Run a command with --json that must succeed; return its document."""
        done = self(*words, "--json", stdin=stdin)
        assert done.code == 0, f"{words}: {done.code}\n{done.err}"
        return done.json


@contextmanager
def devnet(
    folder: Path, organisations: list[str], super_nodes: int = 4, store: str = ""
) -> Iterator[LocalAlliance]:
    """Yield an alliance whose nodes are stopped at the end, whatever happens."""
    alliance = LocalAlliance.create(folder, organisations, super_nodes, store, tied=True)
    try:
        asyncio.run(alliance.up(lambda _: None))
        yield alliance
    finally:
        alliance.stop()


async def statuses(clients: dict[str, HansaClient]) -> dict[str, NodeStatus]:
    """Return every node's status."""
    return {name: await client.status() for name, client in clients.items()}


async def converge(clients: dict[str, HansaClient]) -> NodeStatus:
    """Wait until all nodes have one height, tip and state root; return one status."""
    end = time.monotonic() + CONVERGE_S_MAX
    seen: dict[str, NodeStatus] = {}
    while time.monotonic() < end:
        seen = await statuses(clients)
        if len({(view.height, view.tip, view.state_root) for view in seen.values()}) == 1:
            return next(iter(seen.values()))
        await asyncio.sleep(0.1)
    raise AssertionError({name: (view.height, view.state_root[:8]) for name, view in seen.items()})


def files_with(marker: bytes, folders: list[Path]) -> list[Path]:
    """Return the files below some folders that contain a marker."""
    return [
        path
        for folder in folders
        for path in folder.rglob("*")
        if path.is_file() and marker in path.read_bytes()
    ]


def wait_for(what: Callable[[], bool], seconds: float = 30) -> None:
    """Wait until something holds."""
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it did not come to hold in time"
        time.sleep(0.05)
