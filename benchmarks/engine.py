"""Hansa's engine as one process, as restic and borg are one: files ⇄ a durable, deduplicated, sealed store.

    engine.py ingest  REPOSITORY NAME FOLDER [--profile md5+sha1|blake3]
    engine.py stream  REPOSITORY NAME --mib N      incompressible bytes from a seed, made as they are read
    engine.py restore REPOSITORY NAME OUTPUT [--durable]
    engine.py ranges  REPOSITORY NAME --count N    64 KiB each, at random places
    engine.py delete  REPOSITORY NAME

Prints one line of JSON. `ingest` returns when every chunk lies synced in sealed packs, the manifest is synced, and
the version is attested and bound; `restore` verifies every chunk and every file. With --durable each file is also
synced and read back before it gets its name, as `hansa dataset fetch` does.
"""

import gc
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import repository
import restoring

from hansa import limits
from hansa.client.sources import collect
from hansa.data.layout import ContentLayout, Window
from hansa.data.pipeline import Ingest, UploadChunk
from hansa.data.stream import SourceFile
from hansa.lanes import find_lanes

if TYPE_CHECKING:
    import argparse

CLUSTER = 7
THREADS = min(8, os.cpu_count() or 1)
RANGE_BYTES = 64 * limits.KIB


def _age_s() -> float:
    """Return how long this process has been there, to a hundredth of a second."""
    ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
    return float(Path("/proc/uptime").read_text().split()[0]) - ticks / os.sysconf("SC_CLK_TCK")


gc.freeze()  # What is imported stays: it is not looked through again and again.
START_S = _age_s()
"""From the start of the process until everything is imported."""


# --- in -----------------------------------------------------------------------------------------


def ingest(options: "argparse.Namespace") -> dict[str, object]:
    """Publish a folder's files."""
    os.chdir(options.folder.parent)
    sources = collect([options.folder.name])
    return _publish(options, sources.files())


def stream(options: "argparse.Namespace") -> dict[str, object]:
    """Publish one file of incompressible bytes that is never on the disk."""
    size = options.mib << 20
    return _publish(options, [SourceFile("stream.bin", size, lambda: _Noise(size))])


class _Noise:
    """Incompressible bytes from a seed: the key stream of a cipher, which costs next to nothing."""

    def __init__(self, size: int) -> None:
        from cryptography.hazmat.primitives.ciphers import (  # noqa: PLC0415 - seldom
            Cipher,
            algorithms,
            modes,
        )

        self._left = size
        self._cipher = Cipher(algorithms.AES(bytes(16)), modes.CTR(bytes(16))).encryptor()

    def read(self, size: int, /) -> bytes:
        data = self._cipher.update(bytes(min(size, self._left)))
        self._left -= len(data)
        return data


def _publish(options: "argparse.Namespace", files: Iterable[SourceFile]) -> dict[str, object]:
    opened = repository.Repository.open(options.repository)
    lanes = find_lanes().lanes
    ready = time.perf_counter()
    with ThreadPoolExecutor(THREADS) as workers, ThreadPoolExecutor(THREADS) as senders:
        pipeline = Ingest(
            opened.dedup,
            opened.lookup,
            os.urandom,
            profile=options.profile,
            spread=workers.map,
            hmacs=lanes,
        )
        _upload(pipeline.batches(files), opened, senders)
        stored = time.perf_counter()
        manifest_bytes = opened.register(options.name, pipeline)
    bound = time.perf_counter()
    packs = opened.versions.chunks.flush()
    sealed = time.perf_counter()
    opened.close()
    counters = pipeline.counters
    return {
        "plain_bytes": counters.plain_bytes,
        "files": counters.files,
        "chunks": counters.chunks,
        "duplicates": counters.chunks_duplicate,
        "sealed_bytes": counters.sealed_bytes,
        "manifest_bytes": manifest_bytes,
        "packs_sealed_at_end": packs,
        "lanes": 0 if lanes is None else lanes.width,
        "chunks_s": round(stored - ready, 3),
        "manifest_s": round(bound - stored, 3),
        "packs_s": round(sealed - bound, 3),
    }


def _upload(
    batches: Iterator[list[UploadChunk]],
    opened: repository.Repository,
    senders: ThreadPoolExecutor,
) -> None:
    """Store batches while the pipeline makes the next ones; as many under way as a client has."""

    def put(batch: list[UploadChunk]) -> None:
        digests = [upload.sealed_digest for upload in batch]
        opened.versions.chunks.put(batch, CLUSTER, digests)

    slots = threading.Semaphore(limits.CLIENT_UPLOADS_IN_FLIGHT_MAX)
    sent: deque[Future[object]] = deque()
    for batch in batches:
        slots.acquire()
        future = senders.submit(put, batch)
        future.add_done_callback(lambda _: slots.release())
        sent.append(future)
        while sent and sent[0].done():
            sent.popleft().result()
    for future in sent:
        future.result()


