"""Membership filter in front of the hash index table: says "never seen" without a disk read.

A sorted set of 36-bit heads of keys, kept as a quotient filter is (Bender et al., "Don't Thrash", VLDB
2012), but in plain arrays: 64 shards of 2^14 buckets, in each bucket the sorted remainders, 16 bits
each. Keys are keyed digests, uniform already. It takes 2 bytes for each key and 4 MiB, plus an eighth of
a byte for what waits to be merged; at n keys n / 2^36 of absent keys are answered "perhaps": 0.015 % at
10^7, 1.5 % at 10^9. It grows without reading the keys again, shard by shard, so no step is long.

It forgets nothing: keys removed from the table stay until it is built anew, and cost only a read.
"""

import zlib
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

Heads = npt.NDArray[np.uint64]
"""First eight bytes of keys as big-endian numbers, (n,)."""

SHARDS = 64
_BUCKETS = 1 << 14
"""In each shard."""
_REST_BITS = 16
_LOCAL_BITS = 14 + _REST_BITS
_HEAD_SHIFT = 64 - 6 - _LOCAL_BITS
_WAITING_MIN = 4_096
_WAITING_SHARE = 64
"""One key in so many waits, at most, before shards are merged."""
_FEW = 128
"""So many look-ups are faster one by one: some two for each shard."""
_CHECK_BYTES = 4


def heads_of(keys: Sequence[bytes]) -> Heads:
    """Return the first eight bytes of each key as numbers, (n,)."""
    joined = b"".join([key[:8] for key in keys])
    return np.frombuffer(joined, dtype=">u8").astype(np.uint64)


class _Shard:
    """Remainders of one 64th of all keys, by bucket; never changed, only replaced."""

    __slots__ = ("rest", "starts")

    def __init__(self, starts: npt.NDArray[np.uint32], rest: npt.NDArray[np.uint16]) -> None:
        self.starts = starts
        self.rest = rest

    @classmethod
    def empty(cls) -> "_Shard":
        return cls(np.zeros(_BUCKETS + 1, np.uint32), np.empty(0, np.uint16))

    def merged(self, fresh: npt.NDArray[np.uint32]) -> "_Shard":
        """Return a shard with more keys, given as 30-bit numbers."""
        buckets = np.repeat(np.arange(_BUCKETS, dtype=np.uint32), np.diff(self.starts))
        joined = np.concatenate([(buckets << np.uint32(_REST_BITS)) | self.rest, fresh])
        joined.sort(kind="stable")
        is_first = np.ones(len(joined), bool)
        np.not_equal(joined[1:], joined[:-1], out=is_first[1:])
        joined = joined[is_first]
        starts = np.zeros(_BUCKETS + 1, np.uint32)
        counts = np.bincount(joined >> np.uint32(_REST_BITS), minlength=_BUCKETS)
        np.cumsum(counts, out=starts[1:])
        return _Shard(starts, joined.astype(np.uint16))

    def contains(self, local: npt.NDArray[np.uint32]) -> npt.NDArray[np.bool_]:
        """Tell for each 30-bit number whether it is here: one binary search for all, (n,)."""
        bucket = local >> np.uint32(_REST_BITS)
        rest = local.astype(np.uint16)
        low, end = self.starts[bucket].astype(np.int64), self.starts[bucket + 1].astype(np.int64)
        step = 1 << int((end - low).max(initial=0)).bit_length()
        while step:
            ahead = low + step
            fits = ahead <= end
            fits &= self.rest[np.minimum(ahead, end) - 1] < rest
            low = np.where(fits, ahead, low)
            step >>= 1
        found: npt.NDArray[np.bool_] = low < end
        found[found] = self.rest[low[found]] == rest[found]
        return found

    def has(self, local: int) -> bool:
        """Tell whether one 30-bit number is here."""
        bucket, rest = local >> _REST_BITS, local & ((1 << _REST_BITS) - 1)
        piece = self.rest[int(self.starts[bucket]) : int(self.starts[bucket + 1])]
        return bool((piece == rest).any())


