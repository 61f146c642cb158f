"""Terms: every key leads to its rows, beginnings to the union, and damage is found wherever it is."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hansa.errors import CorruptError
from hansa.index.bits import rows_of
from hansa.index.cells import digest_of
from hansa.index.columns import CountingReader, Room
from hansa.index.files import MemoryIndexFile
from hansa.index.filters import as_digests
from hansa.index.terms import Terms, TermsEntry, TermsWriter

WORDS = st.dictionaries(
    st.text("abé漢", min_size=1, max_size=5),
    st.tuples(st.sets(st.integers(0, 99), min_size=1), st.sets(st.integers(0, 99))),
    max_size=40,
)


def write(words):
    """Return the bytes of terms and their entry; each word with its rows and those where strong."""
    writer = TermsWriter(0)
    ordered = sorted(words)
    data = b""
    for kind, which in (("w", 0), ("W", 1)):
        lists = [sorted(words[word][which]) for word in ordered]
        starts = np.cumsum([0, *map(len, lists)])
        rows = np.array([row for part in lists for row in part], dtype=np.uint32)
        digests = as_digests(digest_of(kind.encode() + word.encode()) for word in ordered)
        data += b"".join(writer.lists(digests, starts, rows))
    entry = None
    for part in writer.tables(ordered):
        if isinstance(part, TermsEntry):
            entry = part
        else:
            data += part
    assert len(data) == writer.offset
    return data, entry


def find(terms, kind, word, reader):
    term = terms.find(digest_of(kind.encode() + word.encode()), reader)
    return terms.rows(term, reader).tolist()


@settings(deadline=None, max_examples=30)
@given(WORDS, st.sampled_from([0, 200, 1 << 20]), st.text("abé漢", max_size=2))
def test_words_and_beginnings_lead_to_their_rows(words, room, stem):
    """Present and absent words, plain and strong, one list or the union of many."""
    data, entry = write(words)
    terms = Terms(entry, Room(room))
    reader = CountingReader(MemoryIndexFile(data + b"x").read)
    for word, (rows, strong) in words.items():
        assert sorted(rows) == find(terms, "w", word, reader) == find(terms, "w", word, reader)
        assert sorted(strong) == find(terms, "W", word, reader)
        term = terms.find(digest_of(b"w" + word.encode()), reader)
        bits = terms.bits(term, 100, reader)
        assert sorted(rows) == rows_of(bits).tolist()
    assert [] == find(terms, "w", "nowhere", reader)
    for which, strong in ((0, False), (1, True)):
        union = {row for word in words if word.startswith(stem) for row in words[word][which]}
        assert sorted(union) == terms.rows_from(stem, reader, strong=strong).tolist()


def test_no_flipped_bit_changes_an_answer():
    """Whatever byte is damaged: what is answered is right, the rest is an error."""
    words = {f"w{number}": ({number, number + 1, 7}, {7}) for number in range(150)}
    data, entry = write(words)
    found = 0
    for position in range(0, len(data), 13):
        damaged = bytearray(data)
        damaged[position] ^= 0x21
        reader = CountingReader(MemoryIndexFile(bytes(damaged)).read)
        terms = Terms(entry, Room(0))
        for word in ("w0", "w77", "w149", "absent"):
            try:
                rows = find(terms, "w", word, reader)
            except CorruptError:
                found += 1
                continue
            assert sorted(words.get(word, ((), ()))[0]) == rows
        try:
            assert len(terms.rows_from("w", reader)) == len({r for w in words for r in words[w][0]})
        except CorruptError:
            found += 1
    assert found > 20


def test_zeros_are_no_empty_directory():
    """A stretch of zeros where the tables were is damage, not absence."""
    data, entry = write({"one": ({1, 2}, set())})
    zeros = CountingReader(MemoryIndexFile(bytes(len(data))).read)
    with pytest.raises(CorruptError):
        find(Terms(entry, Room(0)), "w", "two", zeros)
