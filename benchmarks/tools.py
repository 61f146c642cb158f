"""Hansa's engine as a tool among the peers: the same methods, so that all are driven alike."""

import sys
from dataclasses import dataclass, field
from pathlib import Path

from machine import hansa_environment
from peers import NAMES, SETTINGS, Command, Peer, find_peers

from hansa.lanes import find_lanes

PROFILES = {"hansa": "md5+sha1", "hansa blake3": "blake3"}


@dataclass
class Hansa:
    """One fingerprint profile of Hansa's engine, a process for each operation."""

    name: str
    version: str = ""
    repository: Path = Path()
    environment: dict[str, str] = field(default_factory=dict)

    def start(self, folder: Path) -> None:
        """Name the repository; the first operation makes it."""
        self.repository = folder / "repository"
        self.environment = hansa_environment(folder)

    def saving(self, source: Path, name: str) -> list[Command]:
        """Return what publishes a folder."""
        profile = ["--profile", PROFILES[self.name]]
        return [self._words("ingest", name, str(source), *profile)]

    def streaming(self, name: str, mib: int) -> list[Command]:
        """Return what publishes incompressible bytes that are never on the disk."""
        return [self._words("stream", name, "--mib", str(mib), "--profile", PROFILES[self.name])]

    def restoring(self, name: str, output: Path) -> list[Command]:
        """Return what writes a version's files, verified, as little synced as the peers' are."""
        return [self._words("restore", name, str(output))]

    def restoring_durably(self, name: str, output: Path) -> list[Command]:
        """Return what writes a version's files, each synced and read back before it has its name."""
        return [self._words("restore", name, str(output), "--durable")]

    def reading_ranges(self, name: str, count: int) -> list[Command]:
        """Return what reads 64 KiB at random places."""
        return [self._words("ranges", name, "--count", str(count))]

    def deleting(self, name: str) -> list[Command]:
        """Return what deletes a version and gives its room back."""
        return [self._words("delete", name)]

    def _words(self, work: str, name: str, *rest: str) -> Command:
        return [sys.executable, "-P", "-m", "engine", work, str(self.repository), name, *rest]


Tool = Hansa | Peer


def find_tools(wanted: list[str] | None, commit: str) -> tuple[list[Tool], list[str]]:
    """Return the tools that are there, and the names of those that are missing."""
    names = wanted or [*PROFILES, *NAMES]
    peers: dict[str, Tool] = {peer.name: peer for peer in find_peers(NAMES)}
    ours: dict[str, Tool] = {name: Hansa(name, f"commit {commit}") for name in PROFILES}
    there = ours | peers
    return [there[name] for name in names if name in there], [n for n in names if n not in there]


def settings_of(tool: Tool) -> str:
    """Return what it was run with."""
    if isinstance(tool, Hansa):
        return (
            f"fingerprint profile {PROFILES[tool.name]}, lanes: {find_lanes().told}; "
            "default limits, everything synced; "
            "restored without a sync, as the peers do"
        )
    return SETTINGS[tool.name]
