"""The REST contract: many small versions fetched with one call, in the canonical encoding. See `rest`.

A version comes whole: manifest, content and key. One that cannot be had says why and spoils no other.
"""

from hansa.rest.base import Octets

LARGE = "large"
"""Code of a version that is not read with others: ask for its manifest and content by themselves."""
LATER = "later"
"""Code of a version the answer has no more room for: ask for it again."""


class ReadItem(Octets, frozen=True):
    """One version that is wanted."""

    dataset: bytes
    """16 bytes."""
    version: int
    """From 1; 0 for the newest."""


class ReadRequest(Octets, frozen=True):
    """Versions that are wanted, 1 to READS_PER_CALL_MAX."""

    items: tuple[ReadItem, ...]


class Whole(Octets, frozen=True):
    """All bytes of one version, or why they are not here."""

    code: str
    """Empty: it is here; LARGE; LATER; or the code of an error."""
    message: str = ""
    remedy: str = ""
    manifest: bytes = b""
    content: bytes = b""
    """Its sealed chunks, in order."""
    key: bytes = b""
    """Own data: the data key, sealed to the publishing key. Others': the `WrapSet` of the grant."""


class ReadOutcome(Octets, frozen=True):
    """What became of one wanted version; the facts are of the chain, empty where it names none."""

    whole: Whole
    version: int = 0
    owner: str = ""
    manifest_root: bytes = b""
    """32 bytes."""
    content_bytes: int = 0
    """Plain bytes of all files."""
    files: int = 0
    request: bytes = b""
    """The granted request whose wraps these are; empty for own data."""
    wrap_digest: bytes = b""
    """Of those wraps, as the grant names it."""


class ReadAnswer(Octets, frozen=True):
    """One outcome for each item, in their order."""

    outcomes: tuple[ReadOutcome, ...]
