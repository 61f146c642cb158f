"""Words of descriptions and questions under a rule that is the same on every machine (DESIGN §7).

Unicode tables differ between Python versions, so the rule uses the frozen Unicode 3.2 table that
every Python carries: NFKC and character classes from it, case folding (stable by Unicode's policy)
only for characters it knows. Characters it does not know are letters that stay as they are. Hence
publisher, super node and questioner cut the same text into the same words.

Scripts written without spaces (Han, Kana, Hangul) become single characters and pairs of neighbours,
so that any two neighbouring characters of a question find their place.
"""

from collections.abc import Iterable, Iterator
from unicodedata import ucd_3_2_0 as frozen

from hansa import limits

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
    folded = "".join(
        character if frozen.category(character) == "Cn" else character.casefold()
        for character in frozen.normalize("NFKC", text)
    )
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
    words: list[str] = []
    for run in _runs(fold(text)):
        parts = _cut(run)
        for position, part in enumerate(parts):
            words.append(part)
            if (
                position + 1 < len(parts)
                and _is_unspaced(part)
                and _is_unspaced(parts[position + 1])
            ):
                words.append(part + parts[position + 1])
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


def normalise(texts: Iterable[str]) -> tuple[str, ...]:
    """Return the sorted, unique words of some texts: the `words` of a description.

    At most `limits.WORDS_MAX`; texts given first win, so give title and keywords first.
    """
    found: dict[str, None] = {}
    for text in texts:
        for word in split_words(text):
            found[word] = None
            if len(found) == limits.WORDS_MAX:
                return tuple(sorted(found))
    return tuple(sorted(found))


def _runs(folded: str) -> Iterator[str]:
    """Yield maximal runs of letters, marks and digits."""
    start = -1
    for position, character in enumerate(folded):
        if _is_word_character(character):
            if start < 0:
                start = position
        elif start >= 0:
            yield folded[start:position]
            start = -1
    if start >= 0:
        yield folded[start:]


def _cut(run: str) -> list[str]:
    """Cut a run where spaced and unspaced script meet, and unspaced script into characters."""
    if run.isascii():
        return [run[:WORD_CHARACTERS_MAX]]
    parts: list[str] = []
    spaced = ""
    for character in run:
        if _is_unspaced(character):
            if spaced:
                parts.append(spaced[:WORD_CHARACTERS_MAX])
                spaced = ""
            parts.append(character)
        else:
            spaced += character
    if spaced:
        parts.append(spaced[:WORD_CHARACTERS_MAX])
    return parts


def _is_word_character(character: str) -> bool:
    if character.isascii():
        return character.isalnum()
    return frozen.category(character)[0] in "LMN" or frozen.category(character) == "Cn"


def _is_unspaced(part: str) -> bool:
    """Tell whether a part is one character of a script written without spaces."""
    if len(part) != 1 or part.isascii():
        return False
    point = ord(part)
    return any(low <= point <= high for low, high in _UNSPACED)
