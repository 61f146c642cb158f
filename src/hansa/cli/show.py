"""How answers look to people: tables, sizes, times; nothing coloured when not on a terminal."""

import sys
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Table

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def console() -> Console:
    """Return a console on standard output."""
    return Console(soft_wrap=True)


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print rows under headings; ids and keys are never cut."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*("" if cell is None else str(cell) for cell in row))
    console().print(table)


def print_fields(fields: Iterable[tuple[str, object]]) -> None:
    """Print name and value pairs, one a line; empty values are left out."""
    pairs = [(name, value) for name, value in fields if value not in ("", None, [], ())]
    width = max((len(name) for name, _ in pairs), default=0)
    for name, value in pairs:
        text = ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
        sys.stdout.write(f"{name.ljust(width)}  {text}\n")


def bytes_text(count: int) -> str:
    """Return a size for people: 1536 → "1.5 KiB"."""
    size = float(count)
    for unit in _UNITS:
        if size < 1024 or unit == _UNITS[-1]:
            return f"{count} B" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    raise AssertionError("unreachable")


def time_text(time_ms: int | None) -> str:
    """Return a time for people in UTC; empty for none."""
    if not time_ms:
        return ""
    return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")


def transfer_progress(*, hidden: bool) -> AbstractContextManager[Progress]:
    """Return a progress display for bytes on standard error; silent when hidden or no terminal."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(binary_units=True),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
        disable=hidden or not sys.stderr.isatty(),
    )
