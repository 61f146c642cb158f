"""How answers look to people: tables, sizes, times; nothing coloured when not on a terminal."""

import re
import shutil
import sys
import textwrap
import unicodedata
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:  # rich takes a tenth of a second to import, and few commands draw with it
    from rich.progress import Progress

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")
_ID = re.compile(r"[0-9a-f]{12,}|https?://\S+")
_GAP = "  "
WORD_CELLS_MAX = 40
"""Longer words may be broken to keep a table within the line; ids, keys and addresses never."""
WITHOUT_TERMINAL = 1_000_000
"""Cells in a line when a program reads along: nothing is wrapped."""


def clean(text: str) -> str:
    """Return a text without characters that would steer the terminal; others wrote most texts."""
    return "".join(
        character if character.isprintable() else " " if character.isspace() else "\ufffd"
        for character in text
    )


def print_table(
    columns: Sequence[str], rows: Iterable[Sequence[object]], *, none: str = "none"
) -> None:
    """Print rows under headings, as wide as the terminal; ids, keys and addresses stay whole.

    Args:
        columns: headings.
        rows: cells; None is empty.
        none: what to print if there is no row.
    """
    cells = [[clean("" if cell is None else str(cell)) for cell in row] for row in rows]
    if not cells:
        click.echo(none)
        return
    widths = _fit([list(columns), *cells], _line_width())
    click.secho(_line(list(columns), widths), bold=True)
    for row in cells:
        wrapped = [
            textwrap.wrap(
                cell, width, break_on_hyphens=False, break_long_words=not _ID.search(cell)
            )
            or [""]
            for cell, width in zip(row, widths, strict=True)
        ]
        for number in range(max(map(len, wrapped))):
            click.echo(
                _line([part[number] if number < len(part) else "" for part in wrapped], widths)
            )


def print_fields(fields: Iterable[tuple[str, object]]) -> None:
    """Print name and value pairs, one a line; empty values are left out."""
    pairs = [(name, value) for name, value in fields if value not in ("", None, [], ())]
    width = max((len(name) for name, _ in pairs), default=0)
    for name, value in pairs:
        text = ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
        click.echo(f"{name.ljust(width)}  {clean(text)}")


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


def short(digest: str) -> str:
    """Return the head of a digest, where no command takes the whole."""
    return f"{digest[:12]}…" if len(digest) > 12 else digest


def transfer_progress(*, hidden: bool) -> "AbstractContextManager[Progress]":
    """Return a progress display for bytes on standard error; silent when hidden or no terminal."""
    from rich.console import Console  # noqa: PLC0415 - see the head
    from rich.progress import (  # noqa: PLC0415
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

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


def work_progress(*, hidden: bool) -> "AbstractContextManager[Progress]":
    """Return a display of how far long work is, in percent; silent when hidden or no terminal."""
    from rich.console import Console  # noqa: PLC0415 - see the head
    from rich.progress import (  # noqa: PLC0415
        BarColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeElapsedColumn,
    )

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
        disable=hidden or not sys.stderr.isatty(),
    )


# --- laying out a table -------------------------------------------------------------------------


def _line_width() -> int:
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else WITHOUT_TERMINAL


def _cells(text: str) -> int:
    """Return how many cells of the terminal a text takes; East Asian characters take two."""
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1
        for char in text
    )


def _word_cells(text: str) -> int:
    """Return how many cells the longest part of a text takes that is not to be broken."""
    return max(
        (_cells(w) if _ID.search(w) else min(_cells(w), WORD_CELLS_MAX) for w in text.split()),
        default=0,
    )


def _fit(rows: list[list[str]], line: int) -> list[int]:
    """Return a width for each column: the widest column of words gives way first."""
    widths = [max(_cells(cell) for cell in column) for column in zip(*rows, strict=True)]
    floors = [max(map(_word_cells, column)) for column in zip(*rows, strict=True)]
    over = sum(widths) + len(_GAP) * (len(widths) - 1) - line
    while over > 0:
        room = [width - floor for width, floor in zip(widths, floors, strict=True)]
        widest = max(range(len(widths)), key=lambda i: widths[i] if room[i] > 0 else -1)
        if room[widest] <= 0:
            break
        widths[widest] -= 1
        over -= 1
    return widths


def _line(parts: list[str], widths: list[int]) -> str:
    return _GAP.join(
        part + " " * max(0, width - _cells(part)) for part, width in zip(parts, widths, strict=True)
    ).rstrip()
