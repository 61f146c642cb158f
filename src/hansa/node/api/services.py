"""What the API's handlers stand on: one node's parts, joined by `bootstrap`."""

from collections.abc import Callable
from dataclasses import dataclass, field

from litestar.di import NamedDependency
from structlog.typing import FilteringBoundLogger

from hansa.chain.genesis import Genesis
from hansa.chain.state import State
from hansa.crypto.signing import SigningKey
from hansa.index.information_index import InformationIndex
from hansa.node.accusing import Accuser
from hansa.node.catalogue import Catalogue
from hansa.node.custody import Custody
from hansa.node.driver import Driver
from hansa.node.exchange import Exchange
from hansa.node.health import HealthCheck
from hansa.node.keeping import Keeper
from hansa.node.observe import Metrics
from hansa.node.outbox import DurableOutbox
from hansa.node.parts import LocatingLedger, Peers
from hansa.node.several import Several
from hansa.node.statuses import Statuses
from hansa.ports import Clock, Entropy, Workers
from hansa.storage.quota import Quota
from hansa.storage.version_store import VersionStore
from hansa.types import Digest, OrganisationName


@dataclass(frozen=True, kw_only=True)
class Services:
    """One node's parts."""

    genesis: Genesis
    genesis_bytes: bytes
    alliance: Digest
    organisation: OrganisationName
    key: SigningKey
    clock: Clock
    entropy: Entropy
    workers: Workers
    driver: Driver
    ledger: LocatingLedger
    peers: Peers
    statuses: Statuses
    custody: Custody
    outbox: DurableOutbox
    accuser: Accuser
    exchange: Exchange
    several: Several
    versions: VersionStore
    quota: Quota
    keeper: Keeper
    """Long work on the store, one at a time."""
    store_url: str
    store_free_bytes: Callable[[], int | None]
    """How many more bytes the store would take; None where nothing bounds it."""
    directory_key: bytes = field(repr=False)
    """The organisation's: opens directories of manifests and footers of packs."""
    index: InformationIndex
    catalogue: Catalogue
    health: HealthCheck
    metrics: Metrics
    log: FilteringBoundLogger
    started_ms: int
    """Monotonic time at which the node started."""

    def state(self) -> State:
        """Return the state after the last durable block."""
        return self.driver.replica.state


Given = NamedDependency[Services]
"""How a handler asks for the node's parts."""
