"""The parts of a node opened one after the other and joined: config, stores, ledger, agreement, links, API."""

import contextlib
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from hansa import limits
from hansa.bootstrap.opening import (
    check_identity,
    open_ledger,
    open_nodes_index_files,
    read_genesis,
)
from hansa.chain.blocks import CertifiedBlock
from hansa.chain.genesis import decode_genesis
from hansa.chain.snapshots import parse_checkpoint
from hansa.chain.state import State
from hansa.consensus.messages import kind_of
from hansa.consensus.replica import Replica
from hansa.consensus.schedule import RECENT_BLOCKS
from hansa.errors import (
    ConflictError,
    UnavailableError,
)
from hansa.index.information_index import IndexParameters, InformationIndex
from hansa.keyfile import (
    load_secret,
    load_signing_key,
)
from hansa.ledger.lock import FolderLock
from hansa.ledger.vote_log import VoteLogFile
from hansa.net.peers import Handlers, PeerEntry, PeerNetwork
from hansa.net.tls import Credentials
from hansa.node.accusing import Accuser
from hansa.node.api.services import Services
from hansa.node.catalogue import Catalogue
from hansa.node.config import (
    CERTIFICATE_FILE,
    CONFIG_FILE,
    KEY_FILE,
    READY_FILE,
    load_config,
    parse_size,
    read_passphrase,
    split_address,
)
from hansa.node.custody import Custody
from hansa.node.daemon import Daemon
from hansa.node.driver import Driver
from hansa.node.exchange import Exchange
from hansa.node.folder import DIRECTORY_KEY_FILE
from hansa.node.health import HealthCheck
from hansa.node.keeping import Keeper
from hansa.node.moving import owner_line, store_place
from hansa.node.observe import Metrics, close_log, open_log
from hansa.node.outbox import DurableOutbox
from hansa.node.parts import blocks_from
from hansa.node.server import ApiServer, bind, make_context, make_server
from hansa.node.several import METHOD, Several
from hansa.node.snapshots import SnapshotShelf
from hansa.node.statuses import Statuses, status_of
from hansa.node.storework import StoreWork
from hansa.rest import TransactionStatus
from hansa.storage.journal import Journal
from hansa.storage.opening import OpenedStore, open_chunks, open_store
from hansa.storage.quota import Quota
from hansa.storage.table import LmdbTable
from hansa.storage.version_store import VersionStore
from hansa.system import SystemClock, SystemEntropy, WorkerPool
from hansa.types import Digest, Height, OrganisationName, PublicKey


def build_node(folder: Path, closing: contextlib.ExitStack) -> Daemon:
    """Open everything in a node's folder and join it.

    Args:
        folder: made by `prepare_node_folder`, with a genesis.
        closing: takes what must be closed, in order; also if this raises.

    Raises:
        HansaError: the folder, a key, the ledger, the store or a port is not as it must be.
    """
    return Builder(folder, closing).build()


