"""The word rule: one text, one list of words, on every machine."""

from unicodedata import ucd_3_2_0 as frozen

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hansa.index.words import (
    _UNSPACED,
    WORD_CHARACTERS_MAX,
    fold,
    split_question,
    split_sequence,
    split_words,
)


@pytest.mark.parametrize(
    ("expected", "text"),
    [
        ("strasse der ag", "  Straße\tder ㈷ AG ".replace("㈷ ", "")),
        ("αθήνα", "ΑΘΉΝΑ"),
        ("file", "ﬁle"),
        ("pm2.5 no2", "PM2.5   NO₂"),
        ("", " \n "),
    ],
)
def test_fold(expected, text):
    """Case, form and white space are levelled."""
    assert expected == fold(text)


@pytest.mark.parametrize(
    ("expected", "text"),
    [
        (["bus", "stop", "locations"], "Bus-stop (locations)"),
        (["pm2", "5"], "PM2.5"),
        (["空", "空气", "气"], "空气"),
        (["gtfs", "公", "公交", "交"], "GTFS公交"),
        (["x" * WORD_CHARACTERS_MAX], "x" * 99),
        (["é" * WORD_CHARACTERS_MAX], "É" * 99),
        ([], "— …"),
    ],
)
def test_split_words(expected, text):
    """Words are runs of letters and digits; unspaced scripts give characters and pairs."""
    assert expected == split_words(text)


def test_questions_ask_for_pairs():
    """A question needs pairs, single characters only where they stand alone."""
    assert ["空气", "气质"] == split_question("空气质")
    assert ["air", "质", "x"] == split_question("air 质x")
    assert ["air", "空", "气", "x"] == split_sequence("Air, 空气x")


@given(st.text(max_size=60))
def test_a_text_answers_its_own_words(text):
    """Whatever the script, every word a question makes of a text is among the text's words."""
    assert set(split_question(text)) <= set(split_words(text))
    assert set(split_sequence(text)) <= set(split_words(text))


@given(st.text(max_size=60))
def test_fold_is_stable(text):
    """Folding words again changes nothing, so stored and asked words compare."""
    for word in split_words(text):
        assert word == fold(word)


def test_characters_younger_than_the_table_stay_as_they_are():
    """U+1E9E came with Unicode 5.1: it is a letter that is not folded, on every Python."""
    assert ["stra\u1e9ee"] == split_words("STRA\u1e9eE".replace("STRA", "stra").replace("E", "e"))


def plain_words(text):
    """The rule of docs/spec/index.md, a character at a time, with no table kept."""
    folded = "".join(
        letter if frozen.category(letter) == "Cn" else letter.casefold()
        for letter in frozen.normalize("NFKC", text)
    )
    words, run = [], []
    for letter in " ".join(frozen.normalize("NFKC", folded).split()) + " ":
        category = frozen.category(letter)
        if category == "Cn" or category[0] in "LMN":
            run.append(letter)
            continue
        spaced, before = "", ""
        for part in [*run, ""]:
            if part and not any(low <= ord(part) <= high for low, high in _UNSPACED):
                spaced, before = spaced + part, ""
                continue
            if spaced:
                words.append(spaced[:40])
                spaced = ""
            if part:
                words.extend([before + part, part] if before else [part])
                before = part
        run = []
    return words


@settings(max_examples=200)
@given(st.text(st.characters(exclude_categories=("Cs",)), max_size=60))
def test_equal_to_the_rule_a_character_at_a_time(text):
    """Tables and patterns cut every text of Unicode as the written rule does."""
    assert plain_words(text) == split_words(text)
