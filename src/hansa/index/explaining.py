"""What a question cost, layer by layer, and why clusters were not looked into."""

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from hansa.index.columns import CountingReader
from hansa.index.data_index import DataIndex
from hansa.index.question import Explanation, Question, Refusal
from hansa.index.selecting import Selection

REFUSALS_MAX = 50
Pages = npt.NDArray[np.int64]


class Cost:
    """Counts while a question is on its way."""

    def __init__(self, clock_us: Callable[[], int], start_us: int) -> None:
        self._clock_us = clock_us
        self._marks = [start_us]
        self.examined = 0
        """Rows whose columns or records were looked at, additions included."""

    @property
    def spent_us(self) -> int:
        """Return the time up to the last mark."""
        return self._marks[-1] - self._marks[0]

    def mark(self) -> None:
        """Note that a layer is done."""
        self._marks.append(self._clock_us())

    def explain(
        self,
        base: DataIndex | None,
        question: Question,
        absent: str,
        reader: CountingReader | None,
        selection: Selection | None,
        *,
        explain: bool,
    ) -> Explanation:
        """Return what is told about a question by words, facets, place and time."""
        self.mark()
        if base is None or not explain:
            return self._figures(base, reader, pages=0, refusals=(), refused=0, absent=absent)
        pages: Pages = np.zeros(0, dtype=np.int64)
        if selection is not None:
            pages = np.unique(base.cluster_index.page_of(selection.as_rows()))
        reasons: dict[int, str] = {}
        entries = base.cluster_index.entries
        if absent:
            reasons = dict.fromkeys(range(len(entries)), f"{absent} anywhere")
        else:
            for ruling in base.discriminant.rule(question):
                left = base.cluster_index.clusters_of_pages(np.flatnonzero(ruling.pages))
                for place in np.setdiff1d(np.arange(len(entries)), left).tolist():
                    reasons.setdefault(place, ruling.reason)
        return self._told(
            base, pages, reasons=reasons, reader=reader, absent=absent, otherwise=_UNLISTED
        )

    def explain_pages(
        self, base: DataIndex | None, pages: Pages, reader: CountingReader | None, *, explain: bool
    ) -> Explanation:
        """Return what is told about a question by nearness alone."""
        self.mark()
        if base is None or not explain:
            return self._figures(base, reader, pages=len(pages), refusals=(), refused=0, absent="")
        return self._told(
            base, pages, reasons={}, reader=reader, absent="", otherwise="its rows are further away"
        )

    def _told(
        self,
        base: DataIndex,
        pages: Pages,
        *,
        reasons: Mapping[int, str],
        reader: CountingReader | None,
        absent: str,
        otherwise: str,
    ) -> Explanation:
        index = base.cluster_index
        looked = set(index.clusters_of_pages(pages).tolist())
        refused = [place for place in range(len(index.entries)) if place not in looked]
        refusals = tuple(
            Refusal(index.label(place), reasons.get(place, otherwise))
            for place in refused[:REFUSALS_MAX]
        )
        return self._figures(
            base, reader, pages=len(pages), refusals=refusals, refused=len(refused), absent=absent
        )

    def _figures(
        self,
        base: DataIndex | None,
        reader: CountingReader | None,
        *,
        pages: int,
        refusals: tuple[Refusal, ...],
        refused: int,
        absent: str,
    ) -> Explanation:
        marks = [*self._marks, *([self._marks[-1]] * 3)]
        layers: list[Any] = [after - before for before, after in pairwise(marks)]
        return Explanation(
            clusters=len(base.cluster_index.entries) if base else 0,
            refusals=refusals,
            clusters_refused=refused,
            refused_by="discriminant table" if absent else "",
            pages_read=pages,
            rows_read=self.examined,
            bytes_read=reader.bytes_read if reader else 0,
            discriminant_us=layers[0],
            cluster_us=layers[1] if len(self._marks) > 3 else 0,
            data_us=layers[2] if len(self._marks) > 3 else layers[1],
        )


_UNLISTED = "none of its rows is listed under all that is asked"
