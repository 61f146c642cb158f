"""The one place that joins config, stores, ledger, agreement, links and API into a node.

    <folder>/  node.toml  genesis.hansa  node.key  directory.key  certificate.pem  lock  node.json
               ledger/ (blocks, state, votes)  index/  table.mdb  node.mdb  journal/  store/  log/

`node.folder` makes what a new node needs; `run_node` opens a folder and runs until stopped.
"""

import asyncio
import contextlib
import ctypes
import gc
import resource
import shutil
import sys
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from hansa import limits
from hansa.chain.blocks import CertifiedBlock, Header
from hansa.chain.genesis import Genesis, decode_genesis
from hansa.chain.snapshots import parse_checkpoint
from hansa.chain.state import State
from hansa.chain.validation import validate_block
from hansa.consensus.messages import kind_of
from hansa.consensus.replica import Replica
from hansa.consensus.schedule import RECENT_BLOCKS
from hansa.errors import (
    ConflictError,
    CorruptError,
    HansaError,
    InvalidError,
    MissingError,
    UnavailableError,
)
from hansa.index.files import IndexFiles
from hansa.index.information_index import IndexParameters, InformationIndex
from hansa.keyfile import (
    load_secret,
    load_signing_key,
)
from hansa.ledger.block_ledger import BlockLedger
from hansa.ledger.durable import sync_folder
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
    load_config,
    parse_size,
    read_passphrase,
    split_address,
)
from hansa.node.custody import Custody
from hansa.node.daemon import Daemon, ReadyRecord
from hansa.node.driver import Driver
from hansa.node.exchange import Exchange
from hansa.node.folder import DIRECTORY_KEY_FILE
from hansa.node.health import HealthCheck
from hansa.node.joining import take_snapshot
from hansa.node.keeping import Keeper
from hansa.node.moving import move_store, owner_line, store_place
from hansa.node.observe import Metrics, close_log, open_log
from hansa.node.outbox import DurableOutbox
from hansa.node.parts import blocks_from
from hansa.node.server import ApiServer, bind, make_context, make_server
from hansa.node.snapshots import SnapshotShelf
from hansa.node.statuses import Statuses, status_of
from hansa.node.storework import StoreWork
from hansa.rest import TransactionStatus
from hansa.storage.journal import Journal
from hansa.storage.migrate import MigrateReport
from hansa.storage.opening import OpenedStore, open_chunks, open_store
from hansa.storage.progress import Progress
from hansa.storage.quota import Quota
from hansa.storage.table import LmdbTable
from hansa.storage.version_store import VersionStore
from hansa.system import SystemClock, SystemEntropy, WorkerPool
from hansa.types import Digest, Height, OrganisationName, PublicKey

_PR_SET_DUMPABLE = 4
COLLECT_GARBAGE_AFTER = (50_000, 20, 20)
"""Most of what a node makes is freed by counting; a look at all of it pauses the node."""


# --- a running node -----------------------------------------------------------------------------


def run_node(folder: Path, checkpoint: str = "") -> int:
    """Run the node of a folder until it is asked to stop; return the exit code.

    Args:
        folder: of the node.
        checkpoint: HEIGHT:DIGEST, instead of the one in node.toml; matters to a node without blocks.

    Raises:
        HansaError: it cannot start, or a part failed.
    """
    if not __debug__:
        raise InvalidError(
            "A node does not run under python -O: its safety checks would be off.",
            remedy="Start it without -O and without PYTHONOPTIMIZE.",
        )
    harden()
    if (folder / CONFIG_FILE).exists() and not (folder / "ledger").exists():
        asyncio.run(join_by_snapshot(folder, checkpoint))
    with contextlib.ExitStack() as closing:
        daemon = build_node(folder, closing)
        # What is loaded now lives as long as the node: collecting garbage need not look at it.
        gc.collect()
        gc.freeze()
        gc.set_threshold(*COLLECT_GARBAGE_AFTER)
        daemon.on_listening = _tell_ready
        asyncio.run(daemon.run())
    return 0


async def join_by_snapshot(folder: Path, checkpoint: str = "") -> None:
    """Take a snapshot into a node's folder, if it has no ledger yet and a checkpoint is given.

    The ledger is made beside its place and renamed when it is whole: a crash leaves none.

    Raises:
        InvalidError: the checkpoint is none.
        UnavailableError: no node gave one in time.
        HansaError: the folder is not as it must be, or the disk refused.
    """
    place, beside = folder / "ledger", folder / "ledger.joining"
    text = checkpoint or load_config(folder).chain.checkpoint
    if place.exists() or not text:
        return
    wanted = parse_checkpoint(text)
    with contextlib.ExitStack() as closing:
        builder = _Builder(folder, closing)
        network = builder.make_joining_network()
        async with asyncio.TaskGroup() as group:
            running = group.create_task(network.run())
            try:
                state, blocks = await take_snapshot(
                    network,
                    builder.genesis,
                    wanted,
                    lambda text: builder.log.warning("snapshot-refused", why=text),
                )
            finally:
                running.cancel()
        shutil.rmtree(beside, ignore_errors=True)
        ledger = BlockLedger(beside, alliance=builder.alliance)
        try:
            ledger.install(blocks, state.items())
        finally:
            ledger.close()
        beside.rename(place)
        sync_folder(folder)
        builder.log.info("snapshot-taken", height=state.height, blocks=len(blocks))


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
            on_sent=lambda data: self.metrics.messages.labels(kind=kind_of(data)).inc(),
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
            tell=self._tell_waiting,
        )

    def _tell_waiting(self, text: str) -> None:
        """Log what of the store is waited for; while the node starts its operator is told as well."""
        self.log.warning("store.waits", why=text)
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
