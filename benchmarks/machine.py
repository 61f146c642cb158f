"""The machine a figure was measured on: processor, versions, the disk's sync, single operations, load."""

import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from statistics import median

from hansa.crypto.envelope import DecryptionKey, wrap
from hansa.crypto.signing import SigningKey, is_signed

LIBRARIES = [
    "aiohttp", "backports.zstd", "blake3", "cryptography", "litestar", "lmdb", "msgspec", "numpy", "pyfastcdc",
    "pynacl", "uvicorn", "zstandard",
]  # fmt: skip
SYNC_BYTES = 4096
BYTECODE = Path(__file__).resolve().parents[1] / "build" / "bench" / "bytecode"


def take_one_blas_thread() -> None:
    """Begin anew with one thread of BLAS, as the command line has it: numpy is loaded by now."""
    if "OPENBLAS_NUM_THREADS" not in os.environ:
        os.environ["OPENBLAS_NUM_THREADS"] = "1"
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def describe_machine(root: Path) -> dict[str, object]:
    """Return what a reader needs to compare: processor, cores, system, versions, commit."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_mib": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20,
        "system": f"{platform.system()} {'.'.join(platform.release().split('.')[:2])}",
        "python": platform.python_version(),
        "libraries": {name: version(name) for name in LIBRARIES},
        "commit": _commit(root),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    named = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.machine()


def _commit(root: Path) -> str:
    """Return the commit that was measured, marked where files differ from it."""
    pinned = os.environ.get("HANSA_BENCH_COMMIT")
    if pinned:
        return pinned
    words = ["git", "describe", "--always", "--dirty", "--exclude=*"]
    done = subprocess.run(words, cwd=root, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def load_average() -> float:
    """Return the mean number of runnable processes over the last minute."""
    return round(os.getloadavg()[0], 2)


def measure_fdatasync(folder: Path, times: int = 300) -> dict[str, float]:
    """Append 4 KiB and sync, `times` times; return milliseconds."""
    path = folder / "sync.probe"
    data = os.urandom(SYNC_BYTES)
    sync = getattr(os, "fdatasync", os.fsync)
    taken = []
    file = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    try:
        for _ in range(times):
            began = time.perf_counter()
            os.write(file, data)
            sync(file)
            taken.append((time.perf_counter() - began) * 1000)
    finally:
        os.close(file)
        path.unlink()
    taken.sort()
    return {
        "p50_ms": round(median(taken), 3),
        "p99_ms": round(taken[int(len(taken) * 0.99)], 3),
        "bytes": SYNC_BYTES,
        "times": times,
    }


def measure_operations() -> dict[str, float]:
    """Return microseconds of one core for the public-key work that a transaction costs."""
    key, sealing = SigningKey(os.urandom(32)), DecryptionKey(os.urandom(32))
    data, content_key = os.urandom(256), os.urandom(32)
    signature = key.sign("bench", data)
    wrapped = wrap(sealing.public, b"bench", content_key)
    return {
        "sign_us": _time(lambda: key.sign("bench", data)),
        "verify_us": _time(lambda: is_signed("bench", data, signature, key.public)),
        "wrap_us": _time(lambda: wrap(sealing.public, b"bench", content_key)),
        "unwrap_us": _time(lambda: sealing.unwrap(b"bench", wrapped)),
    }


def _time(work: Callable[[], object], batch: int = 100, batches: int = 15) -> float:
    """Return the median of some batches, in microseconds a call."""
    taken = []
    for _ in range(batches):
        began = time.perf_counter()
        for _ in range(batch):
            work()
        taken.append((time.perf_counter() - began) / batch * 1e6)
    return round(median(taken), 1)


def hansa_environment(home: Path) -> dict[str, str]:
    """Return the environment of measured processes: no settings of the caller's, a home of their own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HANSA_")}
    # Compiled once, as an installed program is: without, each start would compile all it imports.
    kept.pop("PYTHONDONTWRITEBYTECODE", None)
    kept["PYTHONPYCACHEPREFIX"] = str(BYTECODE)
    return {**kept, "HANSA_HOME": str(home), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