class Builder:
    """Opens one part after the other, each resting on those before."""

    def __init__(self, folder: Path, closing: contextlib.ExitStack) -> None:
        """Open what all parts need: settings, lock, log, genesis, keys."""
        self.folder, self.closing = folder, closing
        self.config = load_config(folder)
        closing.enter_context(FolderLock(folder))
        self.log = open_log(folder, self.config.log)
        closing.callback(close_log)
        self.genesis_bytes = read_genesis(folder)
        self.genesis = decode_genesis(self.genesis_bytes)
        self.alliance = self.genesis.digest()
        self.organisation = OrganisationName(self.config.organisation)
        self.passphrase = read_passphrase(self.config, folder)
        self.key = load_signing_key(folder / KEY_FILE, lambda: self.passphrase)
        check_identity(self.genesis, self.organisation, self.key.public)
        self.directory_key = load_secret(folder / DIRECTORY_KEY_FILE, lambda: self.passphrase)
        self.clock, self.entropy = SystemClock(), SystemEntropy()
        self.workers = closing.enter_context(WorkerPool())
        self.metrics = Metrics()

    def build(self) -> Daemon:
        """Join the parts into a daemon."""
        replica = self._open_chain()
        self._open_data()
        peers = self._make_peers()
        statuses = Statuses(self._locate)
        daemon: Daemon | None = None

        def committed(certified: CertifiedBlock) -> None:
            assert daemon is not None, "no block is committed before the daemon runs"
            daemon.committed(certified)

        def record(certified: CertifiedBlock, state: State) -> None:
            assert daemon is not None
            daemon.record(certified, state)

        self.driver = Driver(
            replica=replica,
            ledger=self.ledger,
            vote_log=self.vote_log,
            peers=peers,
            statuses=statuses,
            clock=self.clock,
            log=self.log,
            on_committed=committed,
            on_recorded=record,
            on_fault=lambda kind: self.metrics.faults.labels(kind=kind).inc(),
            on_lie=self.accuser.notice,
            on_sent=lambda data: self.metrics.count_message(kind_of(data)),
        )
        services = self._services(replica, peers, statuses)
        address = split_address(self.config.listen.api, "listen.api")
        listener = bind(*address, "listen.api")
        self.closing.callback(listener.close)
        daemon = Daemon(
            services,
            server=lambda: self._make_server(services),
            listener=listener,
            ready_file=self.folder / READY_FILE,
        )
        return daemon

    def _open_chain(self) -> Replica:
        self.ledger, state = open_ledger(self.folder / "ledger", self.genesis, self.closing)
        self.vote_log = VoteLogFile(self.folder / "ledger", owner=self.alliance)
        self.closing.callback(self.vote_log.close)
        self._check_checkpoint()
        if self.config.chain.keep_blocks:
            keep = max(self.config.chain.keep_blocks, RECENT_BLOCKS)
            removed = self.ledger.prune(self.ledger.height() - keep + 1, self._is_kept(state))
            self.log.info("blocks-pruned", removed=removed, first=self.ledger.first)
        first = max(1, self.ledger.height() - RECENT_BLOCKS + 1)
        recent = tuple(blocks_from(self.ledger, Height(first), self.ledger.height()))
        return Replica(self.key, state, recent, self.vote_log.records(), self.entropy.random_bytes)

    def _check_checkpoint(self) -> None:
        """Refuse to go on on a chain that the operator's checkpoint is not on."""
        text = self.config.chain.checkpoint
        checkpoint = parse_checkpoint(text) if text else None
        held = self.ledger.block(checkpoint.height) if checkpoint else None
        if checkpoint and held and held.block.header.digest() != checkpoint.digest:
            raise ConflictError(
                f"Block {checkpoint.height} here is not the checkpoint's of {CONFIG_FILE}.",
                remedy="Compare both with another member; one of the two is wrong.",
            )

    def _is_kept(self, state: State) -> Callable[[CertifiedBlock], bool]:
        """Return what keeps receipts provable: changes of the set, and own users' transactions."""
        changes, mine = set(state.set_changes()), {u.key for u in state.users(self.organisation)}
        return lambda item: (
            item.block.header.height in changes
            or any(transaction.body.author in mine for transaction in item.block.transactions)
        )

    def make_joining_network(self) -> PeerNetwork:
        """Return links to the members of the genesis, for a node that takes a snapshot."""
        state = State.at_genesis(self.genesis)

        async def refuse(*_: object) -> bytes:
            raise UnavailableError("This node is joining.")

        def ignore(*_: object) -> None:
            """No agreement runs yet."""

        return PeerNetwork(
            key=self.key,
            credentials=self._credentials(),
            alliance=self.alliance,
            listen=split_address(self.config.listen.peer, "listen.peer"),
            directory=lambda: self._members_of(state),
            handlers=Handlers(
                on_message=ignore, on_connected=ignore, on_lost=ignore, on_call=refuse
            ),
            clock=self.clock,
            entropy=self.entropy,
        )

    def _credentials(self) -> Credentials:
        return Credentials(self.folder / CERTIFICATE_FILE, self.folder / KEY_FILE, self.passphrase)

    def _open_data(self) -> None:
        folder, parameters = self.folder, self.genesis.parameters
        self.opened = self._open_store()
        store = self.opened.store
        self.closing.callback(self.opened.close)
        readers = ThreadPoolExecutor(limits.READERS_MAX, "hansa-read")
        self.closing.callback(readers.shutdown)
        chunks = open_chunks(
            store,
            Journal(folder / "journal"),
            folder / "table.mdb",
            self.directory_key,
            self.entropy,
            clock=self.clock,
            readers=readers,
            tell=lambda text: self.log.warning("table-begun-anew", why=text),
            closing=self.closing,
        )
        self.versions = VersionStore(chunks, self.directory_key, self.clock)
        self.index = InformationIndex.open(
            open_nodes_index_files(self.config, folder, store, self.entropy),
            IndexParameters(parameters.feature_model, parameters.recluster_registrations),
            self.clock.monotonic_us,
        )
        self.closing.callback(self.index.close)
        custody_table = LmdbTable(folder / "node.mdb")
        self.closing.callback(custody_table.close)
        self.custody = Custody(custody_table)
        self.outbox = DurableOutbox(custody_table, self.workers)
        self.accuser = Accuser(
            custody_table,
            genesis=self.genesis,
            key=self.key,
            clock=self.clock,
            entropy=self.entropy,
            log=self.log,
        )

    def _open_store(self) -> OpenedStore:
        return open_store(
            store_place(self.config, self.folder),
            owner_line(self.alliance, self.organisation),
            clock=self.clock,
            entropy=self.entropy,
            tell=self._tell_waiting,
        )

    def _tell_waiting(self, text: str) -> None:
        """Log what of the store is waited for; while the node starts its operator is told as well."""
        self.log.warning("store-waits", why=text)
        if not hasattr(self, "opened"):
            sys.stderr.write(f"{text}\n")
            sys.stderr.flush()

    def _make_peers(self) -> PeerNetwork:
        self.exchange = Exchange(
            organisation=self.organisation,
            state=self._state,
            custody=self.custody,
            versions=self.versions,
            workers=self.workers,
            clock=self.clock,
            metrics=self.metrics,
            log=self.log,
        )
        peers = PeerNetwork(
            key=self.key,
            credentials=self._credentials(),
            alliance=self.alliance,
            listen=split_address(self.config.listen.peer, "listen.peer"),
            directory=self._members,
            # The driver is made after the links: each needs the other.
            handlers=Handlers(
                on_message=lambda sender, data: self.driver.received(sender, data),  # noqa: PLW0108
                on_connected=lambda peer: self.driver.connected(peer),  # noqa: PLW0108
                on_lost=lambda peer: self.driver.lost(peer),  # noqa: PLW0108
                on_call=self.exchange.serve,
            ),
            clock=self.clock,
            entropy=self.entropy,
        )
        shelf = SnapshotShelf(state=self._state, ledger=self.ledger, workers=self.workers)
        self.exchange.serve_also(shelf.served())
        self.several = Several(
            exchange=self.exchange,
            custody=self.custody,
            versions=self.versions,
            workers=self.workers,
            clock=self.clock,
        )
        self.exchange.serve_also({METHOD: self.several.serve})
        self.exchange.join(peers)
        return peers

    def _services(self, replica: Replica, peers: PeerNetwork, statuses: Statuses) -> Services:
        catalogue = Catalogue(
            organisation=self.organisation,
            state=self._state,
            ledger=self.ledger,
            index=self.index,
            versions=self.versions,
            workers=self.workers,
            log=self.log,
        )
        health = HealthCheck(
            node_key=self.key.public,
            replica=replica,
            ledger=self.ledger,
            peers=peers,
            index_height=lambda: self.index.height,
            lost_manifests=lambda: catalogue.lost_manifests,
            folder=self.folder,
            disk_free_bytes_min=self.config.disk_free_bytes_min,
            store_trouble=lambda: self.versions.chunks.trouble,
            store_waiting_for=self.opened.waiting_for,
        )
        return Services(
            genesis=self.genesis,
            genesis_bytes=self.genesis_bytes,
            alliance=self.alliance,
            organisation=self.organisation,
            key=self.key,
            clock=self.clock,
            entropy=self.entropy,
            workers=self.workers,
            driver=self.driver,
            ledger=self.ledger,
            peers=peers,
            statuses=statuses,
            custody=self.custody,
            outbox=self.outbox,
            accuser=self.accuser,
            exchange=self.exchange,
            several=self.several,
            versions=self.versions,
            quota=Quota(
                self.versions, parse_size(self.config.store.quota_bytes, "store.quota_bytes")
            ),
            keeper=self._make_keeper(health),
            store_url=self.config.store.url,
            store_free_bytes=self.opened.free_bytes,
            directory_key=self.directory_key,
            index=self.index,
            catalogue=catalogue,
            health=health,
            metrics=self.metrics,
            log=self.log,
            started_ms=self.clock.monotonic_ms(),
        )

    def _make_keeper(self, health: HealthCheck) -> Keeper:
        work = StoreWork(
            organisation=self.organisation,
            versions=self.versions,
            directory_key=self.directory_key,
            custody=self.custody,
            state=self._state,
            behind=health.behind,
            nearest_cluster=self.index.nearest_cluster,
            clock=self.clock,
        )
        return Keeper(
            work,
            self.closing.enter_context(WorkerPool(1)),
            self.clock,
            self.log,
            collect_every_h=self.config.store.collect_every_h,
        )

    def _make_server(self, services: Services) -> ApiServer:
        from hansa.node.api.app import create_app  # noqa: PLC0415 - heavy, and needed only here

        context = make_context(
            self.folder / CERTIFICATE_FILE, self.folder / KEY_FILE, self.passphrase
        )
        return make_server(create_app(services), context)

    def _state(self) -> State:
        return self.driver.replica.state

    def _members(self) -> dict[PublicKey, PeerEntry]:
        """Return who may be on the other end of a link: the active members' nodes but this one."""
        return self._members_of(self._state())

    def _members_of(self, state: State) -> dict[PublicKey, PeerEntry]:
        return {
            member.node_key: PeerEntry(member.name, member.peer_address, member.certificate)
            for member in state.organisations()
            if member.status == "active" and member.node_key != self.key.public
        }

    def _locate(self, transaction: Digest) -> TransactionStatus | None:
        place = self.ledger.locate(transaction)
        certified = self.ledger.block(place[0]) if place else None
        if place is None or certified is None:
            return None
        result = certified.block.results[place[1]]
        status = "committed" if result.accepted else "refused"
        return status_of(transaction, status, result.code, place[0])
