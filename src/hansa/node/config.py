"""What one node may choose for itself: node.toml, read, checked and frozen."""

import os
import re
from pathlib import Path
from typing import Literal
from urllib.parse import unquote, urlsplit

import msgspec

from hansa import limits
from hansa.chain.genesis import NAME_PATTERN
from hansa.errors import InvalidError, MissingError

CONFIG_FILE = "node.toml"
GENESIS_FILE = "genesis.hansa"
KEY_FILE = "node.key"
CERTIFICATE_FILE = "certificate.pem"
READY_FILE = "node.json"
PASSPHRASE_VARIABLE = "HANSA_PASSPHRASE"  # noqa: S105 - the variable's name, not a secret
CONFIG_BYTES_MAX = 64 * limits.KIB


class _Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of the tables in node.toml."""


class Listen(_Section, frozen=True):
    """Where the node listens; port 0 takes a free one."""

    peer: str
    """host:port for other nodes."""
    api: str
    """host:port for the own users' programs."""


class StoreSection(_Section, frozen=True):
    """Where packs and manifests lie."""

    url: str = "file:store"
    """file:///absolute/folder, file:name for a folder inside the node's folder, or hdfs://host:port/folder."""
    replication: int = 3
    """HDFS: copies of each block."""
    user: str = ""
    """HDFS without Kerberos: as whom; empty for the system's user."""
    hadoop_conf_dir: str = ""
    """HDFS: folder with the site's core-site.xml and hdfs-site.xml; empty: none is read."""
    kerberos_principal: str = ""
    """HDFS with Kerberos: who the node is."""
    kerberos_keytab: str = ""
    """HDFS with Kerberos: file with the principal's key."""
    config: dict[str, str] = {}
    """HDFS: properties of Hadoop's configuration, before those in hadoop_conf_dir."""
    quota_bytes: int | str = 0
    """Most that packs, journal and manifests may take; also as text: "200 GiB". 0: no bound."""
    collect_every_h: int = 24
    """Hours between collections; 0: only when asked."""


class IndexSection(_Section, frozen=True):
    """Where the index's files lie."""

    place: Literal["folder", "store"] = "folder"
    """folder: in the node's folder; store: sealed, in the store (HDFS, if that is one), read from there."""


class KeySection(_Section, frozen=True):
    """How the node's key is unlocked."""

    passphrase_file: str = ""
    """File whose first line is the passphrase; the variable HANSA_PASSPHRASE goes before it."""


class LogSection(_Section, frozen=True):
    """What is written to log/node.log."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    file_bytes_max: int = 16 * limits.MIB
    """The file is put aside at this size."""
    files_max: int = 4
    """How many put-aside files are kept."""


class ChainSection(_Section, frozen=True):
    """Which blocks this node starts from, and which it keeps."""

    checkpoint: str = ""
    """HEIGHT:DIGEST of a block known to be on the chain: a new node then takes a snapshot, not all blocks."""
    keep_blocks: int = 0
    """Older blocks are removed at a start, but those with own transactions and changes of the super
    nodes; 0: none are."""


class NodeConfig(_Section, frozen=True):
    """The whole of node.toml."""

    organisation: str
    """The member whose node this is."""
    listen: Listen
    store: StoreSection = StoreSection()
    index: IndexSection = IndexSection()
    keys: KeySection = KeySection()
    log: LogSection = LogSection()
    chain: ChainSection = ChainSection()
    disk_free_bytes_min: int = 256 * limits.MIB
    """With less room than this the node says that it is not ready."""


def load_config(folder: Path) -> NodeConfig:
    """Read and check node.toml of a node's folder.

    Raises:
        MissingError: there is no node.toml.
        InvalidError: a key is unknown, missing or wrong; the message names it.
    """
    path = folder / CONFIG_FILE
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise MissingError(
            f"{folder} is no node folder: it has no {CONFIG_FILE}.",
            remedy="Make one with `hansa alliance join` or `hansa devnet up`.",
        ) from error
    return decode_config(data)


def decode_config(data: bytes) -> NodeConfig:
    """Check the text of a node.toml.

    Raises:
        InvalidError: the message names the key and what is wrong with it.
    """
    if len(data) > CONFIG_BYTES_MAX:
        raise InvalidError(f"{CONFIG_FILE} is longer than {CONFIG_BYTES_MAX} bytes.")
    try:
        config = msgspec.toml.decode(data, type=NodeConfig)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidError(
            f"{CONFIG_FILE} is wrong: {error}.",
            remedy="`$.a.b` in the message stands for key b of table [a].",
        ) from error
    _validate(config)
    return config


def _validate(config: NodeConfig) -> None:
    if not NAME_PATTERN.fullmatch(config.organisation):
        raise InvalidError(f"{CONFIG_FILE}: organisation {config.organisation!r} is no valid name.")
    split_address(config.listen.peer, "listen.peer")
    split_address(config.listen.api, "listen.api")
    if not 64 * limits.KIB <= config.log.file_bytes_max <= 1024 * limits.MIB:
        raise InvalidError(f"{CONFIG_FILE}: log.file_bytes_max must be from 65536 to 1073741824.")
    if not 1 <= config.log.files_max <= 100:
        raise InvalidError(f"{CONFIG_FILE}: log.files_max must be from 1 to 100.")
    if config.disk_free_bytes_min < 0:
        raise InvalidError(f"{CONFIG_FILE}: disk_free_bytes_min must not be negative.")
    if not 0 <= config.store.collect_every_h <= limits.COLLECT_EVERY_H_MAX:
        raise InvalidError(
            f"{CONFIG_FILE}: store.collect_every_h must be from 0 to {limits.COLLECT_EVERY_H_MAX}."
        )
    parse_size(config.store.quota_bytes, "store.quota_bytes")
    validate_store(config)


def parse_size(size: int | str, key: str) -> int:
    """Return a number of bytes given as such or as text: "200 GiB", "512MiB", "4096".

    Raises:
        InvalidError: not of that form, or negative; the message names `key`.
    """
    text = str(size)
    found = re.fullmatch(r"(\d{1,18})(?:\s*([KMGTP])iB|\s*B)?", text, re.ASCII)
    if not found:
        raise InvalidError(
            f"{CONFIG_FILE}: {key} = {text!r} is no size.",
            remedy='Write a number of bytes, or text such as "200 GiB".',
        )
    return int(found[1]) << (10 * (" KMGTP".index(found[2]) if found[2] else 0))


def split_address(address: str, key: str) -> tuple[str, int]:
    """Split host:port; IPv6 hosts stand in brackets.

    Raises:
        InvalidError: not of that form; the message names `key`.
    """
    host, colon, port = address.rpartition(":")
    if not colon or not host or not port.isascii() or not port.isdigit() or int(port) > 65_535:
        raise InvalidError(
            f"{key} = {address!r} is no address.",
            remedy='Write it as "host:port", port 0 to 65535.',
        )
    return host.removeprefix("[").removesuffix("]"), int(port)


def is_hdfs(config: NodeConfig) -> bool:
    """Tell whether the store lies in HDFS."""
    return urlsplit(config.store.url).scheme == "hdfs"


def validate_store(config: NodeConfig) -> None:
    """Check where the store is said to lie; what only HDFS can judge is checked when it is opened.

    Raises:
        InvalidError: no URL of a store.
    """
    if not is_hdfs(config):
        store_folder(config, Path())
        return
    parts = urlsplit(config.store.url)
    if not parts.netloc or not parts.path.strip("/") or parts.query or parts.fragment:
        raise _no_store(config.store.url)


def store_folder(config: NodeConfig, folder: Path) -> Path:
    """Return the folder a file store lies in.

    Raises:
        InvalidError: not a file URL.
    """
    parts = urlsplit(config.store.url)
    if parts.scheme != "file" or parts.netloc or not parts.path or parts.query or parts.fragment:
        raise _no_store(config.store.url)
    return folder / unquote(parts.path)


def _no_store(url: str) -> InvalidError:
    return InvalidError(
        f"store.url = {url!r} is no store of this version.",
        remedy="Use file:///absolute/folder, file:name for a folder beside node.toml, or"
        " hdfs://host:port/folder.",
    )


def encode_config(config: NodeConfig) -> str:
    """Return the text of a node.toml for a new folder, with what each key means."""
    return f"""\
