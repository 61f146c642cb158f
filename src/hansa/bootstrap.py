"""The one place that joins config, stores, ledger, agreement, links and API into a node.

    <folder>/  node.toml  genesis.hansa  node.key  directory.key  certificate.pem  lock  node.json
               ledger/ (blocks, state, votes)  index/  table.mdb  node.mdb  journal/  store/  log/

`prepare_node_folder` makes what a new node needs; `run_node` opens a folder and runs until stopped.
"""

import asyncio
import contextlib
import ctypes
import gc
import resource
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from hansa import limits
from hansa.chain.blocks import CertifiedBlock, Header
from hansa.chain.genesis import Genesis, decode_genesis
from hansa.chain.state import State
from hansa.chain.transactions import Candidate
from hansa.chain.validation import validate_block
from hansa.consensus.replica import Replica
from hansa.consensus.schedule import RECENT_BLOCKS
from hansa.crypto.signing import SigningKey
from hansa.errors import ConflictError, CorruptError, HansaError, InvalidError, MissingError
from hansa.index.files import IndexFiles
from hansa.index.information_index import IndexParameters, InformationIndex
from hansa.keyfile import (
    certificate_pem,
    create_certificate,
    create_key_file,
    load_secret,
    load_signing_key,
)
from hansa.ledger.block_ledger import BlockLedger
from hansa.ledger.index_files import LocalIndexFiles
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
    GENESIS_FILE,
    KEY_FILE,
    READY_FILE,
    Listen,
    NodeConfig,
    StoreSection,
    encode_config,
    load_config,
    parse_size,
    read_passphrase,
    split_address,
    validate_store,
)
from hansa.node.custody import Custody
from hansa.node.daemon import Daemon, ReadyRecord
from hansa.node.driver import Driver
from hansa.node.exchange import Exchange
from hansa.node.health import HealthCheck
from hansa.node.keeping import Keeper
from hansa.node.moving import move_store, owner_line, store_place
from hansa.node.observe import Metrics, close_log, open_log
from hansa.node.outbox import DurableOutbox
from hansa.node.parts import blocks_from
from hansa.node.server import ApiServer, bind, make_context, make_server
from hansa.node.statuses import Statuses, status_of
from hansa.node.storework import StoreWork
from hansa.ports import Entropy
from hansa.rest import TransactionStatus
from hansa.storage.journal import Journal
from hansa.storage.migrate import MigrateReport
from hansa.storage.opening import OpenedStore, open_chunks, open_store
from hansa.storage.progress import Progress
from hansa.storage.quota import Quota
from hansa.storage.table import LmdbTable
from hansa.storage.version_store import VersionStore
from hansa.system import SystemClock, SystemEntropy, WorkerPool
from hansa.types import Digest, EncryptionKey, Height, OrganisationName, PublicKey

DIRECTORY_KEY_FILE = "directory.key"
_PR_SET_DUMPABLE = 4


# --- a new folder -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class NewNode:
    """What a new node's folder is made from."""

    organisation: OrganisationName
    title: str
    admin_name: str
    admin_key: PublicKey
    admin_encryption_key: EncryptionKey
    directory_key: bytes
    """The organisation's directory key, 32 bytes."""
    peer: str
    """host:port to listen on for other nodes."""
    api: str
    """host:port to listen on for own users."""
    peer_address: str = ""
    """host:port under which other nodes reach it, if not `peer`."""
    api_url: str = ""
    """https://host:port under which own users reach it, if not `api`."""
    store_url: str = "file:store"
    store_user: str = ""
    """HDFS: as whom."""
    store_replication: int = 3
    """HDFS: copies of each block."""


