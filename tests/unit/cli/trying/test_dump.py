"""Dumps: gaps, odd types, hostile texts and broken lines are read as far as they make sense."""

import gzip
import json

import pytest

from hansa import limits
from hansa.cli.trying.dump import id_of, read_dump, to_record
from hansa.errors import InvalidError
from hansa.index.records import IndexChange, validate_change

FULL = {
    "id": "a/1", "title": "Air quality", "description": "Hourly.", "keywords": ["air", "AIR", "NO2"],
    "theme": ["Environment"], "publisher": "City", "spatial": "Zürich", "temporal_start": "2005",
    "temporal_end": "2017", "format": ["CSV"], "bytes": 12, "fields": ["station"], "language": "en",
}  # fmt: skip


def write(path, lines):
    path.write_text(
        "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines)
    )
    return path


def test_a_description_becomes_a_record(tmp_path):
    """All fields arrive; a place by name is a name; what differs by case alone counts once."""
    (record,) = read_dump(write(tmp_path / "c.jsonl", [FULL])).records
    assert (id_of("a/1"), "Air quality", "City") == (record.dataset, record.title, record.owner)
    assert ("air", "NO2") == record.keywords
    assert ("Zürich", None, 12) == (record.place, record.box, record.content_bytes)
    assert "station" in record.words
    assert record.interval is not None


def test_gzip_and_plain_are_told_by_their_bytes(tmp_path):
    """The name says nothing."""
    (tmp_path / "c.jsonl").write_bytes(gzip.compress(json.dumps(FULL).encode()))
    assert 1 == len(read_dump(tmp_path / "c.jsonl").records)


def test_broken_lines_are_left_out_and_counted(tmp_path):
    """No object, no JSON, too deep; empty lines are nothing; of one id the last counts."""
    lines = [FULL, "", "[1]", "{broken", "[" * 200_000, FULL | {"title": "New"}, {"id": "b"}]
    dump = read_dump(write(tmp_path / "c.jsonl", lines))
    assert (2, 3, 1) == (len(dump.records), dump.lines_left_out, dump.repeated_ids)
    assert "New" == dump.records[0].title


def test_too_long_lines_are_left_out(tmp_path, monkeypatch):
    """Work and memory for one line are bounded."""
    monkeypatch.setattr("hansa.cli.trying.dump.LINE_BYTES_MAX", 1_000)
    lines = [FULL | {"id": "x", "description": "y" * 5_000}, FULL]
    dump = read_dump(write(tmp_path / "c.jsonl", lines))
    assert (1, 1) == (len(dump.records), dump.lines_left_out)


@pytest.mark.parametrize(
    "odd",
    [
        {},
        dict.fromkeys(FULL),
        dict.fromkeys(FULL, 7),
        {name: {"x": [1]} for name in FULL},
        {name: [None, True, {}, "w"] for name in FULL},
        FULL | {"description": "".join(map(chr, range(32, 0xD800, 3)))},
        FULL | {"description": "ab " * 4_000_000},
        FULL | {"title": "\ud800 lone", "keywords": ["\udfff"]},
        FULL | {"keywords": [f"k{n}" for n in range(10_000)], "bytes": 1 << 80},
        FULL | {"title": "\x00\x1b[31m", "theme": "one text"},
    ],
)
def test_odd_records_are_what_the_index_takes(odd):
    """Whatever the types and texts, the record keeps the chain's limits."""
    record = to_record(odd, 3)
    validate_change(IndexChange(record.dataset, record))
    assert len(record.title) <= limits.TITLE_CHARACTERS_MAX
    assert len(record.description) <= limits.DESCRIPTION_CHARACTERS_MAX
    assert len(record.keywords) <= limits.KEYWORDS_MAX
    record.title.encode()


@pytest.mark.parametrize("content", [b"", b"\n\n", b"[]\n", b"\x1f\x8bbroken"])
def test_no_description_at_all_is_an_error(tmp_path, content):
    """A clear message instead of an empty index."""
    (tmp_path / "c.jsonl").write_bytes(content)
    with pytest.raises(InvalidError):
        read_dump(tmp_path / "c.jsonl")
