"""Names of objects in a store: words of lower-case letters, digits and hyphens, joined by slashes."""

import re

from hansa.errors import InvalidError

_NAME = re.compile(r"[a-z0-9][a-z0-9-]*(?:/[a-z0-9][a-z0-9-]*)*")
_NAME_CHARACTERS_MAX = 200

PACKS = "packs/"
MANIFESTS = "manifests/"
INDEX = "index/"


def validate_name(name: str) -> None:
    """Check an object's name.

    Raises:
        InvalidError: it could leave the store's folder, or some store could not hold it.
    """
    if len(name) > _NAME_CHARACTERS_MAX or not _NAME.fullmatch(name):
        raise InvalidError(f"{name[:80]!r} cannot name an object of a store.")


def name_pack(root: bytes) -> str:
    """Return the name of the pack with this root, 32 bytes."""
    return f"{PACKS}{root.hex()[:2]}/{root.hex()}"


def name_manifest(root: bytes) -> str:
    """Return the name of the manifest with this root, 32 bytes."""
    return f"{MANIFESTS}{root.hex()[:2]}/{root.hex()}"


def parse_root(name: str) -> bytes | None:
    """Return the root that a pack's or manifest's name holds, or None for other names."""
    word = name.rpartition("/")[2]
    try:
        root = bytes.fromhex(word)
    except ValueError:
        return None
    return root if len(root) == 32 and word == word.lower() else None
