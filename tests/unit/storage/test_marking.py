"""Tests of hansa.storage.marking: what is needed is marked, and nothing is guessed."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa import limits
from hansa.data.hash_index_table import VersionRef
from hansa.errors import CorruptError
from hansa.storage import marking
from hansa.storage.marking import NO_CLUSTER, ChainView, Marks, ids_of, mark_leased, mark_needed
from hansa.testing.doubles import SeededEntropy
from hansa.testing.versions import build_version
from tests.unit.storage.keeping import spoil_manifest
from tests.unit.storage.test_version_store import V1, V2, open_versions, publish

DIGESTS = [hashlib.sha256(b"%d" % n).digest() for n in range(64)]


@given(
    st.lists(st.tuples(st.sets(st.integers(0, 63)), st.integers(0, 9)), max_size=8),
    st.integers(1, 40),
)
def test_marks_against_a_dictionary(parts, pending_max):
    """Marks answer as a dictionary does that keeps the first value of each key."""
    before = marking._PENDING_MAX
    marking._PENDING_MAX = pending_max
    try:
        marks, model = Marks(), {}
        for chosen, cluster in parts:
            digests = [DIGESTS[n] for n in sorted(chosen)]
            marks.add(ids_of(digests), cluster)
            for digest in digests:
                model.setdefault(digest, cluster)
        asked = ids_of(DIGESTS)
        assert [digest in model for digest in DIGESTS] == list(marks.contain(asked))
        expected = [model.get(digest, NO_CLUSTER) for digest in DIGESTS]
        assert expected == list(marks.clusters(asked))
        assert len(model) == len(marks)
    finally:
        marking._PENDING_MAX = before


def test_the_living_and_the_leased_are_marked(tmp_path):
    """Versions of the chain, versions bound, manifests leased; each by its dataset's cluster."""
    versions = open_versions(tmp_path)
    kinds = ("on the chain", "bound", "leased", "dead")
    built = {kind: build_version({"a": kind.encode()}, SeededEntropy(kind)) for kind in kinds}
    for one in built.values():
        versions.chunks.put(one.uploads, 0)
        versions.put_manifest(one.manifest)
    versions.leases.drop_expired(1 << 60)
    publish(versions, built["bound"], V2)
    versions.attest(built["leased"].root, 5_000)
    clock = versions.leases._clock
    clock.time_ms += 1 << 40
    view = ChainView(3, clock.time_ms, {built["on the chain"].root: V1})
    steps = []
    early = ChainView(3, 0, view.living)
    found = {
        when: mark_needed(
            versions, which, lambda _: 5, lambda done, total: steps.append((done, total))
        )
        for when, which in (("early", early), ("late", view))
    }

    def clusters(marks, kind):
        return set(marks.clusters(marking.directory_ids(built[kind].directory)))

    assert [5, 5, NO_CLUSTER] == [clusters(found["early"], kind).pop() for kind in kinds[:3]]
    assert [5, 5] == [clusters(found["late"], kind).pop() for kind in kinds[:2]]
    late = found["late"]
    for kind in kinds[2:]:
        assert not late.contain(marking.directory_ids(built[kind].directory)).any()
    assert steps[-1] == (2, 2)


@pytest.mark.parametrize("bundled_max", [0, limits.BUNDLED_MANIFEST_BYTES_MAX])
@pytest.mark.parametrize("damage", ["missing", "changed"])
def test_a_living_manifest_that_cannot_be_read_stops_everything(
    tmp_path, damage, bundled_max, monkeypatch
):
    """What is needed cannot be told, so nothing may be collected; the message says what to do."""
    monkeypatch.setattr(limits, "BUNDLED_MANIFEST_BYTES_MAX", bundled_max)
    versions = open_versions(tmp_path)
    built = build_version({"a": b"a" * 1_000}, SeededEntropy("a"))
    publish(versions, built, V1)
    versions.chunks.flush()
    spoil_manifest(versions, built.root, gone=damage == "missing")
    with pytest.raises(CorruptError, match="Nothing was collected") as caught:
        mark_needed(versions, ChainView(1, 0, {}), lambda _: 0, lambda *_: None)
    assert "retire" in caught.value.remedy


def test_a_leased_manifest_that_is_not_there_yet_is_no_obstacle(tmp_path):
    """It is leased before it is put."""
    versions = open_versions(tmp_path)
    marks = Marks()
    mark_leased(versions, marks, [b"r" * 32])
    assert len(marks) == 0


def test_a_version_is_in_the_view(tmp_path):
    """A version the chain names, not bound here yet, is needed all the same."""
    versions = open_versions(tmp_path)
    with pytest.raises(CorruptError, match="version 7"):
        mark_needed(
            versions,
            ChainView(1, 0, {b"r" * 32: VersionRef(b"d" * 16, 7)}),
            lambda _: 0,
            lambda *_: None,
        )
