"""Rows in the order of ids: how many match by facets, place and time, and which ids come first.

The numbers of rows in a file follow clusters; answers follow ids. Here rows go by their *rank*, the
place of the id, so that the first of an answer are the lowest numbers of a list, or the first bits of
a set: nothing is put in order. Lists of keys become ranks when they are first asked for, places and
times are packed then (`place_tree`, `time_order`); all of it is kept while there is room. Without room
nothing is said here, and `selecting` answers from the file.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from hansa.index.bits import Mask, Rows
from hansa.index.cells import bare, digest_of, key_of, word_digest
from hansa.index.columns import Column, Reader, Room
from hansa.index.dead import Dead
from hansa.index.finding import Finding, First
from hansa.index.members import Members
from hansa.index.pages import HAS_BOX, HAS_INTERVAL
from hansa.index.place_tree import PlaceTree, circle_meets
from hansa.index.question import Question
from hansa.index.regions import boxes_meet
from hansa.index.scoring import Scored, Word, first_of_words
from hansa.index.terms import Terms
from hansa.index.time_order import TimeOrder
from hansa.types import Box

_MEMBERS_KEPT_MAX = 32_768
_KEPT_BOTH = 512
"""Lists of so few rows are kept by row too."""
_NONE: Rows = np.zeros(0, dtype=np.uint32)
_ID = np.dtype((np.void, 16))
Names = npt.NDArray[np.uint8]
_NOTHING = First(0, _NONE, 0)


class Ranked:
    """The rows of one file by rank."""

    def __init__(
        self, terms: Terms, by_row: tuple[Rows, Rows, Names], where: Column, room: Room
    ) -> None:
        """Take terms; the rank of each row, the row of each rank, the id of each row; place and time."""
        self._terms = terms
        self._rank, self.order, names = by_row
        self._count = len(names)
        self._ids = names.view(_ID).reshape(-1)
        self._where = where
        self._room = room
        self._members: dict[bytes, Members | None] = {}
        self._words: dict[str, Word] = {}
        """Words whose members are kept."""
        self._tree: PlaceTree | None = None
        self._times: TimeOrder | None = None
        self._dead: tuple[Dead | None, int, Rows] = (None, 0, _NONE)

    def at_hand(self, question: Question, digests: Sequence[bytes]) -> bool:
        """Tell whether a question of facets is answered from memory, without a read."""
        known = self._members
        for digest in digests:
            if digest not in known:
                return False
        if question.interval is not None and self._times is None:
            return False
        return self._tree is not None or not question.has_place

    def words_at_hand(self, words: Sequence[str]) -> list[Word] | None:
        """Return what is known of words, if all of them have been asked for before, else None."""
        found: list[Word] = []
        for word in words:
            known = self._words.get(word)
            if known is None:
                return None
            found.append(known)
        return found

    def words_of(self, words: Sequence[str], read: Reader) -> list[Word] | None:
        """Return the ranks of words, or None: then no row has one of them."""
        found: list[Word] = []
        for word in words:
            digests = (word_digest(word), digest_of(key_of("W", bare(word))))
            everywhere, strong = (self._members_of(digest, read) for digest in digests)
            if everywhere is None:
                return None
            found.append(Word(everywhere, strong))
            if all(digest in self._members for digest in digests):
                if len(self._words) >= _MEMBERS_KEPT_MAX:
                    self._words = {}
                self._words[word] = found[-1]
        return found

    def first_of_words(self, words: Sequence[Word], dead: tuple[Dead, int], best: int) -> Scored:
        """Return how many rows have all of some words, and the ranks and scores of the first."""
        ended = self._dead_ranks(dead) if dead[1] else _NONE
        return first_of_words(words, self._count, ended, best)

    def ids(self, ranks: npt.NDArray[Any] | list[int]) -> list[bytes]:
        """Return the ids of some ranks."""
        found: list[bytes] = self._ids.take(self.order.take(ranks)).tolist()
        return found

    def first(
        self,
        question: Question,
        digests: Sequence[bytes],
        dead: tuple[Dead, int],
        best: int,
        read: Reader,
    ) -> First | None:
        """Return how many match, and the first of them.

        Args:
            question: what is asked; only facets, place and time are looked at.
            digests: of it, what `cells.digests_asked` gives.
            dead: rows of the file that ended, and how many had at the question's height.
            best: so many are told.
            read: the reader.

        Returns:
            None, which says nothing, if there is no room to hold what is needed.
        """
        asked: list[Members] = []
        for digest in digests:
            members = self._members.get(digest) or self._members_of(digest, read)
            if members is None:
                return _NOTHING
            asked.append(members)
        asked.sort(key=_count_of)
        finding = Finding(asked, self._count, self._dead_ranks(dead) if dead[1] else _NONE)
        if question.interval is not None:
            times = self._times or self._order_times(read)
            if times is None:
                return None
            if not finding.take_time(times, question.interval):
                return _NOTHING
        return self._found(question, finding, best, read)

    def _found(self, question: Question, finding: Finding, best: int, read: Reader) -> First | None:
        asked = finding.asked
        listed = asked[0].listed if asked else None
        if question.has_place:
            tree = self._tree or self._pack_places(read)
            if tree is None:
                return None
            if listed is None:
                return self._first_in_place(tree, question, finding, best, read)
        if listed is not None:
            found = finding.few(listed)
            if question.has_place:
                found = self._few_in_place(question, found)
            return First(len(found), np.array(found[:best], dtype=np.uint32), finding.examined)
        if asked:
            return finding.first(best)
        return finding.of_bits(best) if finding.times is not None else None

    def _first_in_place(
        self, tree: PlaceTree, question: Question, finding: Finding, best: int, read: Reader
    ) -> First:
        asked, (box, *others) = finding.asked, question.boxes
        ranks, compared = tree.rows_meeting(box)
        finding.examined += compared
        if others or question.near is not None:
            for members in asked:
                ranks = members.among(ranks)
            ranks, asked = ranks.compress(self._in_place(question, ranks, read)), []
        return finding.of_heap(ranks, asked, best)

    def _in_place(self, question: Question, ranks: npt.NDArray[Any], read: Reader) -> Mask:
        """Return which of some ranks cover the place asked for, by their own boxes."""
        rows = self.order.take(ranks)
        where = self._where.gather_fields(rows, read, ("flags", "box"))
        mask: Mask = where["flags"] & HAS_BOX > 0
        for box in question.boxes:
            mask &= boxes_meet(where["box"].T, box)
        if question.near is not None and mask.any():
            mask[mask] = circle_meets(question.near, where["box"][mask])
        return mask

    def _few_in_place(self, question: Question, ranks: list[int]) -> list[int]:
        """Return what `_in_place` says yes to, of a few ranks."""
        flags, boxes = self._where.kept("flags"), self._where.kept("box")
        # They were kept when places were packed, and stay.
        assert flags is not None
        assert boxes is not None
        near, asked, found = question.near, question.boxes, []
        for rank in ranks:
            row = self.order[rank]
            if flags[row] & HAS_BOX:
                box = Box(*boxes[row].tolist())
                if all(_meet(box, other) for other in asked) and (near is None or near.meets(box)):
                    found.append(rank)
        return found

    # --- what is kept -----------------------------------------------------------------------------

    def _members_of(self, digest: bytes, read: Reader) -> Members | None:
        """Return the ranks of a key, or None: then no row has it."""
        if digest in self._members:
            return self._members[digest]
        term = self._terms.find(digest, read)
        members = None
        if term is not None:
            rows = self._terms.rows(term, read, keep=term.count <= _KEPT_BOTH)
            members = Members(self._rank.take(rows), self._count)
        size = members.size if members is not None else 0
        if len(self._members) >= _MEMBERS_KEPT_MAX or not self._room.take(size):
            # All make room at once: the few that are asked for come back.
            freed, self._members, self._words = self._members, {}, {}
            self._room.give_back(sum(kept.size for kept in freed.values() if kept is not None))
            if not self._room.take(size):
                return members
        self._members[digest] = members
        return members

    def _order_times(self, read: Reader) -> TimeOrder | None:
        """Put all intervals in order, or return None without room for that."""
        kept = self._where.fields(("flags", "interval"), read)
        if kept is None:
            return None
        rows = (kept["flags"] & HAS_INTERVAL).nonzero()[0]
        if not self._room.take(TimeOrder.bytes_of(len(rows), self._count)):
            return None
        ranks = self._rank.take(rows)
        self._times = TimeOrder(ranks, kept["interval"][rows], self._count, self._room)
        return self._times

    def _pack_places(self, read: Reader) -> PlaceTree | None:
        """Pack all boxes, or return None without room for that."""
        kept = self._where.fields(("flags", "box"), read)
        if kept is None:
            return None
        rows = (kept["flags"] & HAS_BOX).nonzero()[0]
        if not self._room.take(PlaceTree.bytes_of(len(rows))):
            return None
        self._tree = PlaceTree(self._rank.take(rows), kept["box"][rows])
        return self._tree

    def _dead_ranks(self, dead: tuple[Dead, int]) -> Rows:
        """Return the ranks of rows that ended, rising."""
        known = self._dead
        if known[0] is not dead[0] or known[1] != dead[1]:
            ranks = self._rank.take(dead[0].rows(dead[1]))
            ranks.sort()
            known = self._dead = (*dead, ranks)
        return known[2]


def _meet(one: Box, two: Box) -> bool:
    return (
        one.west <= two.east
        and one.east >= two.west
        and one.south <= two.north
        and one.north >= two.south
    )


def _count_of(members: Members) -> int:
    return members.count
