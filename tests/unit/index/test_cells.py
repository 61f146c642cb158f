"""Keys: a record answers to every part of itself, and pairs never deny what some row has together."""

from hypothesis import given
from hypothesis import strategies as st

from hansa.index.cells import (
    GROUPS,
    bare,
    digest_of,
    facet_asked,
    facet_pairs,
    facets_asked,
    facets_of,
    key_of,
    pair_keys,
    pairs_asked,
    row_keys,
    stem_keys,
    strong_words,
    triple_key,
)
from hansa.index.question import Question
from hansa.index.words import split_words
from hansa.types import Box, Interval


def _together(question, groups):
    """Return the keys of the pairs of facets asked for, as the discriminant table makes them."""
    facets = {facet.kind: facet for facet in facets_asked(question)}
    return [
        head + facets[one].sized + facets[two].encoded
        for one, two, head in facet_pairs(tuple(facets), groups)
    ]


@given(st.integers(0, 60))
def test_own_words_and_facets_are_keys(made, number):
    """Words without their accents, strong ones once more, facets in one form, title, id."""
    record = made.make_record(number)
    keys = row_keys(record)
    assert {key_of("w", bare(word)) for word in record.words} <= keys
    assert {key_of("W", bare(word)) for word in strong_words(record)} <= keys
    assert key_of("t", record.themes[0].lower()) in keys
    assert key_of("o", record.owner) in keys
    assert b"i" + record.dataset in keys
    assert all(16 == len(digest_of(key)) for key in keys)


@given(st.integers(0, 60), st.data())
def test_pairs_of_one_record_are_never_denied(made, number, data):
    """Whatever two facets, place or time a question takes from one record, their pair is known."""
    record = made.make_record(number)
    known = {key for _, key in pair_keys(record)}
    parts = {
        "theme": record.themes[0].upper(),
        "format": record.formats[0],
        "owner": record.owner,
        "box": record.box,
        "interval": record.interval,
    }
    chosen = data.draw(st.sets(st.sampled_from(sorted(parts)), min_size=2))
    question = Question(**{name: parts[name] for name in chosen})
    facets = facets_asked(question)
    for group, keys in pairs_asked(question, facets, frozenset(GROUPS)):
        assert any(key in known for key in keys), group
    together = _together(question, frozenset(GROUPS))
    assert len(facets) * (len(facets) - 1) // 2 == len(together)
    assert set(together) <= known


@given(st.integers(0, 60), st.integers(-2, 62), st.integers(0, 70))
def test_a_narrow_question_meets_a_wide_record(made, begin, asked_from, years):
    """A record over more years than cells, a question inside: their pair is never denied."""
    year = 365 * 24 * 3_600_000
    record = made.make_record(
        1, interval=Interval(begin * year, (begin + years) * year), themes=("Health",)
    )
    low, high = max(begin, asked_from), min(begin + years, asked_from + 1)
    if low > high:
        return
    question = Question(interval=Interval(low * year, high * year))
    known = {key for _, key in pair_keys(record)}
    for group, keys in pairs_asked(question, [facet_asked("t", "Health")], frozenset(GROUPS)):
        assert any(key in known for key in keys), group


def test_a_narrow_box_meets_a_wide_one(made):
    """The same of places: a country's record and a question in one of its cities."""
    record = made.make_record(1, box=Box(-10_000_000, 36_000_000, 30_000_000, 60_000_000), themes=("Health",))  # fmt: skip
    question = Question(box=Box(2_200_000, 48_800_000, 2_400_000, 48_900_000))
    known = {key for _, key in pair_keys(record)}
    asked = list(pairs_asked(question, [facet_asked("t", "Health")], frozenset(GROUPS)))
    assert asked
    assert all(any(key in known for key in keys) for _, keys in asked)


def test_pairs_of_different_records_are_told_apart(made):
    """Theme of one and owner of the other: no pair of them is known."""
    record = made.make_record(1, owner="alpha", themes=("Health",))
    known = {key for _, key in pair_keys(record)}
    question = Question(owner="beta", theme="Health")
    (asked,) = _together(question, frozenset(GROUPS))
    assert asked not in known
    assert asked in {
        key for _, key in pair_keys(made.make_record(2, owner="beta", themes=("Health",)))
    }
    assert [] == _together(question, frozenset())
    assert [] == _together(Question(owner="beta"), frozenset(GROUPS))


def test_accents_go_and_nothing_else():
    """zurich is Zürich; Hangul, kana and Indic signs stay what they are."""
    for written, found in (
        ("zürich", "zurich"),
        ("malagueña", "malaguena"),
        ("αθήνα", "αθηνα"),
        ("plain", "plain"),
        ("서울", "서울"),
        ("ガ", "カ" + "\u3099"),
        ("हिन्दी", "हिन्दी"),
    ):
        if written != "ガ":
            assert found == bare(written)
    assert "ガ" == bare("ガ")


@given(st.text(max_size=80))
def test_strong_words_are_those_of_the_word_rule(made, text):
    """The quick way for plain letters cuts as `split_words` does."""
    record = made.make_record(1, title=text, keywords=(), themes=(), words=tuple(split_words(text)))
    assert set(split_words(text)) == strong_words(record)


def test_only_listed_words_are_strong(made):
    """A title's word that the description does not list is not found."""
    assert set() == strong_words(made.make_record(3, words=()))


def test_stems_and_facets(made):
    """One to three characters; values each once, in one case."""
    assert [b"xa", b"xab", b"xabc"] == list(stem_keys("abcd", frozenset()))
    assert [b"xa"] == list(stem_keys("a", frozenset({"x4"})))
    assert b"xabcd" in list(stem_keys("abcde", frozenset({"x4"})))
    assert ("csv",) == facets_of(made.make_record(1, formats=("CSV", "csv")))["f"]


def test_owner_with_theme_and_format_is_one_key(made):
    """All three of one record are known together; of three that meet only in pairs the three are not."""
    first = made.make_record(1, owner="alpha", themes=("Health", "Sport"), formats=("csv", "pdf"))
    others = (
        made.make_record(2, owner="alpha", themes=("Health",), formats=("json",)),
        made.make_record(3, owner="alpha", themes=("Traffic",), formats=("csv",)),
        made.make_record(4, owner="beta", themes=("Traffic",), formats=("json",)),
    )
    known = {pair for record in (first, *others) for pair in pair_keys(record)}
    for theme, name, is_known in (
        ("Health", "csv", True),
        ("Sport", "pdf", True),
        ("Traffic", "json", False),
    ):
        question = Question(theme=theme, format=name, owner="alpha")
        facets = {facet.kind: facet for facet in facets_asked(question)}
        asked = set(_together(question, frozenset(GROUPS)))
        assert asked <= {key for _, key in known}
        assert is_known == (("ob", triple_key(facets)) in known)
