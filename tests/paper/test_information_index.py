"""The paper's claims about the information index (section 4.1, steps 2-6, and Figure 2)."""

import runpy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from hansa.index import IndexChange, IndexParameters, InformationIndex, MemoryIndexFiles, Question
from hansa.index.mean_shift import derive_bandwidth, mean_shift

MAKING = Path(__file__).parents[1] / "unit" / "index" / "making.py"
COUNT = 300


@pytest.fixture(scope="module")
def made():
    return SimpleNamespace(**runpy.run_path(str(MAKING)))


@pytest.fixture(scope="module")
def index(made):
    index = InformationIndex.open(
        MemoryIndexFiles(), IndexParameters(recluster_registrations=COUNT)
    )
    records = [made.make_record(number) for number in range(COUNT)]
    index.apply(1, [IndexChange(record.dataset, record) for record in records])
    return index


def test_4_1_mean_shift_finds_the_number_of_clusters_by_itself():
    """Step 3: no number of clusters is given; five heaps are found to be five."""
    draw = np.random.default_rng(4)
    heaps = np.array([[-80, 0], [80, 0], [0, 80], [0, -80], [0, 0]])
    points = heaps[draw.integers(0, 5, 300)] + draw.integers(-4, 5, (300, 2))
    assert 5 == len(mean_shift(points, derive_bandwidth(points, 150)).centres)


def test_4_1_every_dataset_has_a_label_and_lies_with_its_cluster(index):
    """Step 4: the data index is in the order of the clusters, each from start to end."""
    clusters = index._state.view.base.cluster_index
    entries = clusters.entries
    assert COUNT == entries["rows"].sum()
    ends = [0, *(entries["first"] + entries["rows"]).tolist()]
    assert entries["first"].tolist() == ends[:-1]
    assert len({clusters.label(place) for place in range(len(entries))}) == len(entries)


def test_4_1_labels_are_described(index):
    """Step 5: the discriminant table describes each label so that a person can read it."""
    assert all(cluster.words for cluster in index.stats().clusters)


def test_figure_2_what_no_label_fits_costs_nothing(made, index):
    """Figure 2: the discriminant table answers "not here" before the data index is touched."""
    for number in range(50):
        answer = index.ask(Question(words=(f"absent{number}",)))
        assert (0, 0, 0) == (
            answer.total,
            answer.explanation.pages_read,
            answer.explanation.bytes_read,
        )


def test_figure_2_only_the_clusters_that_fit_are_read(made, index):
    """Figure 2: a question about one dataset reads few of all pages, and finds it."""
    clusters = refused = 0
    for number in range(0, COUNT, 10):
        record = made.make_record(number)
        answer = index.ask(Question(dataset=record.dataset))
        assert [record] == [match.record for match in answer.matches]
        clusters += answer.explanation.clusters - 1
        refused += answer.explanation.clusters_refused
    assert refused > 0.9 * clusters


def test_4_1_step_6_an_addition_is_found_at_once(made, index):
    """Step 6: a new dataset joins a cluster and all three layers in its block's own step."""
    record = made.make_record(9_999, title="Lighthouse keepers", words=("keepers", "lighthouse"))
    question = Question(words=("lighthouse",))
    assert 0 == index.ask(question).total
    index.apply(2, [IndexChange(record.dataset, record)])
    assert [record] == [match.record for match in index.ask(question).matches]
    index.apply(3, [IndexChange(record.dataset, None)])
    assert 0 == index.ask(question).total
