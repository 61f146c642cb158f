"""Keys that a dataset has and a question asks for: words, names, facets, and pairs of facets.

A key is a kind and a text; on disk and in filters it stands as 128 bits of BLAKE2b. Single keys lead to
rows (`terms`); pairs of keys that some row has together are only ever asked for in filters, so that
two things that are there, but nowhere together, are refused without a read.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from hashlib import blake2b
from itertools import product
from typing import NamedTuple
from unicodedata import ucd_3_2_0 as frozen

from hansa.index.question import Question
from hansa.index.records import IndexRecord
from hansa.index.words import WORD_CHARACTERS_MAX, fold, split_words
from hansa.types import Box, Interval

_DEGREE = 1_000_000
_YEAR_MS = 31_557_600_000
_CELLS_MAX = 16
"""A row or question that covers more degrees or years than this stands under "wide"."""
STEMS = (1, 2, 3)
"""Beginnings of words by which prefixes are filtered in any case."""
LONG_STEMS = {4: "x4", 5: "x5"}
"""Longer ones where there is room, and the group they stand for."""
_MARKS = ("\u0300", "\u036f")
_WIDE = b"*"
_PLAIN = re.compile("[a-z0-9]+")

GROUPS = ("tf", "of", "ot", "ty", "fy", "oy", "tp", "fp", "op", "py", "ob")
"""Pairs of kinds, most useful first: theme, format, owner, year, place, both theme and format."""


def digest_of(key: bytes) -> bytes:
    """Return 16 uniform bytes of a key, the same on every machine."""
    return blake2b(key, digest_size=16).digest()


def word_digest(word: str) -> bytes:
    """Return the digest of a word's key."""
    if word.isascii():
        return blake2b(b"w" + word.encode(), digest_size=16).digest()
    return digest_of(key_of("w", bare(word)))


def bare(word: str) -> str:
    """Return a word without accents: Zürich is found as zurich, and zurich as Zürich.

    By the frozen Unicode table, as `words`; only combining marks of Latin, Greek and Cyrillic go.
    """
    if word.isascii():
        return word
    apart = frozen.normalize("NFD", word)
    kept = "".join(sign for sign in apart if not _MARKS[0] <= sign <= _MARKS[1])
    return frozen.normalize("NFC", kept)


def key_of(kind: str, text: str) -> bytes:
    """Return the key of a word (w), strong word (W), theme (t), format (f), owner (o), title (n)."""
    return kind.encode() + text.encode("utf-8", "surrogatepass")


class Facet(NamedTuple):
    """A theme (t), format (f), owner (o) as it stands in keys."""

    kind: str
    text: str
    encoded: bytes
    """The text in UTF-8."""
    sized: bytes
    """The same behind its length, as it begins a pair."""
    digest: bytes
    """Of its key."""


@lru_cache(maxsize=1_024)
def facet_asked(kind: str, text: str) -> Facet:
    """Return a theme, format or owner as it stands in keys.

    What questions ask for comes again and again.
    """
    plain = text if kind == "o" else fold(text)
    encoded = plain.encode("utf-8", "surrogatepass")
    return Facet(kind, plain, encoded, _sized(encoded), digest_of(kind.encode() + encoded))


def facets_asked(question: Question) -> list[Facet]:
    """Return the facets that a question asks for: owner, theme, format."""
    found: list[Facet] = []
    if question.owner:
        found.append(facet_asked("o", question.owner))
    if question.theme:
        facet = facet_asked("t", question.theme)
        if facet.text:
            found.append(facet)
    if question.format:
        facet = facet_asked("f", question.format)
        if facet.text:
            found.append(facet)
    return found


def digests_asked(question: Question) -> list[bytes]:
    """Return the digests of the keys that a row must have, but for beginnings of words; each once."""
    found = [word_digest(word) for word in question.words]
    for phrase in question.phrases:
        found += [word_digest(word) for word in phrase]
    if question.dataset is not None:
        found.append(digest_of(b"i" + question.dataset))
    if question.title and fold(question.title):
        found.append(digest_of(key_of("n", fold(question.title))))
    found += [facet.digest for facet in facets_asked(question)]
    return found if len(found) < 2 else list(dict.fromkeys(found))


def strong_words(record: IndexRecord) -> set[str]:
    """Return the words of title, keywords and themes that the description lists."""
    found = set(_split_plain(record.title))
    # Titles seldom come again; keywords and themes do.
    for text in (*record.keywords, *record.themes):
        found.update(_words_in(text))
    return found.intersection(record.words)


def _split_plain(text: str) -> list[str]:
    """Return what `split_words` gives; for plain letters at a tenth of its price."""
    if text.isascii():
        return [word[:WORD_CHARACTERS_MAX] for word in _PLAIN.findall(text.lower())]
    return split_words(text)


@lru_cache(maxsize=1 << 14)
def _words_in(text: str) -> tuple[str, ...]:
    return tuple(_split_plain(text))