def prepare_node_folder(
    folder: Path, node: NewNode, *, entropy: Entropy, passphrase: bytes | None = None
) -> Candidate:
    """Make a node's folder with fresh keys; return how the organisation enters the alliance.

    Args:
        folder: made if absent; must not hold a node yet.
        node: who it is and where it listens.
        entropy: for the keys.
        passphrase: protects the key files; without one they have mode 0600.

    Raises:
        ConflictError: the folder holds a node already.
        InvalidError: an address or the store's URL is malformed.
    """
    config = NodeConfig(
        organisation=node.organisation,
        listen=Listen(peer=node.peer, api=node.api),
        store=StoreSection(
            url=node.store_url, user=node.store_user, replication=node.store_replication
        ),
    )
    hosts = {
        split_address(node.peer_address or node.peer, "peer_address")[0],
        split_address(node.api, "api")[0],
    }
    validate_store(config)
    if (folder / CONFIG_FILE).exists():
        raise ConflictError(
            f"{folder} holds a node already.", remedy="Start it, or choose another folder."
        )
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    key = SigningKey(entropy.random_bytes(32))
    certificate = create_certificate(key, node.organisation, sorted(hosts - {"0.0.0.0", "::"}))  # noqa: S104
    create_key_file(folder / KEY_FILE, "signing", key.seed(), passphrase)
    create_key_file(folder / DIRECTORY_KEY_FILE, "secret", node.directory_key, passphrase)
    (folder / CERTIFICATE_FILE).write_bytes(certificate_pem(certificate))
    (folder / CONFIG_FILE).write_text(encode_config(config), encoding="utf-8")
    return Candidate(
        name=node.organisation,
        title=node.title,
        node_key=key.public,
        certificate=certificate,
        peer_address=node.peer_address or node.peer,
        api_url=node.api_url or f"https://{node.api}",
        admin_key=node.admin_key,
        admin_encryption_key=node.admin_encryption_key,
        admin_name=node.admin_name,
    )


def install_genesis(folder: Path, data: bytes) -> Genesis:
    """Put the alliance's genesis into a node's folder; once more with the same is harmless.

    Raises:
        InvalidError: no genesis. ConflictError: the folder is of another alliance.
    """
    genesis = decode_genesis(data)
    path = folder / GENESIS_FILE
    if path.exists() and path.read_bytes() != data:
        raise ConflictError(
            f"{path} is of another alliance.", remedy="Use a folder of its own for each alliance."
        )
    temporary = path.with_suffix(".tmp")
    temporary.write_bytes(data)
    temporary.replace(path)
    return genesis


# --- a running node -----------------------------------------------------------------------------


def run_node(folder: Path) -> int:
    """Run the node of a folder until it is asked to stop; return the exit code.

    Raises:
        HansaError: it cannot start, or a part failed.
    """
    if not __debug__:
        raise InvalidError(
            "A node does not run under python -O: its safety checks would be off.",
            remedy="Start it without -O and without PYTHONOPTIMIZE.",
        )
    harden()
    with contextlib.ExitStack() as closing:
        daemon = build_node(folder, closing)
        # What is loaded now lives as long as the node: collecting garbage need not look at it.
        gc.collect()
        gc.freeze()
        daemon.on_listening = _tell_ready
        asyncio.run(daemon.run())
    return 0


def _tell_ready(record: ReadyRecord) -> None:
    """Say on standard error that the node answers: for whoever started it by hand."""
    sys.stderr.write(
        f"ready: node of {record.organisation}, listening on port {record.peer_port} for nodes"
        f" and on port {record.api_port} for its users\n"
    )
    sys.stderr.flush()