class MembershipFilter:
    """Which keys were ever added; any number of readers beside one writer."""

    def __init__(self) -> None:
        """Make an empty filter."""
        self._shards = [_Shard.empty()] * SHARDS
        self._waiting: npt.NDArray[np.uint64] = np.empty(0, np.uint64)
        """Sorted 36-bit heads that are in no shard yet."""
        self._next = 0

    @property
    def count(self) -> int:
        """Return how many different heads it holds."""
        return len(self._waiting) + sum(len(shard.rest) for shard in self._shards)

    @property
    def memory_bytes(self) -> int:
        """Return the memory it takes."""
        shards = sum(shard.starts.nbytes + shard.rest.nbytes for shard in self._shards)
        return shards + self._waiting.nbytes

    def add(self, heads: Heads) -> None:
        """Add keys by their heads."""
        fresh = np.unique(heads >> np.uint64(_HEAD_SHIFT))
        places = np.searchsorted(self._waiting, fresh)
        self._waiting = np.insert(self._waiting, places, fresh)
        bound = max(_WAITING_MIN, self.count // _WAITING_SHARE)
        # One shard for each call, unless much came at once: no call takes long.
        while len(self._waiting) > bound:
            self._merge(self._next)
            self._next = (self._next + 1) % SHARDS

    def may_contain(self, heads: Heads) -> npt.NDArray[np.bool_]:
        """Tell for each key: False = surely never added, True = added, or one of the few errors."""
        asked = heads >> np.uint64(_HEAD_SHIFT)
        # What waits before the shards: keys move that way only.
        waiting = self._waiting
        if len(asked) <= _FEW:
            places = np.searchsorted(waiting, asked).tolist()
            pairs = zip(asked.tolist(), places, strict=True)
            return np.array([self._has(head, at, waiting) for head, at in pairs], bool)
        found = np.zeros(len(asked), bool)
        if len(waiting):
            places = np.minimum(np.searchsorted(waiting, asked), len(waiting) - 1)
            found = waiting[places] == asked
        order = np.argsort(asked)
        ordered = asked[order]
        local = (ordered & np.uint64((1 << _LOCAL_BITS) - 1)).astype(np.uint32)
        bounds = np.searchsorted(ordered >> np.uint64(_LOCAL_BITS), np.arange(SHARDS + 1)).tolist()
        for number, shard in enumerate(self._shards):
            first, last = bounds[number], bounds[number + 1]
            if first < last and len(shard.rest):
                found[order[first:last]] |= shard.contains(local[first:last])
        return found

    def parts(self) -> Iterator[bytes]:
        """Yield what `load` takes: one part for each shard, all that was added in them."""
        for number in range(SHARDS):
            self._merge(number)
            shard = self._shards[number]
            data = shard.starts.astype("<u4").tobytes() + shard.rest.astype("<u2").tobytes()
            yield zlib.crc32(data).to_bytes(_CHECK_BYTES, "little") + data

    @classmethod
    def load(cls, parts: Sequence[bytes]) -> "MembershipFilter | None":
        """Return a filter as it was saved, or None if the parts are not sound."""
        loaded = cls()
        head = _CHECK_BYTES + 4 * (_BUCKETS + 1)
        for number, part in enumerate(parts):
            check, data = part[:_CHECK_BYTES], memoryview(part)[_CHECK_BYTES:]
            if len(part) < head or zlib.crc32(data).to_bytes(_CHECK_BYTES, "little") != check:
                return None
            starts = np.frombuffer(part, "<u4", _BUCKETS + 1, _CHECK_BYTES).astype(np.uint32)
            rest = np.frombuffer(part, "<u2", -1, head).astype(np.uint16)
            loaded._shards[number] = _Shard(starts, rest)
        return loaded if len(parts) == SHARDS else None

    def _has(self, head: int, place: int, waiting: npt.NDArray[np.uint64]) -> bool:
        if place < len(waiting) and int(waiting[place]) == head:
            return True
        return self._shards[head >> _LOCAL_BITS].has(head & ((1 << _LOCAL_BITS) - 1))

    def _merge(self, number: int) -> None:
        """Move what waits for a shard into it."""
        ends = np.array([number, number + 1], np.uint64) << np.uint64(_LOCAL_BITS)
        first, last = np.searchsorted(self._waiting, ends).tolist()
        if first == last:
            return
        mask = np.uint64((1 << _LOCAL_BITS) - 1)
        fresh = (self._waiting[first:last] & mask).astype(np.uint32)
        self._shards[number] = self._shards[number].merged(fresh)
        self._waiting = np.delete(self._waiting, slice(first, last))
