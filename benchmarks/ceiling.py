"""The most that two cores could do: chunker, hashes, compression and cipher in series, nothing kept.

    ceiling.py FOLDER [--before FOLDER] [--mib N]

Each core is a process with half of a sample of the files, in memory before the clock starts; every operation is
a bare call of the library the product uses, with what can be reused reused; frames are plain, without dictionaries. With --before, chunks that occur in that
folder's files are duplicates: they are cut and digested, and nothing more. Prints one line of JSON.
"""

import argparse
import hashlib
import json
import multiprocessing
import sys
import time
from collections.abc import Callable, Sequence
from multiprocessing.synchronize import Barrier
from pathlib import Path

from blake3 import blake3
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pyfastcdc import FastCDC

from hansa.data.compression import COMPRESSION_LEVEL
from hansa.lanes import find_lanes
from hansa.limits import CHUNK_BYTES_MAX, CHUNK_BYTES_MIN

try:
    from compression import zstd
except ImportError:
    from backports import zstd

CORES = 2
SAMPLE_MIB = 192
NORMAL_BYTES = 46 << 10
LANED = 32
"""Chunks that are fingerprinted at once where there are lanes, as in the product."""
KEY = bytes(range(32))
PROFILES = ("md5+sha1", "blake3")


def sample(folder: Path, mib: int) -> list[str]:
    """Return names of files below a folder that are spread over it and hold about `mib` MiB."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    sizes = {path: path.stat().st_size for path in paths}
    step = max(1, round(sum(sizes.values()) / (mib << 20)))
    return [str(path.relative_to(folder)) for path in paths[::step]]


def measure(folder: Path, before: Path | None, mib: int) -> dict[str, object]:
    """Return MB/s on two cores for each profile, and of each operation on one."""
    names = sample(folder, mib)
    context = multiprocessing.get_context("spawn")
    barrier, results = context.Barrier(CORES), context.Queue()
    workers = [
        context.Process(
            target=_work, args=(folder, before, names[at::CORES] or names[:1], barrier, results)
        )
        for at in range(CORES)
    ]
    for worker in workers:
        worker.start()
    told = [results.get(timeout=300) for _ in workers]
    for worker in workers:
        worker.join()
    total = sum(result["bytes"] for result in told)
    rates = {}
    for profile in PROFILES:
        spans = [result["spans"][profile] for result in told]
        seconds = max(end for _, end in spans) - min(begin for begin, _ in spans)
        rates[profile] = round(total / 1e6 / seconds, 1)
    stages = {
        stage: round(told[0]["bytes"] / 1e6 / seconds, 1)
        for stage, seconds in told[0]["stages"].items()
    }
    return {"mb_per_s": rates, "sample_bytes": total, "one_core_mb_per_s": stages}


def _work(
    folder: Path, before: Path | None, names: list[str], barrier: Barrier, results: object
) -> None:
    known: set[bytes] = set()
    for name in names:
        if before is not None and (before / name).exists():
            data = (before / name).read_bytes()
            known.update(blake3(chunk, key=KEY).digest() for chunk in _cut([data]))
    files = [(folder / name).read_bytes() for name in names]
    spans = {}
    for profile in PROFILES:
        barrier.wait()
        began = time.perf_counter()
        _series(files, known, profile)
        spans[profile] = (began, time.perf_counter())
    size = sum(map(len, files))
    results.put({"bytes": size, "spans": spans, "stages": _stages(files)})  # type: ignore[attr-defined]


def _cut(files: list[bytes]) -> list[memoryview]:
    """Cut each large file alone, and small neighbours as one stream."""
    chunker = FastCDC(NORMAL_BYTES, min_size=CHUNK_BYTES_MIN, max_size=CHUNK_BYTES_MAX, seed=77)
    streams = files if len(files[0]) >= CHUNK_BYTES_MAX else [b"".join(files)]
    return [
        memoryview(stream)[chunk.offset : chunk.offset + chunk.length]
        for stream in streams
        for chunk in chunker.cut_buf(stream)
    ]


def _series(files: list[bytes], known: set[bytes], profile: str) -> None:
    """Do all that each chunk needs, one operation after the other."""
    compressor = zstd.ZstdCompressor(COMPRESSION_LEVEL)
    lanes = find_lanes().lanes
    for file in files:
        blake3(file).digest()
    fresh = [chunk for chunk in _cut(files) if blake3(chunk, key=KEY).digest() not in known]
    for at in range(0, len(fresh), LANED) if lanes and profile != "blake3" else ():
        lanes(KEY, KEY, fresh[at : at + LANED])
    for chunk in fresh:
        if profile != "blake3" and not lanes:
            hashlib.md5(chunk, usedforsecurity=False).digest()
            hashlib.sha1(chunk, usedforsecurity=False).digest()
        packed = compressor.compress(chunk, compressor.FLUSH_FRAME)
        body = packed if len(packed) < len(chunk) else chunk
        blake3(AESGCM(KEY).encrypt(KEY[:12], body, None)).digest()


def _stages(files: list[bytes]) -> dict[str, float]:
    """Return seconds of each operation alone, over all chunks."""
    began = time.perf_counter()
    chunks = _cut(files)
    seconds = {"cut": time.perf_counter() - began}
    compressor = zstd.ZstdCompressor(COMPRESSION_LEVEL)

    def compress(chunk: memoryview) -> bytes:
        packed = compressor.compress(chunk, compressor.FLUSH_FRAME)
        return packed if len(packed) < len(chunk) else bytes(chunk)

    bodies = [compress(chunk) for chunk in chunks]
    operations: dict[str, tuple[Callable[[bytes], object], Sequence[bytes]]] = {
        "file digest": (lambda data: blake3(data).digest(), files),
        "chunk id": (lambda data: blake3(data, key=KEY).digest(), chunks),
        "md5": (lambda data: hashlib.md5(data, usedforsecurity=False).digest(), chunks),
        "sha1": (lambda data: hashlib.sha1(data, usedforsecurity=False).digest(), chunks),
        "compress": (compress, chunks),
        "seal": (lambda data: AESGCM(KEY).encrypt(KEY[:12], data, None), bodies),
        "sealed digest": (lambda data: blake3(data).digest(), bodies),
    }
    for name, (operation, items) in operations.items():
        began = time.perf_counter()
        for item in items:
            operation(item)
        seconds[name] = time.perf_counter() - began
    return seconds


def main() -> int:
    """Parse the options, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--before", type=Path)
    parser.add_argument("--mib", type=int, default=SAMPLE_MIB)
    options = parser.parse_args()
    told = measure(options.folder, options.before, options.mib)
    sys.stdout.write(json.dumps(told) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