def harden() -> None:
    """Switch core dumps off: memory holds copies and keys that must not reach a disk."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def build_node(folder: Path, closing: contextlib.ExitStack) -> Daemon:
    """Open everything in a node's folder and join it.

    Args:
        folder: made by `prepare_node_folder`, with a genesis.
        closing: takes what must be closed, in order; also if this raises.

    Raises:
        HansaError: the folder, a key, the ledger, the store or a port is not as it must be.
    """
    return _Builder(folder, closing).build()


class _Builder:
    """Opens one part after the other, each resting on those before."""

    def __init__(self, folder: Path, closing: contextlib.ExitStack) -> None:
        """Open what all parts need: settings, lock, log, genesis, keys."""
        self.folder, self.closing = folder, closing
        self.config = load_config(folder)
        closing.enter_context(FolderLock(folder))
        self.log = open_log(folder, self.config.log)
        closing.callback(close_log)
        self.genesis_bytes = _read_genesis(folder)
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

        def committed(certified: CertifiedBlock, state: State) -> None:
            assert daemon is not None, "no block is committed before the daemon runs"
            daemon.committed(certified, state)

        self.driver = Driver(
            replica=replica,
            ledger=self.ledger,
            vote_log=self.vote_log,
            peers=peers,
            statuses=statuses,
            clock=self.clock,
            log=self.log,
            on_committed=committed,
            on_fault=lambda kind: self.metrics.faults.labels(kind=kind).inc(),
            on_lie=self.accuser.notice,
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
        first = max(1, self.ledger.height() - RECENT_BLOCKS + 1)
        recent = tuple(blocks_from(self.ledger, Height(first), self.ledger.height()))
        return Replica(self.key, state, recent, self.vote_log.records(), self.entropy.random_bytes)

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
            LocalIndexFiles(folder / "index"),
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
            tell=lambda text: self.log.warning("store.waits", why=text),
        )

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
            credentials=Credentials(
                self.folder / CERTIFICATE_FILE, self.folder / KEY_FILE, self.passphrase
            ),
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
        return {
            member.node_key: PeerEntry(member.name, member.peer_address, member.certificate)
            for member in self._state().organisations()
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


def migrate_store(folder: Path, url: str, progress: Progress) -> MigrateReport:
    """Move a stopped node's store to another place; see `node.moving`.

    Raises:
        ConflictError: the node is running.
        HansaError: as `move_store`; the node still uses its old store.
    """
    with FolderLock(folder):
        return move_store(
            folder, url, clock=SystemClock(), entropy=SystemEntropy(), progress=progress
        )


def open_index_files(folder: Path) -> IndexFiles:
    """Return a folder of index files on the local disk, made if it is not there."""
    return LocalIndexFiles(folder)


def open_ledger(
    folder: Path, genesis: Genesis, closing: contextlib.ExitStack
) -> tuple[BlockLedger, State]:
    """Open the ledger, replay what a crash left between block and state, return both.

    Raises:
        CorruptError: blocks and state contradict each other.
    """
    ledger = BlockLedger(folder, alliance=genesis.digest())
    closing.callback(ledger.close)
    state = State.at_genesis(genesis)
    if ledger.height():
        # The founding records are in no block: what blocks wrote lies over them.
        items = dict(state.items()) | dict(ledger.state_items())
        state = State.restored(genesis, items.items())
    parent: Header | None = None
    last = ledger.block(ledger.height()) if ledger.height() else None
    if last is not None:
        parent = last.block.header
    if state.height != ledger.height() or (parent and state.root != parent.state_root):
        raise CorruptError(
            "The stored state is not the state of the last stored block.",
            remedy="Keep the folder for a diagnosis, and let a fresh one catch up.",
        )

    def replay(certified: CertifiedBlock) -> Iterable[tuple[bytes, bytes | None]]:
        nonlocal state, parent
        execution = validate_block(state, certified.block, parent)
        state, parent = state.advanced(execution), certified.block.header
        return execution.writes

    ledger.recover(replay)
    return ledger, state


def check_identity(genesis: Genesis, organisation: str, node_key: PublicKey) -> None:
    """Check that the genesis and the node's key agree on who this is.

    Raises:
        InvalidError: the genesis names another key for this organisation.
    """
    for founder in genesis.organisations:
        if founder.name == organisation and founder.node_key != node_key:
            raise InvalidError(
                f"The genesis names another node key for {organisation}.",
                remedy="Use the genesis of this alliance and the folder made for it.",
            )


def _read_genesis(folder: Path) -> bytes:
    try:
        return (folder / GENESIS_FILE).read_bytes()
    except FileNotFoundError as error:
        raise MissingError(
            f"{folder} has no {GENESIS_FILE}.",
            remedy="Give it one: `hansa alliance join --dir MEMBER --genesis genesis.hansa`; the"
            " founders make that file by `hansa alliance init`.",
        ) from error


def main(folder: str) -> int:
    """Run a node from a command line: failures become a message and an exit code."""
    try:
        return run_node(Path(folder))
    except HansaError as error:
        sys.stderr.write(f"Error: {error.message}\n")
        if error.remedy:
            sys.stderr.write(f"  {error.remedy}\n")
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
