"""Trials: every answer is compared, a wrong one is told, reads are counted twice."""

import msgspec
import pytest

from hansa.cli.trying.drawing import Drawing
from hansa.cli.trying.dump import Dump, to_record
from hansa.cli.trying.naive import NaiveScan
from hansa.cli.trying.run import Trial, agrees, read_questions
from hansa.errors import InvalidError
from hansa.index import MemoryIndexFiles, Question

FIELDS = {
    "questions", "answers_wrong", "rows_read_share", "absent_refused_share", "absent_bytes_read",
    "absent_bytes_read_by_system", "time_us",
}  # fmt: skip


def records_of(count):
    return tuple(
        to_record(
            {"id": n, "title": f"Trees {n % 7} of zürich {n}", "theme": [f"t{n % 3}"],
             "publisher": f"p{n % 5}", "format": [f"f{n % 4}"],
             "spatial": [n % 9, 40 + n % 5, n % 9 + 0.1, 40.1 + n % 5],
             "temporal_start": str(1950 + n % 70)}, n)
        for n in range(count)
    )  # fmt: skip


@pytest.mark.parametrize("count", [1, 6, 150])
def test_every_answer_is_right(count):
    """Few datasets (in memory only) and more (on disk): nothing wrong, all that is asked for told."""
    records = records_of(count)
    trial = Trial(Dump(records, count, 0, 0), MemoryIndexFiles())
    scan = NaiveScan(records)
    report = trial.describe() | trial.ask_all(list(Drawing(scan, 3).questions(80)), scan)
    assert report.keys() >= FIELDS | {"clusters", "cluster_sizes"}
    assert (0, count) == (report["answers_wrong"], sum(report["cluster_sizes"])), report["wrong"]
    assert 0 == report["absent_bytes_read"]
    assert report["absent_bytes_read_by_system"] in {0, None}
    assert report["absent_out_of_range_refused_share"] > 0.95
    dots = trial.dots()
    assert count == len(dots.clusters)


def test_a_wrong_answer_is_told():
    """Answers about other records than the scan's are seen as wrong."""
    records = records_of(60)
    trial = Trial(Dump(records[:50], 50, 0, 0), MemoryIndexFiles())
    scan = NaiveScan(records)
    report = trial.ask_all(list(Drawing(scan, 3).questions(60)), scan)
    assert report["answers_wrong"] > 0
    assert {"question", "expected_total"} <= report["wrong"][0].keys()


def test_order_scores_and_counts_are_compared():
    """The right rows in another order, or with other counts, are wrong."""
    records = records_of(30)
    trial = Trial(Dump(records, 30, 0, 0), MemoryIndexFiles())
    question = Question(theme="t1")
    answer, expected = trial.index.ask(question), NaiveScan(records).ask(question)
    assert agrees(answer, expected)
    turned = msgspec.structs.replace(answer, matches=tuple(reversed(answer.matches)))
    assert not agrees(turned, expected)
    assert not agrees(msgspec.structs.replace(answer, facets={}), expected)


def test_questions_of_a_file(tmp_path):
    """One a line; each answer is told in short."""
    (tmp_path / "q").write_text('trees\n\n{"theme": "none such"}\n')
    records = records_of(20)
    trial = Trial(Dump(records, 20, 0, 0), MemoryIndexFiles())
    told, drawn = trial.ask_each(read_questions(tmp_path / "q"), NaiveScan(records))
    assert [20, 0] == [answer["total"] for answer in told]
    assert ["present", "absent"] == [item.kind for item in drawn]
    (tmp_path / "q").write_text("{broken")
    with pytest.raises(InvalidError):
        read_questions(tmp_path / "q")
