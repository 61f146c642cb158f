"""How often data is brought up to date: one word for what catalogues write in several ways.

DCAT's accrualPeriodicity holds a code of the EU's frequency vocabulary, alone or at the end of its
address; catalogues in the United States hold a repeating interval of ISO 8601 (R/P1D).
"""

from typing import cast, get_args

from hansa.chain.transactions import Rhythm
from hansa.errors import InvalidError

_WORDS = frozenset(get_args(Rhythm))
_CODES = {
    "cont": "continuous",
    "update_cont": "continuous",
    "annual_2": "semiannual",
    "irreg": "irregular",
    "r/pt1s": "continuous",
    "r/pt1h": "hourly",
    "r/p1d": "daily",
    "r/p1w": "weekly",
    "r/p7d": "weekly",
    "r/p2w": "biweekly",
    "r/p1m": "monthly",
    "r/p2m": "bimonthly",
    "r/p3m": "quarterly",
    "r/p6m": "semiannual",
    "r/p1y": "annual",
    "r/p2y": "biennial",
}
"""What is not the word itself; codes that are, in capitals, need no line."""


def parse_rhythm(text: str) -> Rhythm:
    """Return the word for a rhythm: itself, a code or address of the EU's vocabulary, or ISO 8601.

    Raises:
        InvalidError: none of these.
    """
    said = text.strip().lower()
    if "/authority/frequency/" in said:
        said = said.rpartition("/")[2]
    found = _CODES.get(said, said)
    if found not in _WORDS:
        raise InvalidError(
            f"No rhythm is called {text.strip()[:40]!r}.",
            remedy=f"Say one of: {', '.join(word for word in get_args(Rhythm) if word)}.",
        )
    return cast("Rhythm", found)
