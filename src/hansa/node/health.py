"""Readiness that does not lie: each reason is looked at when somebody asks."""

import shutil
from collections.abc import Callable
from pathlib import Path

from hansa.chain.blocks import quorum_of
from hansa.chain.state import State
from hansa.consensus.replica import Replica
from hansa.node.parts import LocatingLedger, Peers
from hansa.rest import Health
from hansa.types import PublicKey

INDEX_LAG_MAX = 64


class HealthCheck:
    """Looks at one node's parts and says what is not well."""

    def __init__(
        self,
        *,
        node_key: PublicKey,
        replica: Replica,
        ledger: LocatingLedger,
        peers: Peers,
        index_height: Callable[[], int],
        lost_manifests: Callable[[], int],
        folder: Path,
        disk_free_bytes_min: int,
        store_trouble: Callable[[], str] = lambda: "",
        store_waiting_for: Callable[[], str] = lambda: "",
    ) -> None:
        self._node_key = node_key
        self._replica = replica
        self._ledger = ledger
        self._peers = peers
        self._index_height = index_height
        self._lost_manifests = lost_manifests
        self._folder = folder
        self._disk_free_bytes_min = disk_free_bytes_min
        self._store_trouble = store_trouble
        self._store_waiting_for = store_waiting_for

    def disk_free_bytes(self) -> int:
        """Return the room left where the ledger lies."""
        return shutil.disk_usage(self._folder).free

    def look(self) -> Health:
        """Return whether the node can do its work now, and every reason why not."""
        state = self._replica.state
        reasons = self._chain(state)
        lag = state.height - self._index_height()
        if lag > INDEX_LAG_MAX:
            reasons.append(f"the index is {lag} blocks behind")
        free = self.disk_free_bytes()
        if free < self._disk_free_bytes_min:
            reasons.append(f"only {free} bytes are free on the disk")
        lost = self._lost_manifests()
        if lost:
            reasons.append(f"{lost} manifests of own versions are missing or damaged")
        waiting_for = self._store_waiting_for()
        if waiting_for:
            reasons.append(f"the store is away, and waited for: {waiting_for}")
        trouble = self._store_trouble()
        if trouble:
            reasons.append(f"packs wait in the journal, the store does not take them: {trouble}")
        return Health(ready=not reasons, reasons=reasons)

    def behind(self) -> str:
        """Return why the state may not be the alliance's newest, as a clause; empty if it is."""
        return "; ".join(self._chain(self._replica.state))

    def _chain(self, state: State) -> list[str]:
        """Return why this node may not know the alliance's newest block."""
        reasons = [*self._membership(state), *self._links(state)]
        if not self._replica.is_synced:
            reasons.append("not synced: the tip is not known to be the alliance's yet")
        if self._ledger.height() != state.height:
            reasons.append("the ledger and the state stand at different heights")
        return reasons

    def _membership(self, state: State) -> list[str]:
        member = state.organisation_by_node_key(self._node_key)
        if member is None:
            return ["this node's organisation is not admitted yet"]
        return [] if member.status == "active" else ["this node's organisation is suspended"]

    def _links(self, state: State) -> list[str]:
        """Say so if too few super nodes are reached: a quorum is needed to go on."""
        super_nodes = set(state.super_nodes())
        reached = len(super_nodes & (self._peers.connected() | {self._node_key}))
        needed = quorum_of(len(super_nodes))
        if reached >= needed:
            return []
        return [f"{reached} of {len(super_nodes)} super nodes are reached, {needed} are needed"]
