"""Build the three layers from a dump, ask, compare each answer with a naive scan, and measure.

The index lies on the local disk, as a node's. What a refused question reads is counted twice: by the
index, byte for byte, and by the operating system (`rchar` of /proc/self/io, where there is one).
"""

import gc
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import msgspec
import numpy as np

from hansa import limits
from hansa.cli.trying.asked import parse_line
from hansa.cli.trying.drawing import ABSENT_KINDS, Drawn
from hansa.cli.trying.dump import Dump
from hansa.cli.trying.naive import Found, NaiveScan
from hansa.cli.trying.picture import Dots
from hansa.index import Answer, IndexChange, IndexFiles, IndexParameters, InformationIndex, Question
from hansa.index.features import MODEL
from hansa.types import Height

_COUNTERS = Path("/proc/self/io")
_WRONG_SHOWN = 5


class Trial:
    """One catalogue in an index of its own."""

    def __init__(self, dump: Dump, files: IndexFiles) -> None:
        """Build the index: all of the dump in one block, clustered by it."""
        self._dump = dump
        parameters = IndexParameters(MODEL, max(8, len(dump.records)))
        start = time.perf_counter()
        self.index = InformationIndex.open(
            files, parameters, lambda: time.perf_counter_ns() // 1_000
        )
        changes = [IndexChange(record.dataset, record) for record in dump.records]
        self.index.apply(Height(1), changes)
        self._build_s = time.perf_counter() - start

    def describe(self) -> dict[str, Any]:
        """Return what was built, in figures."""
        stats = self.index.stats()
        count = len(self._dump.records)
        return {
            "descriptions": count,
            "lines": self._dump.lines,
            "lines_left_out": self._dump.lines_left_out,
            "repeated_ids": self._dump.repeated_ids,
            "clusters": len(stats.clusters),
            "cluster_sizes": [cluster.rows for cluster in stats.clusters],
            "cluster_words": [list(cluster.words) for cluster in stats.clusters],
            "bandwidth_squared": stats.bandwidth_squared,
            "digest": self.index.digest().hex(),
            "upper_layers_bytes": stats.upper_layers_bytes,
            "upper_layers_bytes_per_description": round(stats.upper_layers_bytes / count, 2),
            "kept_bytes": stats.kept_bytes,
            "file_bytes": stats.file_bytes,
            "build_s": round(self._build_s, 3),
        }

    def dots(self) -> Dots:
        """Return what a picture of the clusters shows."""
        stats = self.index.stats()
        numbers = {cluster.label: number for number, cluster in enumerate(stats.clusters)}
        features = np.array([record.features for record in self._dump.records], dtype=np.int64)
        labels = [self.index.cluster_of(record.dataset) for record in self._dump.records]
        words = [" ".join(cluster.words[:2]) for cluster in stats.clusters]
        return Dots(features, np.array([numbers[label] for label in labels]), words)

    def ask_all(self, drawn: Sequence[Drawn], scan: NaiveScan) -> dict[str, Any]:
        """Ask every question, compare its answer, and return what came of it."""
        self._warm(drawn)
        wrong: list[dict[str, Any]] = []
        times: defaultdict[str, list[float]] = defaultdict(list)
        # Each once, those of a kind one after the other and no scan between: else what is measured
        # is how the processor's caches fill again.
        drawn = sorted(drawn, key=lambda item: (item.kind, item.about))
        answers: list[Answer] = []
        for item in drawn:
            answer, spent_us = self._ask(item.question)
            answers.append(answer)
            times[item.kind].append(spent_us)
        for item, answer in zip(drawn, answers, strict=True):
            expected = scan.ask(item.question)
            if not agrees(answer, expected):
                wrong.append(_told(item, answer, expected))
        absent = [(i, a) for i, a in zip(drawn, answers, strict=True) if i.kind in ABSENT_KINDS]
        rows = sum(answer.explanation.rows_read for answer in answers)
        return {
            "questions": len(drawn),
            "answers_wrong": len(wrong),
            "wrong": wrong[:_WRONG_SHOWN],
            "rows_read_share": _share(rows, len(drawn) * len(self._dump.records)),
            **_absent_figures(absent),
            "absent_bytes_read_by_system": self._read_by_system(
                [item.question for item, answer in absent if not answer.explanation.read_anything]
            ),
            "kinds": _kinds(drawn, answers),
            "time_us": {kind: _spread(spent) for kind, spent in sorted(times.items())},
            "time_us_p50": _rounded(median(t for spent in times.values() for t in spent)),
            "absent_time_us_p50": _rounded(
                median([t for kind in ABSENT_KINDS for t in times.get(kind, ())] or [0.0])
            ),
        }

    def ask_each(
        self, questions: Iterable[Question], scan: NaiveScan
    ) -> tuple[list[dict[str, Any]], list[Drawn]]:
        """Ask questions from a file; return each answer in short, and the questions."""
        told: list[dict[str, Any]] = []
        drawn: list[Drawn] = []
        for question in questions:
            answer, spent_us = self._ask(question)
            is_absent = not scan.ask(question).total
            drawn.append(Drawn("absent" if is_absent else "present", "file", question))
            told.append(
                {
                    "total": answer.total,
                    "titles": [match.record.title for match in answer.matches[:10]],
                    "ids": [match.dataset.hex() for match in answer.matches],
                    "scores": [match.score for match in answer.matches],
                    "refused_by": answer.explanation.refused_by,
                    "rows_read": answer.explanation.rows_read,
                    "bytes_read": answer.explanation.bytes_read,
                    "time_us": _rounded(spent_us),
                }
            )
        return told, drawn

    def _ask(self, question: Question) -> tuple[Answer, float]:
        """Return the answer and the time it took, in microseconds."""
        start = time.perf_counter_ns()
        answer = self.index.ask(question, explain=False)
        first = time.perf_counter_ns() - start
        return answer, first / 1_000

    def _warm(self, drawn: Sequence[Drawn]) -> None:
        """Ask one question of each kind, so that no measured one pays for imports and first looks."""
        for item in {item.kind: item for item in drawn}.values():
            self.index.ask(item.question)
        gc.collect()

    def _read_by_system(self, questions: Sequence[Question]) -> int | None:
        """Return the bytes this process read while it answered, by the operating system's counter."""
        if not _COUNTERS.exists():
            return None
        idle = _bytes_read(lambda: None)
        busy = _bytes_read(lambda: [self.index.ask(question) for question in questions])
        return max(0, busy - idle)


