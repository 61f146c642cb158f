"""Terms of the data index: from a key to the rows that have it, by two reads of a few hundred bytes.

    lists · cells · buckets · directory · word blocks · word directory

*Lists*: rows as rising 32-bit numbers; those of words lie in the order of the words, so a beginning of
words is one stretch of the file. *Buckets*: entries by the digest of the key, about 16 in each; the
directory says where each begins and what it must add up to. *Word blocks*: words in order, 64 a
block, each with its list. Every read is checked by a CRC-32; the bucket's number is part of its own, so
that a directory of zeros is no empty bucket.
"""

import zlib
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import msgspec
import numpy as np
import numpy.typing as npt

from hansa.codec import encode
from hansa.index.bits import Words, is_in, words_of
from hansa.index.columns import Reader, Room, corrupt
from hansa.index.filters import Digests

Rows = npt.NDArray[np.uint32]
_BUCKET_ENTRIES = 16
_WORDS_PER_BLOCK = 64
_ENTRY = np.dtype(
    [("digest", "<u8", (2,)), ("count", "<u4"), ("checksum", "<u4"), ("place", "<u8")]
)
_ENTRY_BYTES = _ENTRY.itemsize
_DIRECTORY = np.dtype([("start", "<u4"), ("checksum", "<u4")])
_DIRECTORY_BYTES = _DIRECTORY.itemsize
_LISTS_KEPT_MAX = 4_096
HANDFUL = 24
"""So few rows are asked and put in order one by one."""
_FEW = 64
_NONE: Rows = np.zeros(0, dtype=np.uint32)


@dataclass(frozen=True, slots=True)
class Term:
    """Where the rows of a key are listed."""

    digest: bytes
    count: int
    place: int
    """Offset of the list; of a single row the row itself."""
    checksum: int


_UNKNOWN = Term(b"", 0, 0, 0)


