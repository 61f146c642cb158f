"""One value for a set of rows, kept in step by adding and taking away (LtHash).

Each row is spread by SHAKE-128 over 1,024 numbers of 16 bits; a set is the sum of its rows, modulo
2^16 each. So the digest of an index follows a block's few changes without reading the other rows, and
is the same whatever the order of changes. Finding two sets with one sum is a lattice problem believed
to cost more than 2^200 (Bellare & Micciancio 1997; Lewi et al. 2019).
"""

import hashlib
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from hansa.types import Digest

SUM_BYTES = 2_048
Sum = npt.NDArray[np.uint16]


def empty_sum() -> Sum:
    """Return the sum of no rows."""
    return np.zeros(SUM_BYTES // 2, dtype=np.uint16)


def spread(dataset: bytes, digest: Digest, cluster: int) -> Sum:
    """Return what one row adds: id, record digest and cluster, spread."""
    line = dataset + digest + cluster.to_bytes(4, "big")
    data = hashlib.shake_128(line).digest(SUM_BYTES)
    return np.frombuffer(data, dtype="<u2").astype(np.uint16, copy=False)


def sum_rows(rows: Iterable[tuple[bytes, Digest, int]]) -> Sum:
    """Return the sum of rows given by id, record digest and cluster."""
    total = empty_sum()
    for dataset, digest, cluster in rows:
        total += spread(dataset, digest, cluster)
    return total


def to_bytes(total: Sum) -> bytes:
    """Return a sum as little-endian bytes."""
    return total.astype("<u2").tobytes()


def from_bytes(data: bytes) -> Sum:
    """Return a sum from its bytes."""
    assert len(data) == SUM_BYTES
    return np.frombuffer(data, dtype="<u2").astype(np.uint16)
