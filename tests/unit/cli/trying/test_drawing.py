"""Drawing: the same questions from the same seed, of every kind, and absent ones are absent."""

import json

import pytest

from hansa.cli.trying.drawing import ABSENT_KINDS, KINDS, Drawing
from hansa.cli.trying.dump import to_record
from hansa.cli.trying.naive import NaiveScan
from hansa.index.question import validate_question


def scan_of(count, **more):
    return NaiveScan(
        [
            to_record(
                {"id": n, "title": f"Trees {n % 7} of {n}", "theme": [f"t{n % 3}"],
                 "publisher": f"p{n % 5}", "format": [f"f{n % 4}"]}
                | {name: make(n) for name, make in more.items()}, n)
            for n in range(count)
        ]
    )  # fmt: skip


def test_every_kind_is_drawn_and_true_to_its_name():
    """Present ones match, absent ones do not; all are questions the index takes."""
    scan = scan_of(
        60,
        spatial=lambda n: [n % 9, 40 + n % 5, n % 9 + 0.1, 40.1 + n % 5],
        temporal_start=lambda n: str(1850 + 2 * n),
    )
    drawn = list(Drawing(scan, 5).questions(200))
    assert 200 == len(drawn)
    assert set(KINDS) == {item.kind for item in drawn}
    for item in drawn:
        validate_question(item.question)
        assert scan.has_any(item.question) == (item.kind not in ABSENT_KINDS), item
    assert drawn == list(Drawing(scan, 5).questions(200))
    assert drawn != list(Drawing(scan, 6).questions(200))
    assert {"box", "time", "word"} <= {item.about for item in drawn if item.kind == "in-range"}


@pytest.mark.parametrize("entry", [{}, {"title": "漢字"}, {"title": "!!", "publisher": "x"}])
def test_poor_catalogues_give_what_they_can(entry):
    """One record, hardly a word: questions are drawn without end or error."""
    drawn = list(Drawing(NaiveScan([to_record(entry, 1)]), 1).questions(40))
    assert len(drawn) > 5, json.dumps(entry)
