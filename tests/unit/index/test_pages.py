"""Pages: what is encoded is read back and matched, block by block, each checked."""

import pytest

from hansa.errors import CorruptError
from hansa.index.pages import CountingReader, Page, Row, encode_page, page_in_memory, texts_of
from hansa.index.question import Question


def rows_of(made, count, cluster=3):
    records = [made.make_record(number) for number in range(count)]
    return [Row(record, cluster, record.digest()) for record in records]


@pytest.fixture
def rows(made):
    return rows_of(made, 30)


def reader_of(data, offset=0):
    return CountingReader(lambda at, length: data[at - offset : at - offset + length])


def test_rows_come_back(made, rows):
    """Every row is read back whole, at whatever offset the page lies."""
    entry, data = encode_page(rows, 1_000)
    page = Page(entry, reader_of(data, 1_000))
    assert rows == [page.row(number) for number in range(30)]
    assert 30 == entry.rows
    assert all(page.living({}))
    assert [False, True] == page.living({rows[0].record.dataset: 3})[:2].tolist()


def test_a_page_holds_256_rows(made):
    """The largest page: its last row is found by its postings."""
    rows = rows_of(made, 256)
    page = page_in_memory(rows)
    mask, _ = page.match(
        Question(dataset=rows[255].record.dataset, owner=rows[255].record.owner), {}
    )
    assert [255] == mask.nonzero()[0].tolist()


def test_only_needed_blocks_are_read(rows):
    """A question by owner reads facets, not words."""
    entry, data = encode_page(rows, 0)
    reader = reader_of(data)
    Page(entry, reader).match(Question(owner="nobody"), {})
    assert entry.facets.length == reader.bytes_read


@pytest.mark.parametrize("block", ["columns", "facets", "words"])
def test_each_block_is_checked(rows, block):
    """A flipped bit in a block raises when the block is read."""
    entry, data = encode_page(rows, 0)
    damaged = bytearray(data)
    damaged[getattr(entry, block).offset] ^= 1
    with pytest.raises(CorruptError):
        getattr(Page(entry, reader_of(bytes(damaged))), block)


def test_each_record_is_checked(rows):
    """A flipped bit in one record raises for that record alone."""
    entry, data = encode_page(rows, 0)
    damaged = bytearray(data)
    damaged[entry.records.offset + 40] ^= 1
    page = Page(entry, reader_of(bytes(damaged)))
    assert rows[1] == page.row(1)
    with pytest.raises(CorruptError):
        page.row(0)


def test_bounds_hold_all_rows(rows):
    """Bounds of place, time and features contain every row's."""
    entry, _ = encode_page(rows, 0)
    west, south, east, north = entry.box
    for row in rows:
        if row.record.box is not None:
            box = row.record.box
            assert west <= box.west <= box.east <= east
            assert south <= box.south <= box.north <= north
        if row.record.interval is not None:
            first, last = entry.interval
            assert first <= row.record.interval.start_ms <= row.record.interval.end_ms <= last


def test_bounds_without_places_meet_nothing(made):
    """A page without boxes or intervals has bounds that are inside out."""
    record = made.make_record(1, box=None, interval=None)
    entry, _ = encode_page([Row(record, 0, record.digest())], 0)
    assert entry.box[0] > entry.box[2]
    assert entry.interval[0] > entry.interval[1]


def test_strong_words_score_higher(made):
    """A word of the title counts three, one of the description alone counts one."""
    strong = made.make_record(1, title="Trams", words=("trams",), keywords=(), themes=("X",))
    plain = made.make_record(2, title="Other", words=("trams",), keywords=(), themes=("X",))
    page = page_in_memory([Row(r, 0, r.digest()) for r in (strong, plain)])
    assert [3, 1] == page.match(Question(words=("trams",)), {})[1].tolist()
    assert [3, 1] == page.match(Question(prefixes=("tra",)), {})[1].tolist()


def test_phrases_stay_within_one_text(made):
    """Words of a phrase that stand in two texts are no phrase."""
    record = made.make_record(1, title="Bus stop", description="list of lines", keywords=("map",))
    page = page_in_memory([Row(record, 0, record.digest())])
    assert page.match(Question(phrases=(("bus", "stop"),)), {})[0].all()
    assert not page.match(Question(phrases=(("stop", "list"),)), {})[0].any()
    assert "Bus stop" in texts_of(record)
