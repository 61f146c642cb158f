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
    """file:///absolute/folder, or file:name for a folder inside the node's folder."""
    quota_bytes: int | str = 0
    """Most that packs, journal and manifests may take; also as text: "200 GiB". 0: no bound."""
    collect_every_h: int = 24
    """Hours between collections; 0: only when asked."""


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


class NodeConfig(_Section, frozen=True):
    """The whole of node.toml."""

    organisation: str
    """The member whose node this is."""
    listen: Listen
    store: StoreSection = StoreSection()
    keys: KeySection = KeySection()
    log: LogSection = LogSection()
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
    store_folder(config, Path())


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


def store_folder(config: NodeConfig, folder: Path) -> Path:
    """Return the folder a file store lies in.

    Raises:
        InvalidError: not a file URL; this version has no other stores.
    """
    parts = urlsplit(config.store.url)
    if parts.scheme != "file" or parts.netloc or not parts.path or parts.query or parts.fragment:
        raise InvalidError(
            f"store.url = {config.store.url!r} is no store of this version.",
            remedy="Use file:///absolute/folder, or file:name for a folder beside node.toml.",
        )
    return folder / unquote(parts.path)


def encode_config(config: NodeConfig) -> str:
    """Return the text of a node.toml for a new folder, with what each key means."""

    def quoted(text: str) -> str:
        return msgspec.json.encode(text).decode()

    return f"""\
# Settings of this organisation's node. What all nodes share stands in {GENESIS_FILE}.
organisation = {quoted(config.organisation)}
disk_free_bytes_min = {config.disk_free_bytes_min}  # not ready with less room than this

[listen]
peer = {quoted(config.listen.peer)}  # other nodes
api = {quoted(config.listen.api)}  # own users' programs

[store]
url = {quoted(config.store.url)}
quota_bytes = {msgspec.json.encode(config.store.quota_bytes).decode()}  # or "200 GiB"; 0: no bound
collect_every_h = {config.store.collect_every_h}  # hours between collections; 0: only when asked

[keys]
passphrase_file = {quoted(config.keys.passphrase_file)}  # {PASSPHRASE_VARIABLE} goes before it

[log]
level = {quoted(config.log.level)}  # debug, info, warning, error
file_bytes_max = {config.log.file_bytes_max}
files_max = {config.log.files_max}
"""


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
