"""The index in step with the chain: additions, folding, restarts, rebuilds, one digest."""

import hashlib
import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hansa.errors import DiskFullError, InvalidError, UnavailableError
from hansa.index import IndexChange, IndexParameters, InformationIndex, MemoryIndexFiles, Question
from hansa.index.information_index import limits
from hansa.types import Height

PARAMETERS = IndexParameters(recluster_registrations=24)


@pytest.fixture(scope="module")
def history(made):
    """Blocks that register, replace, retire and register again."""
    draw = random.Random(5)
    blocks, number, living = [], 0, []
    for height in range(1, 40):
        changes = []
        for _ in range(draw.randrange(0, 5)):
            act = draw.random()
            if act < 0.6 or not living:
                number += 1
                living.append(number)
                record = made.make_record(number, height=height)
            elif act < 0.8:
                record = made.make_record(draw.choice(living), seed=height, height=height)
            else:
                gone = living.pop(draw.randrange(len(living)))
                changes.append(IndexChange(made.dataset_id(gone), None))
                continue
            changes.append(IndexChange(record.dataset, record))
        blocks.append((Height(height), tuple(changes)))
    return blocks


def living_of(history):
    records = {}
    for _, changes in history:
        for change in changes:
            records.pop(change.dataset, None)
            if change.record is not None:
                records[change.dataset] = change.record
    return list(records.values())


def applied(history, files=None):
    index = InformationIndex.open(files or MemoryIndexFiles(), PARAMETERS)
    for height, changes in history:
        index.apply(height, changes)
    return index


def everything(index):
    answer = index.ask(Question(limit=1_000))
    return [match.record for match in answer.matches]


def test_live_restarted_and_rebuilt_are_equal(history):
    """Digest, clusters and answers follow from the chain alone, whatever the path."""
    live = applied(history)
    expected = sorted(living_of(history), key=lambda record: record.dataset)
    assert expected == everything(live)
    rebuilt = InformationIndex.open(MemoryIndexFiles(), PARAMETERS)
    rebuilt.rebuild(history)
    files = MemoryIndexFiles()
    for height, changes in history:
        again = InformationIndex.open(files, PARAMETERS)
        for missed in range(again.height + 1, height):
            again.apply(Height(missed), history[missed - 1][1])
        again.apply(height, changes)
    for other in (rebuilt, again):
        assert live.digest() == other.digest() == live.stats().digest
        assert live.height == other.height
        assert expected == everything(other)
        clusters = [(cluster.label, cluster.rows) for cluster in live.stats().clusters]
        assert clusters == [(cluster.label, cluster.rows) for cluster in other.stats().clusters]


def test_clustering_is_due_at_the_mark_itself(made):
    """With one registration a block every mark is hit exactly; live and rebuilt agree at each height."""
    blocks = []
    live = InformationIndex.open(MemoryIndexFiles(), PARAMETERS)
    for height in range(1, 18):
        record = made.make_record(height)
        blocks.append((Height(height), (IndexChange(record.dataset, record),)))
        live.apply(*blocks[-1])
        rebuilt = InformationIndex.open(MemoryIndexFiles(), PARAMETERS)
        rebuilt.rebuild(blocks)
        assert live.digest() == rebuilt.digest()
        assert (live.stats().file_bytes > 0) == (height >= 8)
        assert (rebuilt.stats().delta_rows == 0) == (height in {8, 16})


def test_folding_early_changes_no_digest(history, monkeypatch):
    """When additions are folded in is a node's own affair."""
    expected = applied(history)
    monkeypatch.setattr(limits, "INDEX_DELTA_ROWS_MAX", 2)
    folding = applied(history)
    assert expected.digest() == folding.digest()
    assert folding.stats().delta_rows <= 6
    assert everything(expected) == everything(folding)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 3)), max_size=40), st.data())
def test_any_changes_agree_with_a_plain_dict(made, changes, data):
    """A model test: every state answers as a dict of records does, and rebuilds to the same digest."""
    blocks, living = [], {}
    position = 0
    while position < len(changes):
        size = data.draw(st.integers(1, 6))
        block = []
        for number, seed in changes[position : position + size]:
            record = made.make_record(number, seed=seed) if seed else None
            block.append(IndexChange(made.dataset_id(number), record))
            living.pop(made.dataset_id(number), None)
            if record is not None:
                living[record.dataset] = record
        blocks.append((Height(len(blocks) + 1), tuple(block)))
        position += size
    index = applied(blocks)
    assert sorted(living) == [record.dataset for record in everything(index)]
    rebuilt = InformationIndex.open(MemoryIndexFiles(), PARAMETERS)
    rebuilt.rebuild(blocks)
    assert index.digest() == rebuilt.digest()


def test_heights_are_taken_once_and_in_order(history):
    """A height already taken in is a no-op, a gap is refused."""
    index = applied(history[:10])
    before = index.digest()
    index.apply(Height(4), history[3][1])
    assert before == index.digest()
    with pytest.raises(InvalidError):
        index.apply(Height(12), ())
    index.apply(Height(11), ())
    assert 11 == index.height


