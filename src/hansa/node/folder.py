"""A new node's folder: its keys, certificate, settings and genesis, made before anything runs.

Counterpart: `bootstrap`, which opens such a folder.
"""

from dataclasses import dataclass
from pathlib import Path

from hansa.chain.genesis import Genesis, decode_genesis
from hansa.chain.transactions import Candidate
from hansa.crypto.signing import SigningKey
from hansa.errors import ConflictError
from hansa.keyfile import certificate_pem, create_certificate, create_key_file
from hansa.node.config import (
    CERTIFICATE_FILE,
    CONFIG_FILE,
    GENESIS_FILE,
    KEY_FILE,
    Listen,
    NodeConfig,
    StoreSection,
    encode_config,
    split_address,
    validate_store,
)
from hansa.ports import Entropy
from hansa.types import EncryptionKey, OrganisationName, PublicKey

DIRECTORY_KEY_FILE = "directory.key"


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