# Settings of this organisation's node. What all nodes share stands in {GENESIS_FILE}.
organisation = {_quote(config.organisation)}
disk_free_bytes_min = {config.disk_free_bytes_min}  # not ready with less room than this

[listen]
peer = {_quote(config.listen.peer)}  # other nodes
api = {_quote(config.listen.api)}  # own users' programs

[store]
url = {_quote(config.store.url)}
quota_bytes = {msgspec.json.encode(config.store.quota_bytes).decode()}  # or "200 GiB"; 0: no bound
collect_every_h = {config.store.collect_every_h}  # hours between collections; 0: only when asked
{_encode_hdfs(config)}
[index]
place = {_quote(config.index.place)}  # "folder", or "store": sealed, beside the packs

[keys]
passphrase_file = {_quote(config.keys.passphrase_file)}  # {PASSPHRASE_VARIABLE} goes before it

[log]
level = {_quote(config.log.level)}  # debug, info, warning, error
file_bytes_max = {config.log.file_bytes_max}
files_max = {config.log.files_max}
"""


def _encode_hdfs(config: NodeConfig) -> str:
    """Return the lines of [store] that only HDFS uses; nothing for a folder."""
    store = config.store
    if not is_hdfs(config):
        return ""
    lines = [
        f"replication = {store.replication}  # copies of each block",
        f"user = {_quote(store.user)}  # without Kerberos; empty: the system's user",
        f"hadoop_conf_dir = {_quote(store.hadoop_conf_dir)}  # with the site's hdfs-site.xml",
        f"kerberos_principal = {_quote(store.kerberos_principal)}",
        f"kerberos_keytab = {_quote(store.kerberos_keytab)}",
        "",
        "[store.config]  # goes before what hadoop_conf_dir says",
        *(f"{_quote(key)} = {_quote(value)}" for key, value in sorted(store.config.items())),
    ]
    return "\n".join(lines) + "\n"


def _quote(text: str) -> str:
    return msgspec.json.encode(text).decode()


def read_passphrase(config: NodeConfig, folder: Path) -> bytes | None:
    """Return the passphrase of the node's key, or None if none is given.

    Raises:
        MissingError: the file named in node.toml is not there.
    """
    given = os.environ.get(PASSPHRASE_VARIABLE)
    if given:
        return given.encode()
    if not config.keys.passphrase_file:
        return None
    path = folder / config.keys.passphrase_file
    try:
        return path.read_bytes().split(b"\n", 1)[0].rstrip(b"\r")
    except OSError as error:
        raise MissingError(
            f"The passphrase file {path} cannot be read.",
            remedy=f"Create it, or set {PASSPHRASE_VARIABLE}.",
        ) from error
