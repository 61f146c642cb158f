"""One process measured from outside: wall, processor time, peak memory, and what others took meanwhile."""

import filecmp
import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

READ_BYTES = 4 << 20
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Timing:
    """What one or several processes, one after the other, cost."""

    seconds: float
    """Wall, from before the first was started until the last had ended."""
    cpu_s: float
    rss_mib: float
    """The largest peak of resident memory; not below that of the process that started it (some 30 MiB)."""
    others: float
    """Cores that anything else on the machine used meanwhile."""


def run_timed(
    commands: Sequence[Sequence[str]], folder: Path, environment: Mapping[str, str], log: Path
) -> Timing:
    """Run commands one after the other; their output goes to `log`.

    Raises:
        RuntimeError: one failed; the message ends with what it said.
    """
    os.sync()
    busy, began = _busy_s(), time.perf_counter()
    cpu, rss = 0.0, 0
    for command in commands:
        with log.open("ab") as out:
            process = subprocess.Popen(
                command,
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
            )
            _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            tail = log.read_text(errors="replace")[-2_000:]
            raise RuntimeError(f"{command[:4]} ended with {process.returncode}:\n{tail}")
        cpu += usage.ru_utime + usage.ru_stime
        rss = max(rss, usage.ru_maxrss)
    seconds = time.perf_counter() - began
    others = max(0.0, (_busy_s() - busy - cpu) / seconds)
    return Timing(round(seconds, 3), round(cpu, 2), round(rss / 1024, 1), round(others, 2))


def _busy_s() -> float:
    """Return core-seconds the machine has worked, niced work and stolen time included."""
    with Path("/proc/stat").open() as file:
        user, nice, system, _idle, _wait, *rest = map(int, file.readline().split()[1:9])
    return (user + nice + system + sum(rest)) / _TICKS


def warm(folder: Path) -> int:
    """Read all files below a folder, so that their pages are in memory; return their bytes."""
    total = 0
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            with path.open("rb", buffering=0) as file:
                while data := file.read(READ_BYTES):
                    total += len(data)
    return total


def size_of(folder: Path) -> int:
    """Return the bytes of all files below a folder; holes do not count. Call after a sync."""
    found = (path.stat() for path in folder.rglob("*") if path.is_file())
    return sum(min(status.st_size, status.st_blocks * 512) for status in found)


def are_same(first: Path, second: Path) -> bool:
    """Tell whether two folders hold the same files with the same bytes."""
    names = [
        sorted(str(path.relative_to(top)) for path in top.rglob("*") if path.is_file())
        for top in (first, second)
    ]
    # Piece by piece: what this process takes is the least that a process it starts can show.
    return names[0] == names[1] and all(
        filecmp.cmp(first / name, second / name, shallow=False) for name in names[0]
    )