def test_a_malformed_change_takes_nothing_in(made):
    """One bad record refuses the whole block."""
    index = InformationIndex.open(MemoryIndexFiles(), PARAMETERS)
    good = made.make_record(1)
    bad = made.make_record(2, version=0)
    with pytest.raises(InvalidError):
        index.apply(Height(1), [IndexChange(good.dataset, good), IndexChange(bad.dataset, bad)])
    assert (0, []) == (index.height, everything(index))


def test_features_of_any_kind_never_stop_the_index(made):
    """A publisher's odd features cannot halt every node's index: the dataset is found by its words."""
    index = InformationIndex.open(MemoryIndexFiles(), PARAMETERS)
    odd = made.make_record(1, features=(5,) * 3)
    index.apply(Height(1), [IndexChange(odd.dataset, odd)])
    assert [odd.dataset] == [m.dataset for m in index.ask(Question(words=odd.words[:2])).matches]
    assert (0,) * 20 == everything(index)[0].features


def test_corrupt_files_are_dropped_and_rebuilt(history):
    """A damaged file is never answered from: the index starts anew at height 0."""
    files = MemoryIndexFiles()
    expected = applied(history, files).digest()
    (name,) = files.files
    for damage in ("flip", "cut"):
        _digest, contents = files.files[name]
        broken = contents[:-10] if damage == "cut" else contents[:-60] + b"x" + contents[-59:]
        files.files[name] = (hashlib.sha256(broken).digest(), broken)
        index = InformationIndex.open(files, PARAMETERS)
        assert 0 == index.height
        index.rebuild(history)
        assert expected == index.digest()
        (name,) = files.files


@pytest.mark.parametrize("found_by", ["ask", "apply"])
def test_damage_found_at_work_heals_by_the_next_blocks(history, found_by):
    """Height falls to 0, questions are refused, and feeding the blocks again makes it whole."""
    files = MemoryIndexFiles()
    expected = applied(history)
    index = applied(history[:30], files)
    base = index._state.view.base
    damaged = bytearray(base._file._contents)
    damaged[:-50] = bytes(len(damaged) - 50)
    base._file._contents = bytes(damaged)
    if found_by == "apply":
        gone = living_of(history[:20])
        index.apply(Height(31), [IndexChange(record.dataset, None) for record in gone])
    else:
        with pytest.raises(UnavailableError):
            index.ask(Question(limit=1_000))
    assert 0 == index.height
    with pytest.raises(UnavailableError):
        index.ask(Question())
    with pytest.raises(UnavailableError):
        index.digest()
    for height, changes in history:
        index.apply(height, changes)
    assert expected.digest() == index.digest()
    assert everything(expected) == everything(index)


def test_a_log_that_lost_its_end_is_applied_again(history):
    """The index comes back at an earlier height and goes on from there."""
    files = MemoryIndexFiles()
    expected = applied(history, files).digest()
    (log,) = files.logs
    files.logs[log] = files.logs[log][:-2]
    index = InformationIndex.open(files, PARAMETERS)
    assert 0 < index.height < 39
    for height, changes in history[index.height :]:
        index.apply(height, changes)
    assert expected == index.digest()


def test_a_full_disk_leaves_the_index_as_it_was(history, monkeypatch):
    """A block that could not be written can be applied later, with the same result."""
    files = MemoryIndexFiles()
    index = applied(history[:20], files)
    before = index.digest()

    def refuse(*_):
        raise DiskFullError("No room.")

    height, changes = next(block for block in history[20:] if block[1])
    for empty in range(21, height):
        index.apply(Height(empty), ())
    with monkeypatch.context() as patch:
        patch.setattr(files, "append", refuse)
        patch.setattr(files, "write", refuse)
        with pytest.raises(DiskFullError):
            index.apply(height, changes)
    assert (height - 1, before) == (index.height, index.digest())
    for later, block in history[height - 1 :]:
        index.apply(later, block)
    assert applied(history).digest() == index.digest()


def test_another_feature_model_drops_the_files(history, monkeypatch):
    """Files of another model are not answered from."""
    files = MemoryIndexFiles()
    applied(history, files)
    with pytest.raises(InvalidError):
        InformationIndex.open(files, IndexParameters(feature_model=99))


def test_a_question_sees_one_height(history):
    """A view taken before a block still answers as before it."""
    index = applied(history[:30])
    view = index._state.view
    before = everything(index)
    for height, changes in history[30:]:
        index.apply(height, changes)
    assert before != everything(index)
    index._state = replace(index._state, view=view)
    assert before == everything(index)


def test_nearest_cluster_names_a_cluster(made, history):
    """The hint for packs is a label of the clusters in force, or nothing."""
    index = applied(history)
    record = living_of(history)[0]
    labels = {cluster.label for cluster in index.stats().clusters}
    assert index.nearest_cluster(record.features) in labels | {""}
    index.close()


def test_rebuild_refuses_heights_that_fall(history):
    """A history must rise."""
    index = InformationIndex.open(MemoryIndexFiles(), PARAMETERS)
    with pytest.raises(InvalidError):
        index.rebuild([history[3], history[2]])
