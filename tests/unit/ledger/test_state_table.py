"""Tests of hansa.ledger.state_table."""

import lmdb
import pytest

from hansa import limits
from hansa.errors import ConflictError, CorruptError, DiskFullError
from hansa.ledger.state_table import Place, StateTable

OWNER = b"o" * 32


@pytest.fixture
def table(tmp_path):
    """Give an empty table."""
    made = StateTable(tmp_path, owner=OWNER)
    yield made
    made.close()


def test_one_commit_writes_state_place_height_and_transactions(table):
    """All of a block's changes are readable afterwards; deletes delete."""
    assert table.height() == 0
    table.commit(1, Place(1, 2, 3), [(b"t" * 32, True)], [(b"a", b"1"), (b"b", b"2")])
    table.commit(2, Place(1, 4, 5), [], [(b"a", None), (b"c", b""), (b"none", None)])
    assert table.height() == 2
    assert Place(1, 2, 3) == table.place(1)
    assert table.place(3) is None
    assert table.locate(b"t" * 32) == (1, 0)
    assert table.locate(b"u" * 32) is None
    assert list(table.items()) == [(b"b", b"2"), (b"c", b"")]


class Watched:
    """An environment whose syncs are counted."""

    def __init__(self, environment):
        self.syncs = 0
        self._environment = environment

    def __getattr__(self, name):
        return getattr(self._environment, name)

    def sync(self, force):
        """Count it, or refuse it."""
        self.syncs += 1
        if self.syncs > 2:
            raise lmdb.DiskError("no room")
        return self._environment.sync(force)


def test_only_what_cannot_be_replayed_is_synced_whole(tmp_path, table):
    """A block's transaction may be undone by a crash of the machine; what a removed file rests on may not."""
    assert not table._environment.flags()["metasync"]
    assert table._environment.flags()["sync"], "its pages are synced all the same"
    watched = table._environment = Watched(table._environment)
    table.commit(1, Place(1, 2, 3), [], [(b"a", b"1")])
    assert 0 == watched.syncs
    table.give_up(1, [1], [(1, b"block")])
    assert 1 == watched.syncs
    table.install(2, [(2, Place(1, 2, 3), [])], 2, [(b"b", b"2")])
    assert 2 == watched.syncs
    with pytest.raises(DiskFullError):
        table.give_up(2, [2], [])


def test_a_failing_commit_leaves_nothing(table):
    """One change that cannot be written takes the others with it."""
    with pytest.raises(TypeError):
        table.commit(1, Place(1, 2, 3), [], [(b"a", b"1"), (b"b", 5)])
    assert table.height() == 0
    assert list(table.items()) == []


def test_the_accepted_place_of_a_transaction_is_told(table):
    """Refused then accepted: the later; accepted then refused as a replay: the earlier."""
    table.commit(1, Place(1, 0, 1), [(b"x", False), (b"y", True)], [])
    table.commit(2, Place(1, 1, 2), [(b"y", False), (b"x", True)], [])
    assert table.locate(b"x") == (2, 1)
    assert table.locate(b"y") == (1, 1)


def test_a_full_map_grows(tmp_path):
    """Values beyond the first map size are stored, and found after reopening."""
    table = StateTable(tmp_path, owner=OWNER, map_bytes=128 * limits.KIB)
    for height in range(1, 41):
        table.commit(height, Place(1, 0, 1), [], [(b"%d" % height, bytes(50_000))])
    table.close()
    table = StateTable(tmp_path, owner=OWNER, map_bytes=128 * limits.KIB)
    assert table.height() == 40
    assert len(list(table.items())) == 40
    table.close()


def test_a_map_at_its_bound_is_disk_full(tmp_path, monkeypatch):
    """Growth ends at the bound, with an error that is meant for people."""
    monkeypatch.setattr(limits, "STATE_MAP_BYTES_MAX", 128 * limits.KIB)
    table = StateTable(tmp_path, owner=OWNER, map_bytes=128 * limits.KIB)
    with pytest.raises(DiskFullError):
        table.commit(1, Place(1, 0, 1), [], [(b"k", bytes(300_000))])
    assert table.height() == 0
    table.close()


def test_items_come_in_pages_in_order_and_notice_a_commit(table):
    """More than a page is yielded once each, sorted; a commit in between is told."""
    pairs = [(b"%06d" % number, b"v") for number in range(5_000)]
    table.commit(1, Place(1, 0, 1), [], reversed(pairs))
    assert pairs == list(table.items())
    items = table.items()
    next(items)
    table.commit(2, Place(1, 1, 2), [], [])
    with pytest.raises(ConflictError, match="moved on"):
        list(items)


def test_a_table_of_another_alliance_format_or_kind_is_refused(tmp_path, table):
    """Each with what to do."""
    table.close()
    with pytest.raises(ConflictError, match="another alliance"):
        StateTable(tmp_path, owner=b"p" * 32)
    environment = lmdb.open(str(tmp_path / "state.mdb"), subdir=False, max_dbs=8)
    with environment.begin(write=True) as txn:
        txn.put(b"format", b"\0\0\0\x09", db=environment.open_db(b"meta", txn))
    environment.close()
    with pytest.raises(ConflictError, match="another version"):
        StateTable(tmp_path, owner=OWNER)
    (tmp_path / "state.mdb").write_bytes(b"not a table" * 1_000)
    with pytest.raises(CorruptError, match="made again"):
        StateTable(tmp_path, owner=OWNER)
