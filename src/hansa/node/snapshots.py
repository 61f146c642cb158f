"""Gives joiners what they need instead of all blocks: an offer, parts of the state, single blocks.

    snapshot  b"" → SnapshotOffer     snapshot-part  PartCall → StatePart     snapshot-block  BlockCall → CertifiedBlock

A state is a value that never changes, so the one that was offered is held as it is while later blocks
come; the two latest offered ones are held. Counterpart: `joining`.
"""

from collections.abc import Awaitable, Callable

import msgspec

from hansa import limits
from hansa.chain.parts import Cut
from hansa.chain.records import OrganisationRecord
from hansa.chain.snapshots import SnapshotOffer, header_of
from hansa.chain.state import State
from hansa.codec import decode, encode
from hansa.errors import InvalidError, MissingError
from hansa.ports import Ledger, Workers
from hansa.types import Height

PART_BYTES_MAX = 4 * limits.MIB
HELD_MAX = 2
BEHIND_MAX = 1_000
"""A held state this many blocks old is offered no more."""


class PartCall(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Asks for a part of an offered state."""

    height: Height
    number: int
    """From 0."""


class BlockCall(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Asks for one block."""

    height: Height


class SnapshotShelf:
    """The states that this node offers."""

    def __init__(self, *, state: Callable[[], State], ledger: Ledger, workers: Workers) -> None:
        self._state = state
        self._ledger = ledger
        self._workers = workers
        self._held: dict[int, tuple[Cut, bytes]] = {}
        """Height → how its state is cut, and the offer."""

    def served(self) -> dict[str, Callable[[OrganisationRecord, bytes], Awaitable[bytes]]]:
        """Return the calls that other members' nodes may make."""
        return {
            "snapshot": self._serve_offer,
            "snapshot-part": self._serve_part,
            "snapshot-block": self._serve_block,
        }

    async def _serve_offer(self, member: OrganisationRecord, payload: bytes) -> bytes:  # noqa: ARG002 - as others
        latest = max(self._held, default=0)
        if not latest or self._state().height - latest > BEHIND_MAX:
            await self._workers.run(self._hold, self._state())
        return self._held[max(self._held)][1]

    def _hold(self, state: State) -> None:
        """Cut the state and write its offer."""
        tip = self._ledger.block(state.height)
        changes = [self._ledger.block(height) for height in state.set_changes()]
        if tip is None:
            raise MissingError("There is no block yet.", remedy="Join by the genesis alone.")
        cut = Cut(state.pairs, PART_BYTES_MAX)
        present = tuple(header_of(item) for item in changes if item is not None)
        offer = SnapshotOffer(format=1, set_changes=present, tip=header_of(tip), parts=len(cut))
        self._held[state.height] = (cut, encode(offer))
        while len(self._held) > HELD_MAX:
            del self._held[min(self._held)]

    async def _serve_part(self, member: OrganisationRecord, payload: bytes) -> bytes:  # noqa: ARG002
        call = decode(PartCall, payload, bytes_max=limits.KIB)
        held = self._held.get(call.height)
        if held is None:
            raise MissingError("That state is held no more.", remedy="Ask for a new offer.")
        cut, _ = held
        if not 0 <= call.number < len(cut):
            raise InvalidError("The state has no such part.")
        return await self._workers.run(lambda: encode(cut.part(call.number)))

    async def _serve_block(self, member: OrganisationRecord, payload: bytes) -> bytes:  # noqa: ARG002
        call = decode(BlockCall, payload, bytes_max=limits.KIB)
        certified = await self._workers.run(self._ledger.block, call.height)
        if certified is None:
            raise MissingError(f"There is no block {call.height} here.")
        return encode(certified)
