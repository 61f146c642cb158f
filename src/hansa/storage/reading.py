"""Reading many chunks: neighbours of a pack at once, several packs at the same time.

A positioned read costs about as much as some hundred KiB of transfer, on HDFS more than on a disk. So
chunks that lie near each other are read with what lies between them, up to READ_GAP_BYTES_MAX a gap.
"""

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Protocol

from hansa import limits
from hansa.types import Address


class Source(Protocol):
    """What is read from."""

    def read(self, address: Address) -> bytes:
        """Return the bytes at an address: one positioned read."""
        ...


@dataclass(slots=True)
class Run:
    """Addresses of one pack that are read at once."""

    pack: bytes
    start: int
    end: int
    members: list[tuple[int, Address]]
    """Place in the question, address."""

    def takes(self, address: Address) -> bool:
        """Tell whether an address that does not lie before the run's start is near enough."""
        end = max(self.end, address.offset + address.length)
        return (
            address.pack == self.pack
            and address.offset - self.end <= limits.READ_GAP_BYTES_MAX
            and end - self.start <= limits.READ_RUN_BYTES_MAX
        )


def plan_runs(addresses: Sequence[Address]) -> list[Run]:
    """Group addresses into few reads, in the order of their packs and offsets."""
    runs: list[Run] = []
    order = sorted(enumerate(addresses), key=lambda pair: (pair[1].pack, pair[1].offset))
    for place, address in order:
        end = address.offset + address.length
        if runs and runs[-1].takes(address):
            runs[-1].members.append((place, address))
            runs[-1].end = max(runs[-1].end, end)
        else:
            runs.append(Run(address.pack, address.offset, end, [(place, address)]))
    return runs


def read_many(
    source: Source, addresses: Sequence[Address], executor: Executor | None = None
) -> list[memoryview]:
    """Return the bytes at each address, in the order asked for.

    Args:
        source: the store.
        addresses: any, in any order; together as much as the caller can hold.
        executor: threads of their own for more than one read; None reads one after the other.

    Raises:
        MissingError: a pack is gone, or was sealed or rewritten meanwhile: locate again.
        CorruptError: an address lies outside of its pack.
    """
    runs = plan_runs(addresses)
    wanted = [Address(run.pack, run.start, run.end - run.start) for run in runs]
    if executor is None or len(runs) == 1:
        read = [source.read(address) for address in wanted]
    else:
        read = list(executor.map(source.read, wanted))
    found = [memoryview(b"")] * len(addresses)
    for run, data in zip(runs, read, strict=True):
        view = memoryview(data)
        for place, address in run.members:
            at = address.offset - run.start
            found[place] = view[at : at + address.length]
    return found
