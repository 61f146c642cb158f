"""Count how many of the matches have each theme, format and owner: the most frequent of each."""

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from hansa import limits
from hansa.index.bits import Rows
from hansa.index.cells import facets_of
from hansa.index.columns import Reader
from hansa.index.data_index import DataIndex
from hansa.index.pages import ranges
from hansa.index.records import IndexRecord

_FACETS = {"t": "theme", "f": "format", "o": "owner"}
_COUNT_SHIFT = 32
Counts = dict[str, dict[str, int]]
"""theme, format, owner: how many have each value, in order of number, then name."""


def count_records(records: Sequence[IndexRecord]) -> Counts:
    """Return the counts of some records."""
    return _most(_counters(records))


def count_rows(base: DataIndex, rows: Rows, added: Sequence[IndexRecord], reader: Reader) -> Counts:
    """Return the counts of some rows of a file, which rise, and of records beside it."""
    facets = base.column("facets").gather_fields(rows, reader, ("start", "count"))
    values = base.column("facet_values").gather(ranges(facets["start"], facets["count"]), reader)
    kinds, ranks = base.facet_order(reader)
    sums = np.bincount(values, minlength=len(kinds))
    counters = _counters(added)
    for kind, name in _FACETS.items():
        numbers = ((kinds == ord(kind)) & (sums > 0)).nonzero()[0]
        if not added:
            # Then those that are shown follow from numbers alone, and only they need their names.
            keys = ranks[numbers] - (sums[numbers] << _COUNT_SHIFT)
            numbers = numbers[keys.argsort()[: limits.INDEX_FACETS_MAX]]
        counter = counters[name]
        for number, count in zip(numbers.tolist(), sums[numbers].tolist(), strict=True):
            counter[base.facet_name(number, reader)[1:]] += count
    return _most(counters)


def _counters(records: Sequence[IndexRecord]) -> dict[str, Counter[str]]:
    counters: dict[str, Counter[str]] = {name: Counter() for name in _FACETS.values()}
    for record in records:
        for kind, values in facets_of(record).items():
            counters[_FACETS[kind]].update(values)
    return counters


def _most(counters: Mapping[str, Counter[str]]) -> Counts:
    """Return the most frequent, in order of number, then name."""
    return {
        name: dict(
            sorted(counter.items(), key=lambda item: (-item[1], item[0]))[: limits.INDEX_FACETS_MAX]
        )
        for name, counter in counters.items()
    }
