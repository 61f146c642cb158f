"""Parts of a node's folder that are opened alone: genesis, ledger, index files, the store that moves."""

import contextlib
from collections.abc import Iterable
from pathlib import Path

from hansa.chain.blocks import CertifiedBlock, Header
from hansa.chain.genesis import Genesis
from hansa.chain.state import State
from hansa.chain.validation import validate_block
from hansa.errors import CorruptError, InvalidError, MissingError
from hansa.index.files import IndexFiles
from hansa.ledger.block_ledger import BlockLedger
from hansa.ledger.index_files import LocalIndexFiles
from hansa.ledger.lock import FolderLock
from hansa.node.config import GENESIS_FILE, NodeConfig
from hansa.node.moving import move_store
from hansa.ports import Entropy, Store
from hansa.storage.index_files import StoredIndexFiles, discard_index
from hansa.storage.migrate import MigrateReport
from hansa.storage.progress import Progress
from hansa.system import SystemClock, SystemEntropy
from hansa.types import PublicKey


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


def open_nodes_index_files(
    config: NodeConfig, folder: Path, store: Store, entropy: Entropy
) -> IndexFiles:
    """Return a node's index files, in its folder or in its store as its settings say.

    Raises:
        UnavailableError: the store cannot be reached.
    """
    files = LocalIndexFiles(folder / "index")
    if config.index.place == "store":
        return StoredIndexFiles(store, files, entropy)
    discard_index(store)
    return files


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


def read_genesis(folder: Path) -> bytes:
    """Return the genesis in a node's folder.

    Raises:
        MissingError: there is none.
    """
    try:
        return (folder / GENESIS_FILE).read_bytes()
    except FileNotFoundError as error:
        raise MissingError(
            f"{folder} has no {GENESIS_FILE}.",
            remedy="Give it one: `hansa alliance join --dir MEMBER --genesis genesis.hansa`; the"
            " founders make that file by `hansa alliance init`.",
        ) from error