# --- out ----------------------------------------------------------------------------------------


def restore(options: "argparse.Namespace") -> dict[str, object]:
    """Bring all files of a version back."""
    opened = repository.Repository.open(options.repository)
    version = opened.named(options.name)
    contents = opened.contents(version)
    layout = ContentLayout(contents)
    ready = time.perf_counter()
    if options.durable:
        from hansa.client.output import Output  # noqa: PLC0415 - the other way needs none of it

        target = Output(options.output, version.root, contents, overwrite=False)
        target.prepare()
        for window, plain in _fetch(opened, version, layout):
            target.write(window.start, [plain])
        assert target.finish() == {}, "a file is not as published"
        target.close()
    else:
        restoring.restore_plainly(opened, version, layout, options.output, THREADS)
    opened.close()
    return {
        "plain_bytes": layout.plain_bytes,
        "files": len(contents.files),
        "content_s": round(time.perf_counter() - ready, 3),
    }


def _fetch(
    opened: repository.Repository, version: repository.Version, layout: ContentLayout
) -> Iterator[tuple[Window, memoryview]]:
    """Yield all windows in order, opened; some are read ahead, as many as a client has under way."""
    root = bytes.fromhex(version.root)

    def get(window: Window) -> memoryview:
        read = opened.versions.read_content
        parts = [read(root, wanted.offset, wanted.length) for wanted in window.ranges]
        return layout.gather(window, parts)

    ahead: deque[tuple[Window, Future[memoryview]]] = deque()
    with ThreadPoolExecutor(THREADS) as workers:
        for window in layout.plan(0, layout.plain_bytes):
            ahead.append((window, workers.submit(get, window)))
            if len(ahead) == limits.CLIENT_WINDOWS_IN_FLIGHT_MAX:
                first, future = ahead.popleft()
                yield first, future.result()
        while ahead:
            first, future = ahead.popleft()
            yield first, future.result()


def ranges(options: "argparse.Namespace") -> dict[str, object]:
    """Read ranges at random places, one at a time; each chunk they touch is verified."""
    import random  # noqa: PLC0415 - only here
    from statistics import median  # noqa: PLC0415

    opened = repository.Repository.open(options.repository)
    version = opened.named(options.name)
    began = time.perf_counter()
    layout = ContentLayout(opened.contents(version))
    root = bytes.fromhex(version.root)
    opened.versions.content_bytes(root)
    contents_s = time.perf_counter() - began
    draw, taken = random.Random(3), []
    for _ in range(options.count):
        start = draw.randrange(layout.plain_bytes - RANGE_BYTES)
        began = time.perf_counter()
        got = b"".join(
            layout.read(
                start,
                start + RANGE_BYTES,
                lambda at, size: opened.versions.read_content(root, at, size),
            )
        )
        taken.append(1000 * (time.perf_counter() - began))
        assert len(got) == RANGE_BYTES
    opened.close()
    taken.sort()
    return {
        "dataset_bytes": layout.plain_bytes,
        "contents_s": round(contents_s, 3),
        "count": len(taken),
        "p50_ms": round(median(taken), 3),
        "p99_ms": round(taken[int(len(taken) * 0.99)], 3),
        "max_ms": round(taken[-1], 3),
    }


def delete(options: "argparse.Namespace") -> dict[str, object]:
    """Let a version live no longer, and collect: once to condemn, and once when the grace is over."""
    freed = 0
    leased_ms = 2 * limits.UPLOAD_LEASE_MS
    for ahead_ms in (leased_ms, 2 * leased_ms + limits.COLLECT_GRACE_MS):
        opened = repository.Repository.open(options.repository, ahead_ms=ahead_ms)
        if ahead_ms == leased_ms:
            opened.forget(options.name)
        freed += opened.collect().bytes_freed
        opened.close()
    return {"collected_bytes": freed}


WORK = {"ingest": ingest, "stream": stream, "restore": restore, "ranges": ranges, "delete": delete}


def main() -> int:
    """Parse the options, work, print."""
    import argparse  # noqa: PLC0415 - after the clock was read

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("work", choices=WORK)
    parser.add_argument("repository", type=Path)
    parser.add_argument("name")
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--profile", choices=["md5+sha1", "blake3"], default="md5+sha1")
    parser.add_argument("--durable", action="store_true")
    parser.add_argument("--mib", type=int, default=64)
    parser.add_argument("--count", type=int, default=2_000)
    options = parser.parse_args()
    options.output = options.folder
    told = WORK[options.work](options)
    told["start_s"] = round(START_S, 3)
    sys.stdout.write(msgspec.json.encode(told).decode() + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
