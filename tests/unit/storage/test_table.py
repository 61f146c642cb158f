"""Tests of hansa.storage.table: both tables against a dictionary, growth, damage."""

import os
import threading

import lmdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hansa.storage.table as module
from hansa.errors import CorruptError, DiskFullError, UnavailableError
from hansa.storage.table import LmdbTable, MemoryTable, open_table


@pytest.fixture(params=["memory", "lmdb"])
def table(request, tmp_path):
    """Return an empty table of each kind."""
    opened = MemoryTable() if request.param == "memory" else LmdbTable(tmp_path / "t.mdb")
    yield opened
    opened.close()


def test_get_write_scan(table):
    """Puts, deletes and scans in key order."""
    table.write([(b"b2", b"2"), (b"a", b"x"), (b"b1", b"1"), (b"c", b"")])
    assert table.get(b"b1") == b"1"
    assert table.get(b"c") == b""
    assert table.get(b"no") is None
    assert list(table.scan(b"b")) == [(b"b1", b"1"), (b"b2", b"2")]
    table.write([(b"b1", None), (b"no", None), (b"b2", b"new")])
    assert list(table.scan(b"b")) == [(b"b2", b"new")]
    assert [key for key, _ in table.scan(b"")] == [b"a", b"b2", b"c"]
    table.write([])


def test_scan_over_pages(table, monkeypatch):
    """A scan longer than a page meets each row once, and may be interleaved with writes."""
    monkeypatch.setattr(module, "_PAGE_ROWS", 10)
    table.write((b"k%03d" % n, b"v") for n in range(105))
    seen = []
    for key, _ in table.scan(b"k"):
        seen.append(key)
        table.write([(b"other" + key, b"x")])
    assert seen == [b"k%03d" % n for n in range(105)]


@settings(max_examples=25)
@given(
    st.lists(
        st.lists(
            st.tuples(st.binary(min_size=1, max_size=3), st.one_of(st.none(), st.binary())),
            max_size=8,
        ),
        max_size=8,
    )
)
def test_equals_a_dictionary(tmp_path_factory, batches):
    """Any batches leave what they would leave in a dictionary, also after reopening."""
    path = tmp_path_factory.mktemp("t") / "t.mdb"
    table, model = LmdbTable(path), {}
    for batch in batches:
        table.write(batch)
        for key, value in batch:
            model.pop(key, None)
            if value is not None:
                model[key] = value
    table.close()
    again = LmdbTable(path)
    assert list(again.scan(b"")) == sorted(model.items())
    again.close()


def test_map_grows(tmp_path):
    """A table larger than its map grows by itself, and a batch is applied whole."""
    table = LmdbTable(tmp_path / "t.mdb", map_bytes=64 * 1024)
    rows = [(b"%05d" % n, bytes(500)) for n in range(2_000)]
    table.write(rows)
    table.write((key + b"x", value) for key, value in rows)
    assert sum(1 for _ in table.scan(b"")) == 4_000
    table.close()
    again = LmdbTable(tmp_path / "t.mdb", map_bytes=64 * 1024)
    assert again.get(b"01999") == bytes(500)
    again.close()


def test_growth_has_an_end(tmp_path, monkeypatch):
    """At the largest map the table says so, and nothing of the batch is applied."""
    monkeypatch.setattr(module, "_MAP_BYTES_MAX", 128 * 1024)
    table = LmdbTable(tmp_path / "t.mdb", map_bytes=64 * 1024)
    with pytest.raises(DiskFullError):
        table.write((b"%05d" % n, bytes(500)) for n in range(2_000))
    assert list(table.scan(b"")) == []
    table.close()


def test_readers_while_the_map_grows(tmp_path):
    """Threads may read while a writer makes the table grow."""
    table = LmdbTable(tmp_path / "t.mdb", map_bytes=64 * 1024)
    table.write([(b"key", b"value")])
    done, wrong = threading.Event(), []

    def read():
        while not done.is_set():
            if table.get(b"key") != b"value" or not list(table.scan(b"key")):
                wrong.append(1)
            # What was written in one step is seen in one step, also while it moves to the file.
            first, second = table.get_many([b"first", b"second"])
            if first is not None and second is None:
                wrong.append(2)

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for batch in range(20):
        table.write((b"%05d" % (batch * 100 + n), bytes(500)) for n in range(100))
        table.note([(b"key", b"value")])
        if batch == 10:
            table.write([(b"first", b"1"), (b"second", b"2")])
    done.set()
    for reader in readers:
        reader.join()
    table.close()
    assert wrong == []


def test_many_at_once(table):
    """Many keys are looked up in one step, in the order asked, twice if asked twice."""
    table.write([(b"%03d" % n, b"v%d" % n) for n in range(0, 100, 2)])
    asked = [b"004", b"005", b"000", b"004"]
    assert table.get_many(asked) == [b"v4", None, b"v0", b"v4"]
    assert table.get_many([]) == []
    table.note([(b"005", b"noted"), (b"000", None)])
    assert table.get_many(asked) == [b"v4", b"noted", None, b"v4"]


def test_noted_rows_are_seen_at_once(table):
    """What was noted is met by every kind of read, and joins what is written."""
    table.write([(b"a1", b"1"), (b"a2", b"2"), (b"a3", b"3")])
    table.note([(b"a0", b"0"), (b"a2", None), (b"b", b"x")])
    table.note([(b"a3", b"three"), (b"a0", b"zero")])
    assert list(table.scan(b"a")) == [(b"a0", b"zero"), (b"a1", b"1"), (b"a3", b"three")]
    assert table.get(b"a2") is None
    table.write([(b"a1", None)])
    assert list(table.scan(b"")) == [(b"a0", b"zero"), (b"a3", b"three"), (b"b", b"x")]


