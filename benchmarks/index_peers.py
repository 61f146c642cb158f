"""What the index is measured beside: a vectorised scan, SQLite with its best indexes and FTS5, BallTree, FAISS.

All hold the same descriptions in the same process and answer in turn with Hansa: how many match and
the first twenty, by id.
"""

import importlib
import multiprocessing
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from hansa.index.cells import bare, facets_of, strong_words
from hansa.index.question import Question
from hansa.index.records import IndexRecord
from hansa.index.words import fold

SHOWN = 20
FAISS = Path(__file__).resolve().parents[1] / "build" / "bench" / "faiss"


class Scan:
    """Every column compared as a whole array: the fastest that needs no index at all."""

    def __init__(self, records: Sequence[IndexRecord]) -> None:
        order = sorted(range(len(records)), key=lambda number: records[number].dataset)
        ordered = [records[number] for number in order]
        self.ids = [record.dataset for record in ordered]
        self._codes: dict[str, dict[str, int]] = {"t": {}, "f": {}, "o": {}}
        values = [facets_of(record) for record in ordered]
        self._columns = {kind: self._column(kind, values) for kind in "tfo"}
        none = (1 << 31) - 1
        self._box = np.array(
            [msgfields(r.box) if r.box else (none, none, -none, -none)
             for r in ordered], dtype=np.int32).T.copy()  # fmt: skip
        far = 1 << 62
        self._time = np.array(
            [msgfields(r.interval) if r.interval else (far, -far) for r in ordered], dtype=np.int64
        ).T.copy()

    def _column(self, kind: str, values: list[dict[str, tuple[str, ...]]]) -> np.ndarray[Any, Any]:
        codes = self._codes[kind]
        width = max(len(v[kind]) for v in values)
        column = np.full((width, len(values)), -1, dtype=np.int32)
        for row, value in enumerate(values):
            for place, text in enumerate(value[kind]):
                column[place, row] = codes.setdefault(text, len(codes))
        return column

    def ask(self, question: Question) -> tuple[int, list[int]]:
        """Return how many match and the first twenty, by place in the order of ids."""
        mask = np.ones(len(self.ids), dtype=np.bool_)
        for kind, text in (
            ("t", fold(question.theme)),
            ("f", fold(question.format)),
            ("o", question.owner),
        ):
            if text:
                mask &= (self._columns[kind] == self._codes[kind].get(text, -2)).any(axis=0)
        if question.box is not None:
            box, (west, south, east, north) = question.box, self._box
            mask &= (west <= box.east) & (east >= box.west) & (south <= box.north)
            mask &= north >= box.south
        if question.interval is not None:
            start, end = self._time
            mask &= (start <= question.interval.end_ms) & (end >= question.interval.start_ms)
        found = np.flatnonzero(mask)
        return len(found), found[:SHOWN].tolist()


def msgfields(value: Any) -> tuple[int, ...]:
    """Return a struct's fields in order."""
    return tuple(getattr(value, name) for name in value.__struct_fields__)


def _facet_rows(rows: Sequence[tuple[int, IndexRecord]]) -> Iterator[tuple[str, str, int]]:
    for number, record in rows:
        for kind, values in facets_of(record).items():
            for value in values:
                yield kind, value, number


def _word_rows(rows: Sequence[tuple[int, IndexRecord]]) -> Iterator[tuple[int, str, str]]:
    for number, record in rows:
        strong = strong_words(record)
        plain = " ".join(word for word in record.words if word not in strong)
        yield number, " ".join(strong), plain


