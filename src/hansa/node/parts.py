"""The narrow Protocols of what `bootstrap` hands in: the adapters are not known by name here."""

from collections.abc import Iterator
from typing import Protocol

from hansa.chain.blocks import CertifiedBlock
from hansa.ports import Ledger
from hansa.types import Digest, Height, PublicKey


class Peers(Protocol):
    """Links to the other nodes; only members' nodes are ever on the other end."""

    @property
    def port(self) -> int:
        """Port listened on, once `run` has bound it."""
        ...

    async def run(self) -> None:
        """Listen and dial until cancelled.

        Raises:
            ConflictError: the port is in use.
        """
        ...

    def send(self, to: PublicKey, data: bytes) -> bool:
        """Queue a message of the agreement; False if not connected. Order is kept, loss is possible."""
        ...

    def flush(self) -> None:
        """Write at once what is queued; without it that comes in the loop's next turn."""
        ...

    async def call(self, to: PublicKey, method: str, payload: bytes) -> bytes:
        """Ask another node; the answer, or the error that the other side raised.

        Raises:
            UnavailableError: not connected, or no answer in time.
        """
        ...

    def connected(self) -> frozenset[PublicKey]:
        """Return who is connected now."""
        ...

    def refresh(self) -> None:
        """Look at the members again: dial new ones, drop those that are none any more."""
        ...


class LocatingLedger(Ledger, Protocol):
    """A ledger that also finds transactions."""

    def locate(self, transaction: Digest) -> tuple[Height, int] | None:
        """Return (height, index in its block) of a committed transaction, or None."""
        ...


def blocks_from(ledger: Ledger, first: Height, last: Height) -> Iterator[CertifiedBlock]:
    """Yield the blocks from `first` to `last`, both included, that the ledger holds."""
    for height in range(first, last + 1):
        certified = ledger.block(Height(height))
        if certified is not None:
            yield certified