def agrees(answer: Answer, expected: Found) -> bool:
    """Tell whether an answer is exactly what a naive scan found: rows, order, scores and counts."""
    shown = tuple((match.score, match.dataset) for match in answer.matches)
    counts = {name: dict(counter) for name, counter in answer.facets.items()}
    wanted = {name: _most(counter) for name, counter in expected.facets.items()}
    return (answer.total, shown, counts) == (expected.total, expected.matches, wanted)


def _most(counter: dict[str, int]) -> dict[str, int]:
    order = sorted(counter.items(), key=lambda item: (-item[1], item[0]))
    return dict(order[: limits.INDEX_FACETS_MAX])


def _told(item: Drawn, answer: Answer, expected: Found) -> dict[str, Any]:
    return {
        "kind": item.kind,
        "about": item.about,
        "question": repr(item.question),
        "total": answer.total,
        "expected_total": expected.total,
        "ids": [match.dataset.hex() for match in answer.matches[:_WRONG_SHOWN]],
        "expected_ids": [dataset.hex() for _, dataset in expected.matches[:_WRONG_SHOWN]],
    }


def _absent_figures(absent: Sequence[tuple[Drawn, Answer]]) -> dict[str, Any]:
    """Return how many absent questions were refused unread, and what the others read."""
    plain = [(item, answer) for item, answer in absent if item.kind != "words-apart"]
    return {
        "absent_questions": len(absent),
        "absent_refused_share": _refused_share(plain),
        "absent_out_of_range_refused_share": _refused_share(
            [pair for pair in absent if pair[0].kind == "absent"]
        ),
        "absent_in_range_refused_share": _refused_share(
            [pair for pair in absent if pair[0].kind == "in-range"]
        ),
        "absent_facets_apart_refused_share": _refused_share(
            [pair for pair in absent if pair[0].kind == "apart"]
        ),
        "absent_words_apart_refused_share": _refused_share(
            [pair for pair in absent if pair[0].kind == "words-apart"]
        ),
        "absent_bytes_read": sum(
            answer.explanation.bytes_read for _, answer in absent if _is_refused(answer)
        ),
        "absent_not_refused_bytes_read": sum(
            answer.explanation.bytes_read for _, answer in absent if not _is_refused(answer)
        ),
    }


def _is_refused(answer: Answer) -> bool:
    return answer.explanation.refused_by != ""


def _refused_share(pairs: Sequence[tuple[Drawn, Answer]]) -> float | None:
    """Return the share refused with nothing read, or None where nothing was asked."""
    if not pairs:
        return None
    unread = sum(
        _is_refused(answer) and not answer.explanation.read_anything for _, answer in pairs
    )
    return _share(unread, len(pairs))


def _kinds(drawn: Sequence[Drawn], answers: Sequence[Answer]) -> dict[str, dict[str, int]]:
    """Return for each kind and subject how many were asked and how many refused."""
    asked: Counter[str] = Counter()
    refused: Counter[str] = Counter()
    for item, answer in zip(drawn, answers, strict=True):
        name = item.kind if "+" in item.about else f"{item.kind} {item.about}"
        asked[name] += 1
        refused[name] += _is_refused(answer)
    return {name: {"asked": asked[name], "refused": refused[name]} for name in sorted(asked)}


def _bytes_read(work: Callable[[], object]) -> int:
    before = _read_counter()
    work()
    return _read_counter() - before


def _read_counter() -> int:
    fields = dict(line.split(": ") for line in _COUNTERS.read_text().splitlines())
    return int(fields["rchar"])


def _spread(spent: Sequence[float]) -> dict[str, float]:
    ordered = sorted(spent)
    return {
        "p50": _rounded(median(ordered)),
        "p99": _rounded(ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)]),
        "max": _rounded(ordered[-1]),
    }


def _share(part: int, whole: int) -> float:
    return round(part / whole, 6) if whole else 0.0


def _rounded(value: float) -> float:
    return round(value, 1)


def read_questions(path: Path) -> list[Question]:
    """Return the questions of a file, one a line (`asked`).

    Raises:
        InvalidError: a line is no question; the message names the line.
    """
    lines = path.read_text(errors="replace").splitlines()
    return [parse_line(line, number) for number, line in enumerate(lines, 1) if line.strip()]


def to_json(value: object) -> str:
    """Return a value as one JSON document."""
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
