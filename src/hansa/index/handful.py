"""Answer from memory, row by row, where one of the keys asked for has a handful of rows.

Most questions end here: a publisher, a rare word, a title has few. For so few rows one array operation
costs more than the rows themselves. What it says is what `selecting` says, and it may always pass.
"""

from collections.abc import Sequence

from hansa.index.additions import meets
from hansa.index.cells import bare, digest_of, key_of
from hansa.index.data_index import DataIndex
from hansa.index.dead import Dead
from hansa.index.pages import HAS_BOX, HAS_INTERVAL
from hansa.index.question import Question
from hansa.types import Box, Interval


def find_handful(
    base: DataIndex, question: Question, digests: Sequence[bytes], dead: tuple[Dead, int]
) -> list[tuple[int, bytes]] | None:
    """Return score and id of all that match, in order, if one key has a handful of rows.

    Args:
        base: the file.
        question: what is asked, but for limit and offset.
        digests: of it, what `cells.digests_asked` gives.
        dead: rows of the file that ended, and how many had at the question's height.

    Returns:
        None, which says nothing, if there are more, or if not all is in memory: nothing is read here.
    """
    terms, names = base.terms, base.column("names").kept("dataset")
    if names is None or question.prefixes or question.phrases or question.like is not None:
        return None
    if question.like_features is not None:
        return None
    rows = terms.handful(digests)
    if rows and question.has_bounds:
        rows = _covering(base, question, rows)
    if rows is None:
        return None
    if dead[1]:
        rows = [row for row in rows if not dead[0].has(row, dead[1])]
    scores = dict.fromkeys(rows, len(question.words))
    for word in question.words:
        strong = terms.among(digest_of(key_of("W", bare(word))), rows)
        if strong is None:
            return None
        for row in strong:
            scores[row] += 2
    found = [(score, names[row].tobytes()) for row, score in scores.items()]
    found.sort(key=_score_then_id)
    return found


def _covering(base: DataIndex, question: Question, rows: list[int]) -> list[int] | None:
    """Return which of a handful of rows cover the place and time asked for, or None if that is not in memory."""
    where = base.column("where")
    flags, boxes, intervals = map(where.kept, ("flags", "box", "interval"))
    needed = HAS_BOX if question.box is not None or question.near is not None else 0
    needed |= HAS_INTERVAL if question.interval is not None else 0
    if flags is None or (needed & HAS_BOX and boxes is None):
        return None
    if needed & HAS_INTERVAL and intervals is None:
        return None
    found: list[int] = []
    for row in rows:
        if flags[row] & needed == needed:
            box = Box(*boxes[row].tolist()) if boxes is not None else None
            interval = Interval(*intervals[row].tolist()) if intervals is not None else None
            if meets(box, interval, question):
                found.append(row)
    return found


def _score_then_id(hit: tuple[int, bytes]) -> tuple[int, bytes]:
    return -hit[0], hit[1]
