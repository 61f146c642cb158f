"""Words of descriptions and questions under a rule that is the same on every machine (DESIGN §7).

Unicode tables differ between Python versions, so the rule uses the frozen Unicode 3.2 table that
every Python carries: NFKC and character classes from it, case folding (stable by Unicode's policy)
only for characters it knows. Characters it does not know are letters that stay as they are. Hence
publisher, super node and questioner cut the same text into the same words.

Scripts written without spaces (Han, Kana, Hangul) become single characters and pairs of neighbours,
so that any two neighbouring characters of a question find their place.
"""

import re
from collections.abc import Callable
from unicodedata import ucd_3_2_0 as frozen

WORD_CHARACTERS_MAX = 40
"""Longer words are cut here, in descriptions and in questions alike."""

_UNSPACED = (
    (0x1100, 0x11FF),  # Hangul Jamo
    (0x3041, 0x30FF),  # Hiragana, Katakana
    (0x3131, 0x318E),  # Hangul compatibility Jamo
    (0x3400, 0x4DBF),  # Han, extension A
    (0x4E00, 0x9FFF),  # Han
    (0xAC00, 0xD7A3),  # Hangul syllables
    (0xF900, 0xFAFF),  # Han, compatibility
    (0x20000, 0x3FFFF),  # Han, further extensions
)


def fold(text: str) -> str:
    """Return the text in one case and form, runs of white space as one space, none at the ends."""
    if text.isascii():
        return " ".join(text.lower().split())
    folded = frozen.normalize("NFKC", text).translate(_FOLDED)
    return " ".join(frozen.normalize("NFKC", folded).split())


def split_sequence(text: str) -> list[str]:
    """Return the words of a text in order; each unspaced character is one word.

    This is what phrases are compared by.
    """
    sequence: list[str] = []
    for run in _runs(fold(text)):
        sequence.extend(_cut(run))
    return sequence


def split_words(text: str) -> list[str]:
    """Return the words of a description's text: those of the sequence, and pairs of unspaced ones.

    In order, with repetitions; pairs follow their first character.
    """
    folded = fold(text)
    if folded.isascii():
        return [run[:WORD_CHARACTERS_MAX] for run in _PLAIN.findall(folded)]
    words: list[str] = []
    for run in _runs(folded):
        before = ""
        for part in _cut(run):
            unspaced = _is_unspaced(part)
            if before and unspaced:
                words.append(before + part)
            words.append(part)
            before = part if unspaced else ""
    return words


def split_question(text: str) -> list[str]:
    """Return the words that must occur for a text to be found: pairs where unspaced ones adjoin."""
    words: list[str] = []
    for run in _runs(fold(text)):
        parts = _cut(run)
        unspaced = [_is_unspaced(part) for part in parts]
        for position, part in enumerate(parts):
            after = position + 1 < len(parts) and unspaced[position] and unspaced[position + 1]
            before = position > 0 and unspaced[position] and unspaced[position - 1]
            if after:
                words.append(part + parts[position + 1])
            elif not before:
                words.append(part)
    return words


def _runs(folded: str) -> list[str]:
    """Return maximal runs of letters, marks and digits."""
    if folded.isascii():
        return _PLAIN.findall(folded)
    return [run for run in folded.translate(_SPACED).split(" ") if run]


def _cut(run: str) -> list[str]:
    """Cut a run where spaced and unspaced script meet, and unspaced script into characters."""
    return [part[:WORD_CHARACTERS_MAX] for part in _PARTS.findall(run)]


def _is_unspaced(part: str) -> bool:
    """Tell whether a part is one character of a script written without spaces."""
    return len(part) == 1 and _UNSPACED_ONE.match(part) is not None


class _Table(dict[int, str]):
    """What becomes of each character, found when it is first seen; at most one entry for each."""

    def __init__(self, rule: Callable[[str], str]) -> None:
        super().__init__()
        self._rule = rule

    def __missing__(self, point: int) -> str:
        self[point] = found = self._rule(chr(point))
        return found


def _fold_one(character: str) -> str:
    return character if frozen.category(character) == "Cn" else character.casefold()


def _space_one(character: str) -> str:
    category = frozen.category(character)
    return character if category == "Cn" or category[0] in "LMN" else " "


_FOLDED = _Table(_fold_one)
_SPACED = _Table(_space_one)
_PLAIN = re.compile("[0-9A-Za-z]+")
_ONE = "".join(f"{chr(low)}-{chr(high)}" for low, high in _UNSPACED)
_UNSPACED_ONE = re.compile(f"[{_ONE}]")
_PARTS = re.compile(f"[{_ONE}]|[^{_ONE}]+")