def test_a_crash_loses_only_the_latest_notes(tmp_path, monkeypatch):
    """Without a close the file holds all up to the last write; with one it holds all."""
    table = LmdbTable(tmp_path / "t.mdb")
    table.note([(b"a", b"1")])
    table.write([(b"b", b"2")])
    table.note([(b"c", b"3"), (b"a", None)])
    crashed = tmp_path / "crashed.mdb"
    crashed.write_bytes((tmp_path / "t.mdb").read_bytes())
    image = LmdbTable(crashed)
    assert list(image.scan(b"")) == [(b"a", b"1"), (b"b", b"2")]
    image.close()
    table.close()
    again = LmdbTable(tmp_path / "t.mdb")
    assert list(again.scan(b"")) == [(b"b", b"2"), (b"c", b"3")]
    monkeypatch.setattr(module, "_WAITING_BYTES_MAX", 1_000)
    for n in range(99):
        again.note([(b"n%03d" % n, bytes(50))])
    crashed.write_bytes((tmp_path / "t.mdb").read_bytes())
    image = LmdbTable(crashed)
    kept = [int(key[1:]) for key, _ in image.scan(b"n")]
    assert list(range(len(kept))) == kept
    assert 90 < len(kept) < 99
    image.close()
    again.close()


def test_notes_that_cannot_be_written(tmp_path, monkeypatch):
    """A full disk refuses the note that would pass the bound; what was noted stays and is seen."""
    monkeypatch.setattr(module, "_MAP_BYTES_MAX", 128 * 1024)
    monkeypatch.setattr(module, "_WAITING_BYTES_MAX", 300_000)
    table = LmdbTable(tmp_path / "t.mdb", map_bytes=64 * 1024)
    table.note([(b"a", bytes(200_000))])
    with pytest.raises(DiskFullError):
        table.note([(b"b", bytes(200_000))])
    assert table.get_many([b"a", b"b"]) == [bytes(200_000), None]
    table.note([(b"a", b"small")])
    table.write([])
    table.close()
    again = LmdbTable(tmp_path / "t.mdb")
    assert list(again.scan(b"")) == [(b"a", b"small")]
    again.close()


@pytest.mark.parametrize("damage", ["garbage", "cut", "empty"])
def test_damaged_table_is_begun_anew(tmp_path, damage):
    """A damaged file is put aside and a new table begun; the caller is told to fill it."""
    path = tmp_path / "t.mdb"
    table, fresh = open_table(path)
    assert fresh
    table.write((b"%05d" % n, bytes(500)) for n in range(1_000))
    table.close()
    same, fresh = open_table(path)
    assert not fresh
    same.close()
    if damage == "garbage":
        path.write_bytes(b"garbage" * 10_000)
    else:
        os.truncate(path, 20_000 if damage == "cut" else 0)
    again, fresh = open_table(path)
    assert list(again.scan(b"")) == []
    assert fresh or damage == "empty"
    again.write([(b"a", b"b")])
    again.close()


def test_no_changed_byte_is_an_answer(tmp_path):
    """Whichever byte of a row, of its check or of another row's bytes: told, and the next start begins anew."""
    path = tmp_path / "t.mdb"
    rows = {b"a": b"", b"b": b"twelve bytes", b"c": bytes(range(40)), b"d": bytes(4_068)}
    table, _ = open_table(path)
    table.write(rows.items())
    sound = {key: raw(table, key) for key in rows}
    for key, kept in sound.items():
        for place in range(0, len(kept), 1 if len(kept) < 100 else 97):
            flipped = bytearray(kept)
            flipped[place] ^= 1 << place % 8
            raw(table, key, bytes(flipped))
            for ask in (
                table.get,
                lambda key: table.get_many([b"a", key]),
                lambda key: list(table.scan(key)),
            ):
                with pytest.raises(CorruptError, match="row"):
                    ask(key)
        raw(table, key, kept[:-1])
        with pytest.raises(CorruptError):
            table.get(key)
        raw(table, key, kept)
    raw(table, b"b", sound[b"c"])
    with pytest.raises(CorruptError):
        table.get(b"b")
    assert table.get(b"d") == rows[b"d"]
    table.close()
    again, fresh = open_table(path)
    assert fresh
    assert list(again.scan(b"")) == []
    again.close()
    same, fresh = open_table(path)
    assert not fresh
    same.close()


def raw(table, key, row=None):
    """Return what lies on disk under a key, or put it there."""
    with table._env.begin(write=row is not None) as transaction:
        if row is not None:
            transaction.put(key, row)
        return transaction.get(key)


def test_a_table_whose_rows_have_no_checks_is_begun_anew(tmp_path):
    """An earlier release wrote it."""
    path = tmp_path / "t.mdb"
    old = LmdbTable(path)
    old.write([(b"m", b"3"), (b"a", b"value")])
    old.close()
    table, fresh = open_table(path)
    assert fresh
    assert table.get(b"a") is None
    table.close()


@pytest.mark.parametrize(
    ("raised", "kind"),
    [
        (lmdb.CorruptedError, CorruptError),
        (lmdb.DiskError, DiskFullError),
        (lmdb.ReadersFullError, UnavailableError),
    ],
)
def test_errors_are_told_apart(tmp_path, monkeypatch, raised, kind):
    """Damage, a full disk and the rest become their classes, in every call."""
    table = LmdbTable(tmp_path / "t.mdb")

    class Broken:
        def begin(self, **_):
            raise raised("injected")

    monkeypatch.setattr(table, "_env", Broken())
    with pytest.raises(kind):
        table.get(b"a")
    with pytest.raises(kind):
        table.write([(b"a", b"b")])
    with pytest.raises(kind):
        list(table.scan(b""))
    with pytest.raises(kind):
        table.get_many([b"a", b"b"])