class Block(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Where a block lies."""

    offset: int
    length: int
    checksum: int
    """CRC-32 of its bytes."""


class TermsEntry(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Where the terms of a file lie."""

    bucket_bits: int
    buckets_offset: int
    directory_offset: int
    words_offset: int
    word_directory: Block


_Lists = tuple[list[int], list[int], list[int]]
"""Counts, places, checksums."""
_WordBlock = tuple[list[str], _Lists, _Lists]
"""Words, their lists, and the lists of the same words where they are strong."""
_WordDirectory = tuple[list[str], list[int], list[int]]
"""First word, offset and checksum of each block; one offset more than blocks."""
_word_block = msgspec.msgpack.Decoder(tuple[list[str], _Lists, _Lists])
_word_directory = msgspec.msgpack.Decoder(tuple[list[str], list[int], list[int]])


class TermsWriter:
    """Lays lists out and makes the tables over them; offsets rise from `offset`."""

    def __init__(self, offset: int) -> None:
        self._offset = offset
        self._parts: list[npt.NDArray[np.void]] = []

    def lists(self, digests: Digests, starts: npt.NDArray[np.int64], rows: Rows) -> Iterator[bytes]:
        """Yield the lists of terms: rows[starts[i]:starts[i + 1]] belong to digests[i]."""
        data = rows.astype("<u4").tobytes()
        view = memoryview(data)
        bounds = (4 * starts).tolist()
        entries = np.zeros(len(digests), dtype=_ENTRY)
        entries["digest"] = digests
        entries["count"] = counts = np.diff(starts)
        entries["checksum"] = [zlib.crc32(view[start:end]) for start, end in pairwise(bounds)]
        entries["place"] = self._offset + 4 * starts[:-1]
        single = np.flatnonzero(counts == 1)
        entries["place"][single] = rows[starts[single]]
        self._parts.append(entries)
        self._offset += len(data)
        yield data

    def tables(self, words: Sequence[str]) -> Iterator[bytes | TermsEntry]:
        """Yield buckets, directory and word blocks, then the entry.

        The first terms given were `words`, the next the same words where they are strong.
        """
        entries = np.concatenate(self._parts)
        bits = max(0, (len(entries) // _BUCKET_ENTRIES).bit_length())
        # By digest, as bytes compare.
        first, last = entries["digest"].astype("<u8").view(">u8").T
        order = np.lexsort((last, first))
        order = order[entries["count"][order] > 0]
        bucket = (first[order] >> np.uint64(32)).astype(np.int64) >> (32 - bits)
        starts = bucket.searchsorted(np.arange((1 << bits) + 1))
        data = entries[order].tobytes()
        yield data
        directory = np.zeros(len(starts), dtype=_DIRECTORY)
        directory["start"] = starts
        view = memoryview(data)
        directory["checksum"][:-1] = [
            zlib.crc32(view[start:end], number)
            for number, (start, end) in enumerate(pairwise((_ENTRY.itemsize * starts).tolist()), 1)
        ]
        yield directory.tobytes()
        offset = self._offset
        directory_offset = offset + len(data)
        words_offset = directory_offset + directory.nbytes
        blocks, word_directory = _word_blocks(words, entries)
        yield b"".join(blocks)
        lies_at = words_offset + sum(map(len, blocks))
        known = encode(word_directory)
        yield known
        self._offset = lies_at + len(known)
        lies = Block(lies_at, len(known), zlib.crc32(known))
        yield TermsEntry(bits, offset, directory_offset, words_offset, lies)

    @property
    def offset(self) -> int:
        """Return where the next bytes are to lie."""
        return self._offset


def _word_blocks(
    words: Sequence[str], entries: npt.NDArray[np.void]
) -> tuple[list[bytes], _WordDirectory]:
    """Return the blocks of words with their lists, and the directory of them."""
    blocks: list[bytes] = []
    offsets = [0]
    for start in range(0, len(words), _WORDS_PER_BLOCK):
        part = words[start : start + _WORDS_PER_BLOCK]
        lists = [
            tuple(
                entries[name][first : first + len(part)].tolist()
                for name in ("count", "place", "checksum")
            )
            for first in (start, len(words) + start)
        ]
        blocks.append(encode((list(part), *lists)))
        offsets.append(offsets[-1] + len(blocks[-1]))
    firsts = list(words[::_WORDS_PER_BLOCK])
    return blocks, (firsts, offsets, [zlib.crc32(block) for block in blocks])


class Terms:
    """Finds terms and lists of an open file; keeps those asked for while there is room."""

    def __init__(self, entry: TermsEntry, room: Room) -> None:
        self._entry = entry
        self._room = room
        self._kept: dict[bytes, Rows] = {}
        self._known: dict[bytes, Term | None] = {}
        self._bits: dict[bytes, Words] = {}
        self._words: _WordDirectory | None = None

    def find(self, digest: bytes, read: Reader) -> Term | None:
        """Return the term of a key's digest, or None: then no row has it."""
        if digest in self._known:
            return self._known[digest]
        number = _bucket_of(digest, self._entry.bucket_bits)
        head = read(self._entry.directory_offset + _DIRECTORY_BYTES * number, 12)
        start, checksum, end = (int.from_bytes(head[at : at + 4], "little") for at in (0, 4, 8))
        if end < start:
            raise corrupt()
        data = read(self._entry.buckets_offset + _ENTRY_BYTES * start, _ENTRY_BYTES * (end - start))
        if zlib.crc32(data, number + 1) != checksum:
            raise corrupt()
        term = None
        for at in range(0, len(data), _ENTRY_BYTES):
            if data.startswith(digest, at):
                fields = data[at + 16 : at + _ENTRY_BYTES]
                term = Term(
                    digest,
                    int.from_bytes(fields[:4], "little"),
                    int.from_bytes(fields[8:], "little"),
                    int.from_bytes(fields[4:8], "little"),
                )
                break
        if len(self._known) >= _LISTS_KEPT_MAX:
            self._known = {}
        self._known[digest] = term
        return term

    def at_hand(self, digests: Sequence[bytes]) -> bool:
        """Tell whether all of some keys are known and their rows in memory: no read is needed."""
        for digest in digests:
            if digest not in self._kept and digest not in self._bits:
                term = self._known.get(digest)
                if term is None or term.count > 1:
                    return False
        return True

    def handful(self, digests: Sequence[bytes]) -> list[int] | None:
        """Return the rows of all of some keys, rising, if one has a handful and all are in memory.

        None says nothing. So few rows go one by one through what is at hand: most questions end here.
        """
        least: Term | None = None
        for digest in digests:
            term = self._known.get(digest)
            if term is None:
                return None
            if least is None or term.count < least.count:
                least = term
        if least is None or least.count > HANDFUL:
            return None
        found = self._listed(least)
        for digest in digests:
            if found and digest != least.digest:
                found = self.among(digest, found)
            if found is None:
                return None
        return found

    def among(self, digest: bytes, rows: list[int]) -> list[int] | None:
        """Return which of a handful of rows have a key, or None if that is not in memory."""
        bits = self._bits.get(digest)
        if bits is not None:
            marks = bits.view(np.uint8).data
            return [row for row in rows if marks[row >> 3] >> (row & 7) & 1]
        term = self._known.get(digest, _UNKNOWN)
        if term is None or term is _UNKNOWN:
            return [] if term is None else None
        if term.count > _FEW:
            kept = self._kept.get(digest)
            asked = np.array(rows, dtype=np.uint32)
            return asked[is_in(asked, kept)].tolist() if kept is not None else None
        listed = self._listed(term)
        return [row for row in rows if row in listed] if listed is not None else None

    def _listed(self, term: Term) -> list[int] | None:
        """Return the rows of a term if they are in memory."""
        if term.count == 1:
            return [term.place]
        kept = self._kept.get(term.digest)
        return kept.tolist() if kept is not None else None

    def rows(self, term: Term | None, read: Reader, *, keep: bool = True) -> Rows:
        """Return the rows of a term, rising; they are kept, unless the caller keeps them its way."""
        if term is None:
            return _NONE
        if term.count == 1:
            return np.array([term.place], dtype=np.uint32)
        kept = self._kept.get(term.digest)
        if kept is not None:
            return kept
        data = read(term.place, 4 * term.count)
        if zlib.crc32(data) != term.checksum:
            raise corrupt()
        rows = np.frombuffer(data, dtype="<u4").astype(np.uint32, copy=False)
        if keep:
            self._keep(term.digest, rows)
        return rows

    def bits(self, term: Term, count: int, read: Reader) -> Words:
        """Return the rows of a term as bits, one for each of `count` rows."""
        kept = self._bits.get(term.digest)
        if kept is not None:
            return kept
        bits = words_of(self.rows(term, read), count)
        if self._room.take(bits.nbytes):
            self._bits[term.digest] = bits
        return bits

    def rows_from(self, prefix: str, read: Reader, *, strong: bool = False) -> Rows:
        """Return the rows of all words that begin so, rising, each once.

        Args:
            prefix: the beginning.
            read: the reader.
            strong: only rows where such a word is strong.
        """
        firsts, offsets, checksums = self._word_directory(read)
        lists: list[Rows] = []
        number = max(0, bisect_right(firsts, prefix) - 1)
        while number < len(firsts):
            length = offsets[number + 1] - offsets[number]
            data = read(self._entry.words_offset + offsets[number], length)
            if zlib.crc32(data) != checksums[number]:
                raise corrupt()
            words, plain, strongs = _word_block.decode(data)
            first = last = bisect_left(words, prefix)
            while last < len(words) and words[last].startswith(prefix):
                last += 1
            lists.extend(_lists_between(strongs if strong else plain, first, last, read))
            number += 1
            # Later blocks begin after the prefix: they concern it only if they begin with it.
            if number < len(firsts) and not firsts[number].startswith(prefix):
                break
        return np.unique(np.concatenate(lists)) if lists else _NONE

    def _word_directory(self, read: Reader) -> _WordDirectory:
        if self._words is None:
            block = self._entry.word_directory
            data = read(block.offset, block.length)
            if zlib.crc32(data) != block.checksum:
                raise corrupt()
            self._words = _word_directory.decode(data)
        return self._words

    def _keep(self, digest: bytes, rows: Rows) -> None:
        if not self._room.take(rows.nbytes):
            # All lists make room at once: the few that are asked for come back.
            freed, self._kept = self._kept, {}
            bits, self._bits = self._bits, {}
            self._room.give_back(sum(part.nbytes for part in freed.values()))
            self._room.give_back(sum(part.nbytes for part in bits.values()))
            if not self._room.take(rows.nbytes):
                return
        self._kept[digest] = rows


def _lists_between(lists: _Lists, first: int, last: int, read: Reader) -> Iterator[Rows]:
    """Yield the lists of neighbouring words: they lie side by side."""
    counts, places, checksums = lists
    many = [number for number in range(first, last) if counts[number] > 1]
    single = [places[number] for number in range(first, last) if counts[number] == 1]
    if single:
        yield np.array(single, dtype=np.uint32)
    if many:
        start = places[many[0]]
        end = places[many[-1]] + 4 * counts[many[-1]]
        data = read(start, end - start)
        for number in many:
            at = places[number] - start
            part = data[at : at + 4 * counts[number]]
            if zlib.crc32(part) != checksums[number]:
                raise corrupt()
            yield np.frombuffer(part, dtype="<u4")


def _bucket_of(digest: bytes, bits: int) -> int:
    """Return the bucket of a digest: its first bits."""
    return int.from_bytes(digest[:4], "big") >> (32 - bits)
