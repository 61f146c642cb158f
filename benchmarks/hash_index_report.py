"""The run of the hash index table as tables: what was measured beside what the model says, to 10^9 chunks."""

from collections.abc import Mapping

from report import machine_lines, table

from hansa.data.chunk_records import BLOCK_RECORDS
from hansa.data.sorted_runs import MEMORY_ENTRIES, PAGE_ENTRIES

Row = Mapping[str, object]
MEMORY_TARGET = 3.0
PAGE_BYTES = 4096
PACK_CHUNKS = 3_000
PACK_NAME_BYTES = 250
PROJECTED = (10**8, 10**9)


def model(chunks: int) -> dict[str, float]:
    """Return what a table of so many chunks takes, from its design alone.

    Filter: 2 bytes a chunk, 64 shards of 2^14 four-byte starts, up to a 64th of the heads (8 bytes)
    waiting. Fences: 8 bytes for each page of three maps. Waiting entries: half of what is gathered, 12
    bytes, three maps. Packs: a name each. Disk: a record's share of its page, an entry's of its page, three
    times. A new chunk is read for when its head of 36 bits is another's.
    """
    filter_bytes = 2 * chunks + 64 * 4 * (2**14 + 1) + 8 * max(4_096, chunks / 64) / 2
    fences = 3 * 8 * chunks / PAGE_ENTRIES
    waiting = 3 * 12 * min(chunks, MEMORY_ENTRIES) / 2
    packs = PACK_NAME_BYTES * chunks / PACK_CHUNKS
    return {
        "memory_bytes": filter_bytes + fences + waiting + packs,
        "file_bytes": chunks * (PAGE_BYTES / BLOCK_RECORDS + 3 * PAGE_BYTES / PAGE_ENTRIES),
        "reads_for_new": chunks / 2**36,
    }


def render(results: Row) -> str:
    """Return all tables."""
    rows = results["rows"]
    assert isinstance(rows, list)
    return "\n\n".join(
        [
            machine_lines(results),
            "### Look-ups and start-up\n\n" + _rates(rows),
            "### Memory and disk, measured and by the model\n\n" + _sizes(rows),
        ]
    ) + "\n"  # fmt: skip


def _rates(rows: list[Row]) -> str:
    head = ["chunks", "new/s", "known together/s", "known scattered/s", "known, one by one/s"]
    head += ["open, s", "open after a kill, s", "record, µs a chunk", "bind, µs a chunk"]
    return table(
        head,
        [
            [f"{row['chunks']:,}"]
            + [f"{row[name]:,.0f}" for name in ("new_per_s", "known_together_per_s",
                                                "known_scattered_per_s", "known_singly_per_s")]
            + [f"{row[name]:.2f}" for name in ("open_s", "open_after_kill_s")]
            + [f"{row[name]:.1f}" for name in ("record_us", "bind_us")]
            for row in rows
        ],
    )  # fmt: skip


def _sizes(rows: list[Row]) -> str:
    head = [
        "chunks",
        "memory, bytes a chunk",
        "of the process",
        "by the model",
        f"≤ {MEMORY_TARGET:g}",
    ]
    head += ["file, bytes a chunk", "by the model", "reads for a new chunk", "by the model"]
    lines = [_measured(row) for row in rows] + [_projected(count) for count in PROJECTED]
    return table(head, lines)


def _measured(row: Row) -> list[str]:
    count = int(row["chunks"])  # type: ignore[call-overload]
    wanted = model(count)
    own = float(row["memory_bytes"]) / count  # type: ignore[arg-type]
    return [
        f"{count:,}",
        f"{own:.2f}",
        f"{float(row['process_memory_bytes']) / count:.2f}",  # type: ignore[arg-type]
        f"{wanted['memory_bytes'] / count:.2f}",
        _kept(own),
        f"{float(row['file_bytes']) / count:.0f}",  # type: ignore[arg-type]
        f"{wanted['file_bytes'] / count:.0f}",
        f"{100 * float(row['reads_for_new']):.3f} %",  # type: ignore[arg-type]
        f"{100 * wanted['reads_for_new']:.3f} %",
    ]


def _projected(count: int) -> list[str]:
    wanted = model(count)
    memory = wanted["memory_bytes"] / count
    return [
        f"{count:,}", "", "", f"{memory:.2f}", _kept(memory), "", f"{wanted['file_bytes'] / count:.0f}",
        "", f"{100 * wanted['reads_for_new']:.3f} %",
    ]  # fmt: skip


def _kept(memory: float) -> str:
    return "yes" if memory <= MEMORY_TARGET else "no"
