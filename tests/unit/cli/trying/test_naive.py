"""The naive scan: the meaning of each part, on records small enough to see it."""

import pytest

from hansa.cli.trying.dump import id_of, to_record
from hansa.cli.trying.naive import NaiveScan, plain
from hansa.index.question import Circle, Question
from hansa.types import Box, Interval

RECORDS = [
    to_record(
        {"id": "zh", "title": "Bäume in Zürich", "theme": ["Umwelt"], "publisher": "Stadt",
         "format": ["CSV"], "spatial": [8.4, 47.3, 8.6, 47.5], "temporal_start": "2010"}, 1),
    to_record(
        {"id": "nyc", "title": "Street trees", "description": "Bäume", "theme": ["Environment"],
         "publisher": "City", "format": ["csv", "json"], "keywords": ["street tree count"]}, 2),
]  # fmt: skip
YEAR = Interval(1_262_304_000_000, 1_262_304_000_001)


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        (Question(words=("zurich",)), ["zh"]),
        (Question(words=("baume",)), ["zh", "nyc"]),
        (Question(prefixes=("tre",)), ["nyc"]),
        (Question(phrases=(("in", "zurich"),)), ["zh"]),
        (Question(phrases=(("trees", "street"),)), []),
        (Question(theme="umwelt"), ["zh"]),
        (Question(format="CSV"), ["zh", "nyc"]),
        (Question(owner="City"), ["nyc"]),
        (Question(title="STREET TREES"), ["nyc"]),
        (Question(dataset=id_of("zh")), ["zh"]),
        (Question(box=Box(8_600_000, 47_500_000, 9_000_000, 48_000_000)), ["zh"]),
        (Question(box=Box(8_600_001, 47_500_000, 9_000_000, 48_000_000)), []),
        (Question(near=Circle(8_700_000, 47_400_000, 8_000)), ["zh"]),
        (Question(near=Circle(8_700_000, 47_400_000, 7_000)), []),
        (Question(interval=YEAR), ["zh"]),
        (Question(like=id_of("zh")), ["nyc"]),
    ],
)
def test_each_part(question, expected):
    """What matches, and that strong words come first."""
    scan = NaiveScan(RECORDS)
    found = scan.ask(question)
    assert {id_of(name) for name in expected} == {dataset for _, dataset in found.matches}
    assert len(expected) == found.total
    assert bool(expected) == scan.has_any(question)


def test_order_paging_and_counts():
    """Strong before plain; counts over all that match, whatever is shown."""
    found = NaiveScan(RECORDS).ask(Question(words=("baume",), limit=1))
    assert ((3, id_of("zh")),) == found.matches
    assert {"csv": 2, "json": 1} == found.facets["format"]
    again = NaiveScan(RECORDS).ask(Question(words=("baume",), limit=1, offset=1))
    assert ((1, id_of("nyc")),) == again.matches
    assert "zurich" == plain("zürich")
