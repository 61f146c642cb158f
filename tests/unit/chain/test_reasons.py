"""Reason codes: stable words with texts, all of them used."""

import pathlib
import re

import hansa.chain
from hansa.chain.reasons import NEVER_IN_BLOCK, REASONS


def test_codes_and_texts() -> None:
    """Codes are lower-case words; texts are sentences."""
    for code, text in REASONS.items():
        assert re.fullmatch(r"[a-z]+(-[a-z]+)*", code), code
        assert text.endswith("."), code
        assert text[0].isupper(), code
        assert len(text) <= 110, code
    assert set(REASONS) >= NEVER_IN_BLOCK


def test_every_code_is_used() -> None:
    """No dead code in the table."""
    rooms = pathlib.Path(hansa.chain.__file__).parents[1]
    sources = [
        path.read_text()
        for room in ("chain", "consensus")
        for path in (rooms / room).glob("*.py")
        if path.name != "reasons.py"
    ]
    for code in REASONS:
        assert any(f'"{code}"' in source for source in sources), code
