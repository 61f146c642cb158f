"""The vault: the only place where opened contents of transactions under review are held.

Memory only, bounded, in bytearrays that are overwritten when erased (seed 4.3, "delete the copy").
Invariant 1: when a round is over, no copy of it is here. Invariant 2: nothing here is ever logged,
persisted or sent. What CPython itself may leave behind is named in the threat model.
"""

from hansa import limits
from hansa.chain.opened import erase
from hansa.errors import UnavailableError
from hansa.types import Digest


class CopyVault:
    """Copies by (height, round), each under its transaction's digest."""

    def __init__(self, bytes_max: int = limits.COPIES_BYTES_MAX) -> None:
        self._bytes_max = bytes_max
        self._rounds: dict[tuple[int, int], dict[Digest, bytearray]] = {}
        self._bytes = 0

    @property
    def count(self) -> int:
        """Copies held now."""
        return sum(len(copies) for copies in self._rounds.values())

    @property
    def bytes_held(self) -> int:
        """Bytes held now."""
        return self._bytes

    def hold(
        self, height: int, round_number: int, transaction: Digest, contents: bytes | bytearray
    ) -> None:
        """Take one transaction's opened contents; a bytearray is taken over, not copied.

        Raises:
            UnavailableError: the vault is full; the reviewer must reject.
        """
        copies = self._rounds.setdefault((height, round_number), {})
        buffer = contents if isinstance(contents, bytearray) else bytearray(contents)
        if transaction in copies:
            if copies[transaction] is not buffer:
                erase(buffer)
            return
        if self._bytes + len(buffer) > self._bytes_max:
            erase(buffer)
            raise UnavailableError("The vault of copies is full.", remedy="Try again later.")
        copies[transaction] = buffer
        self._bytes += len(buffer)

    def held(self, height: int, round_number: int) -> int:
        """Return how many copies of a round are held."""
        return len(self._rounds.get((height, round_number), ()))

    def erase(self, height: int, round_number: int) -> int:
        """Overwrite and drop the copies of one round; return how many there were."""
        copies = self._rounds.pop((height, round_number), {})
        for buffer in copies.values():
            self._bytes -= len(buffer)
            erase(buffer)
        assert self._bytes >= 0
        return len(copies)

    def erase_one(self, height: int, round_number: int, transaction: Digest) -> None:
        """Overwrite and drop one copy that will not be proposed after all."""
        buffer = self._rounds.get((height, round_number), {}).pop(transaction, None)
        if buffer is not None:
            self._bytes -= len(buffer)
            erase(buffer)

    def erase_all(self) -> int:
        """Overwrite and drop everything, at shutdown; return how many there were."""
        return sum(self.erase(*slot) for slot in list(self._rounds))

    def rounds(self) -> tuple[tuple[int, int], ...]:
        """Return the (height, round) pairs that copies are held of, in order."""
        return tuple(sorted(self._rounds))
