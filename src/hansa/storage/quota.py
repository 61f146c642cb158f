"""Quota: the most that one organisation's store may take; what would pass it is refused unwritten.

Counted are sealed packs, the journal and the large manifests of living versions: small ones lie in
packs. Uploads at the same time may pass the bound by what they carry, one batch each. What the store
writes for itself (a pack sealed, a pack written anew) is not refused: it makes room.
"""

from hansa.errors import StoreQuotaError
from hansa.storage.version_store import VersionStore

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")


class Quota:
    """The bound of one store; 0 means none."""

    def __init__(self, versions: VersionStore, quota_bytes: int) -> None:
        """Take an open store, and stand before what is written to it."""
        self.quota_bytes = quota_bytes
        self._versions = versions
        versions.manifests.admit = versions.chunks.admit = self.admit

    def used_bytes(self) -> int:
        """Return what counts."""
        return used_bytes(self._versions)

    def admit(self, count: int) -> None:
        """Let so many new bytes pass.

        Raises:
            StoreQuotaError: they would pass the bound; nothing was written.
        """
        if not self.quota_bytes:
            return
        used = self.used_bytes()
        if used + count > self.quota_bytes:
            raise StoreQuotaError(
                f"The organisation's store may take {_text(self.quota_bytes)}, and holds"
                f" {_text(used)}: nothing of this upload was written.",
                remedy="Retire datasets that are not needed and run `hansa store collect`, or have"
                " the operator raise store.quota_bytes in node.toml.",
            )


def used_bytes(versions: VersionStore) -> int:
    """Return the bytes of packs, journal and living manifests that are objects of their own."""
    chunks = versions.chunks
    packed, waiting = chunks.addresses.packed_bytes, chunks.waiting_bytes()
    return packed + waiting + versions.manifest_object_bytes


def _text(count: int) -> str:
    size, unit = float(count), 0
    while size >= 1024 and unit < len(_UNITS) - 1:
        size, unit = size / 1024, unit + 1
    return f"{size:.1f} {_UNITS[unit]}" if unit else f"{count} B"