class Sqlite:
    """SQLite in memory: a covering index for each facet, an R-tree for places, FTS5 for words.

    It is filled in a process of its own, on another core, while the rest is built.
    """

    def __init__(self, records: Sequence[IndexRecord]) -> None:
        self._folder = TemporaryDirectory()
        self._path = Path(self._folder.name) / "peer.sqlite"
        process = multiprocessing.get_context("fork").Process
        self._filling = process(target=self._fill, args=(records,))
        self._filling.start()

    def wait(self) -> None:
        """Wait until it is filled, and take it into memory."""
        self._filling.join()
        assert self._filling.exitcode == 0
        self._base = sqlite3.connect(":memory:")
        with closing(sqlite3.connect(self._path)) as disk:
            disk.backup(self._base)
        self._folder.cleanup()

    def _fill(self, records: Sequence[IndexRecord]) -> None:
        ordered = sorted(records, key=lambda record: record.dataset)
        base = sqlite3.connect(":memory:")
        base.executescript(
            "create table facet(kind text, value text, row integer, primary key(kind, value, row)) without rowid;"
            "create virtual table place using rtree_i32(row, west, east, south, north);"
            "create table time(row integer primary key, start integer, stop integer);"
            "create index by_time on time(start, stop, row);"
            "create table dataset(id blob primary key, row integer) without rowid;"
            "create table named(title text, row integer, primary key(title, row)) without rowid;"
            "create virtual table words using fts5(strong, plain, content='', detail=full,"
            ' tokenize="unicode61 remove_diacritics 2", columnsize=0);'
        )
        rows = list(enumerate(ordered))
        for statement, values in (
            ("insert or ignore into facet values(?, ?, ?)", _facet_rows(rows)),
            (
                "insert into place values(?, ?, ?, ?, ?)",
                ((n, r.box.west, r.box.east, r.box.south, r.box.north) for n, r in rows if r.box),
            ),
            (
                "insert into time values(?, ?, ?)",
                ((n, *msgfields(r.interval)) for n, r in rows if r.interval),
            ),
            ("insert into dataset values(?, ?)", ((r.dataset, n) for n, r in rows)),
            ("insert into named values(?, ?)", ((fold(r.title), n) for n, r in rows)),
            ("insert into words(rowid, strong, plain) values(?, ?, ?)", _word_rows(rows)),
        ):
            base.executemany(statement, values)
        base.execute("insert into words(words) values('optimize')")
        base.execute("analyze")
        base.commit()
        with closing(sqlite3.connect(self._path)) as disk:
            base.backup(disk)

    def ask(self, question: Question) -> tuple[int, list[int]]:
        """Return how many match and the first twenty, by place in the order of ids."""
        parts: list[str] = []
        values: list[object] = []
        for kind, text in (
            ("t", fold(question.theme)),
            ("f", fold(question.format)),
            ("o", question.owner),
        ):
            if text:
                parts.append("select row from facet where kind = ? and value = ?")
                values += [kind, text]
        if question.box is not None:
            b = question.box
            parts.append("select row from place where west <= ? and east >= ? and south <= ? and north >= ?")  # fmt: skip
            values += [b.east, b.west, b.north, b.south]
        if question.interval is not None:
            parts.append("select row from time where start <= ? and stop >= ?")
            values += [question.interval.end_ms, question.interval.start_ms]
        rows = self._base.execute(" intersect ".join(parts), values).fetchall()
        return len(rows), [row for (row,) in rows[:SHOWN]]

    def words(self, question: Question) -> tuple[int, list[int]]:
        """Return how many have all words, and the first twenty: strong ones first, then by id."""
        asked = " AND ".join(f'"{bare(word)}"' for word in question.words)
        found = self._base.execute(
            "select rowid from words where words match ? order by rowid", (asked,)
        ).fetchall()
        return len(found), [row for (row,) in found[:SHOWN]]

    def absent_word(self, word: str) -> bool:
        """Tell whether a word is found."""
        return bool(
            self._base.execute(
                "select rowid from words where words match ? limit 1", (f'"{word}"',)
            ).fetchone()
        )

    def absent_id(self, dataset: bytes) -> bool:
        """Tell whether an id is found."""
        return bool(
            self._base.execute("select row from dataset where id = ?", (dataset,)).fetchone()
        )


def nearest_peers(features: np.ndarray[Any, Any]) -> dict[str, Callable[[Any, int], Any]]:
    """Return how to ask each for the nearest of one point; FAISS is installed if it is not there."""
    from sklearn.neighbors import BallTree  # noqa: PLC0415 - slow to import

    peers: dict[str, Callable[[Any, int], Any]] = {}
    tree = BallTree(features.astype(np.float64), leaf_size=40)
    peers["BallTree"] = lambda point, k: tree.query(point[None, :].astype(np.float64), k)[0][0] ** 2
    faiss = find_faiss()
    if faiss is not None:
        flat = faiss.IndexFlatL2(features.shape[1])
        flat.add(features.astype(np.float32))
        faiss.omp_set_num_threads(1)
        peers["FAISS flat"] = lambda point, k: flat.search(point[None, :].astype(np.float32), k)[0][
            0
        ]
    return peers


def find_faiss() -> Any:
    """Return the module, installed beside the benchmarks' own files, or None without a registry."""
    sys.path.append(str(FAISS))
    try:
        import faiss  # noqa: PLC0415
    except ImportError:
        tools = FAISS.with_name("tools")
        words = [
            str(tools / "bin" / "pip"),
            "install",
            "--quiet",
            "--no-deps",
            "--target",
            str(FAISS),
        ]
        try:
            subprocess.run([sys.executable, "-m", "venv", str(tools)], check=True, timeout=120)
            subprocess.run([*words, "faiss-cpu"], check=True, timeout=300)
        except (OSError, subprocess.SubprocessError):
            return None
        importlib.invalidate_caches()
        import faiss  # noqa: PLC0415
    return faiss
