"""Descriptions for the benchmarks of the index: real ones, and ones resampled from them by a seed.

A resampled description has the words of one real description, a few of them exchanged for those of
another, a title of both, a feature vector a step or two away, and, for half of them, a place and a time
(real catalogues seldom tell them in numbers). Ids are random. Nothing is as repetitive as copies.
"""

import gzip
import hashlib
import random
from collections.abc import Iterator
from operator import add
from pathlib import Path

import msgspec

from hansa.cli.trying.dump import read_dump
from hansa.codec import encode
from hansa.index.records import IndexRecord
from hansa.types import Box, Interval

ROOT = Path(__file__).resolve().parents[1]
CATALOGUE = ROOT.parent / "shared" / "data" / "catalogue" / "descriptions.jsonl.gz"
KEPT = ROOT / "build" / "bench"
_DAY_MS = 86_400_000
_MICRO = 1_000_000
_EXCHANGED = 6
_record = msgspec.msgpack.Decoder(list[IndexRecord])


def real_records(catalogue: Path) -> list[IndexRecord]:
    """Return the catalogue's records; computed once for each content of the file."""
    digest = hashlib.sha256(catalogue.read_bytes()).hexdigest()[:16]
    KEPT.mkdir(parents=True, exist_ok=True)
    kept = KEPT / f"descriptions-{digest}.msgpack.gz"
    if not kept.exists():
        records = list(read_dump(catalogue).records)
        kept.write_bytes(gzip.compress(encode(records), 1))
    return _record.decode(gzip.decompress(kept.read_bytes()))


def resample(real: list[IndexRecord], count: int, seed: int) -> Iterator[IndexRecord]:
    """Yield so many descriptions, the same for the same seed."""
    draw = random.Random(f"index {seed} {count}")
    cities = [(draw.uniform(-120, 140), draw.uniform(-40, 65)) for _ in range(400)]
    for number in range(count):
        one, two = draw.choice(real), draw.choice(real)
        words = {*one.words, *two.words[:: len(two.words) // _EXCHANGED + 1][:_EXCHANGED]}
        words.difference_update(one.words[:: len(one.words) // _EXCHANGED + 1][:_EXCHANGED])
        title = f"{one.title} {two.place} {number}".strip()
        moved = map(add, one.features, draw.choices(_STEPS, k=len(one.features)))
        features = tuple([v if -127 <= v <= 127 else 127 if v > 0 else -127 for v in moved])
        yield msgspec.structs.replace(
            one,
            dataset=draw.randbytes(16),
            title=title[:300],
            description=one.description[:200],
            words=tuple(sorted(words)),
            features=features,
            box=_city(draw, cities) if draw.random() < 0.5 else None,
            interval=_years(draw) if draw.random() < 0.5 else None,
        )


_STEPS = (0, 0, 0, -1, 1, -2, 2)


def _city(draw: random.Random, cities: list[tuple[float, float]]) -> Box:
    x, y = draw.choice(cities)
    west, south = x + draw.uniform(-0.3, 0.3), y + draw.uniform(-0.3, 0.3)
    size = draw.choice((0.0, 0.002, 0.02, 0.2))
    sides = (west, south, west + size, south + size)
    return Box(*(round(side * _MICRO) for side in sides))


def _years(draw: random.Random) -> Interval:
    start = draw.randrange(3_650, 20_000) * _DAY_MS
    return Interval(start, start + draw.choice((1, 30, 365, 3_650)) * _DAY_MS)