def facets_of(record: IndexRecord) -> dict[str, tuple[str, ...]]:
    """Return the values of theme (t), format (f) and owner (o), each once."""
    return {
        "t": tuple(dict.fromkeys(map(_fold_facet, record.themes))),
        "f": tuple(dict.fromkeys(map(_fold_facet, record.formats))),
        "o": (record.owner,),
    }


@lru_cache(maxsize=4_096)
def _fold_facet(text: str) -> str:
    return fold(text)


def row_keys(record: IndexRecord) -> set[bytes]:
    """Return every key under which a row is found."""
    keys = {key_of("w", bare(word)) for word in record.words}
    keys.update(key_of("W", bare(word)) for word in strong_words(record))
    for kind, values in facets_of(record).items():
        keys.update(key_of(kind, value) for value in values)
    keys.add(key_of("n", fold(record.title)))
    keys.add(b"i" + record.dataset)
    return keys


def stem_keys(word: str, groups: frozenset[str]) -> Iterator[bytes]:
    """Yield the keys of a word's beginnings."""
    for length in STEMS:
        if length <= len(word):
            yield key_of("x", word[:length])
    for length, group in LONG_STEMS.items():
        if length <= len(word) and group in groups:
            yield key_of("x", word[:length])


def pair_values(
    record: IndexRecord, facets: Mapping[str, tuple[str, ...]]
) -> dict[str, list[bytes]]:
    """Return for each kind of which a record has some what stands for it in pairs.

    Args:
        record: the record.
        facets: its facets, as `facets_of` gives them.
    """
    values = {
        kind: [text.encode("utf-8", "surrogatepass") for text in texts]
        for kind, texts in facets.items()
    }
    values["b"] = [_sized(theme) + name for theme, name in product(values["t"], values["f"])]
    if record.interval is not None:
        values["y"] = _years(record.interval)
    if record.box is not None:
        values["p"] = _degrees(record.box)
    return values


def pair_keys(record: IndexRecord) -> Iterator[tuple[str, bytes]]:
    """Yield group and key of every pair that a record has."""
    values = pair_values(record, facets_of(record))
    for group in GROUPS:
        if group[0] in values and group[1] in values:
            for one, two in product(values[group[0]], values[group[1]]):
                yield group, pair_key(group, one, two)


def pairs_asked(
    question: Question, facets: Sequence[Facet], groups: frozenset[str]
) -> Iterator[tuple[str, list[bytes]]]:
    """Yield for each pair with a place or time its group, and keys of which one must be there.

    Args:
        question: what is asked.
        facets: its facets (`facets_asked`); their own pairs are `facet_pairs`.
        groups: only these are yielded.
    """
    values = {facet.kind: [facet.encoded] for facet in facets}
    if question.interval is not None:
        years = _years(question.interval)
        if years != [_WIDE]:
            values["y"] = [*years, _WIDE]
    if question.box is not None or question.near is not None:
        box = question.bounds
        assert box is not None
        degrees = _degrees(box)
        if degrees != [_WIDE]:
            values["p"] = [*degrees, _WIDE]
    for group in GROUPS:
        one, two = values.get(group[0]), values.get(group[1])
        if one is not None and two is not None and group in groups and group[1] in "yp":
            yield group, [pair_key(group, *both) for both in product(one, two)]


@lru_cache(maxsize=64)
def facet_pairs(
    kinds: tuple[str, ...], groups: frozenset[str]
) -> tuple[tuple[str, str, bytes], ...]:
    """Return the pairs of some kinds of facets: both kinds, and how keys of such pairs begin.

    The key goes on with the first facet's text behind its length, and ends with the second's.
    """
    return tuple(
        (group[0], group[1], _head(group))
        for group in GROUPS
        if group in groups and group[0] in kinds and group[1] in kinds
    )


def triple_key(facets: Mapping[str, Facet]) -> bytes:
    """Return the key of an owner with both a theme and a format."""
    return _head("ob") + facets["o"].sized + facets["t"].sized + facets["f"].encoded


def pair_key(group: str, one: bytes, two: bytes) -> bytes:
    """Return the key of a pair, of kinds that the group names."""
    return _head(group) + _sized(one) + two


def _head(group: str) -> bytes:
    return b"p" + group.encode()


def _sized(text: bytes) -> bytes:
    return b"%d:%s" % (len(text), text)


def _years(interval: Interval) -> list[bytes]:
    first, last = interval.start_ms // _YEAR_MS, interval.end_ms // _YEAR_MS
    if last - first >= _CELLS_MAX:
        return [_WIDE]
    return [b"%d" % year for year in range(first, last + 1)]


def _degrees(box: Box) -> list[bytes]:
    columns = range(box.west // _DEGREE, box.east // _DEGREE + 1)
    rows = range(box.south // _DEGREE, box.north // _DEGREE + 1)
    if len(columns) * len(rows) > _CELLS_MAX:
        return [_WIDE]
    return [b"%d,%d" % (column, row) for column in columns for row in rows]
