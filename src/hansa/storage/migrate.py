"""Migrate: copy a store to another, object by object, each read back and compared; the source stays.

Objects are immutable and complete, so a copy cut short is resumed: what is there already is read back
and compared like what was copied just now. A damaged object is copied as it is, and named: its sound
chunks are worth keeping, and `hansa store repair` tells the rest.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from blake3 import blake3

from hansa.data.manifest import compute_root
from hansa.errors import CorruptError, InvalidError
from hansa.limits import MIB
from hansa.ports import Store
from hansa.storage.names import MANIFESTS, PACKS, parse_root
from hansa.storage.pack import PackHasher
from hansa.storage.progress import Progress, no_progress

PIECE_BYTES = 4 * MIB


@dataclass(slots=True)
class MigrateReport:
    """What was copied."""

    objects: int = 0
    """Objects of the source, all of them in the target now, compared byte by byte."""
    bytes: int = 0
    copied: int = 0
    """Of them, not there before."""
    damaged: tuple[str, ...] = ()
    """Names of objects whose bytes do not have the digest of their name, in the source already."""


def migrate(source: Store, target: Store, progress: Progress = no_progress) -> MigrateReport:
    """Copy all objects and compare each with what the target gives back.

    Args:
        source: not written to.
        target: empty, or begun by an earlier run from the same source.
        progress: told of bytes.

    Raises:
        CorruptError: the target gives back other bytes than it was given.
        InvalidError: the target holds objects that the source does not.
        DiskFullError, UnavailableError: what was copied stays; run it again.
    """
    names = list(source.list(""))
    strangers = set(target.list("")) - set(names)
    if strangers:
        raise InvalidError(
            f"The target holds {len(strangers)} objects that are not in the source, such as"
            f" {min(strangers)}.",
            remedy="Give the URL of an empty place; nothing was copied.",
        )
    sizes = {name: source.size(name) for name in names}
    total, done = sum(sizes.values()), 0
    report = MigrateReport()
    damaged: list[str] = []
    for name in names:
        report.copied += _copy(source, target, name, sizes[name])
        if not _compare(source, target, name, sizes[name]):
            damaged.append(name)
        done += sizes[name]
        report.objects += 1
        report.bytes = done
        progress("copy", done, total)
    report.damaged = tuple(damaged)
    return report


def _copy(source: Store, target: Store, name: str, size: int) -> bool:
    """Copy one object if it is not there; tell whether it was copied."""
    if target.exists(name) and target.size(name) == size:
        return False
    target.put(name, _pieces(source, name, size))
    return True


def _compare(source: Store, target: Store, name: str, size: int) -> bool:
    """Read an object from both sides; tell whether its bytes have the digest of its name.

    Raises:
        CorruptError: the two sides differ.
    """
    if target.size(name) != size:
        raise _differs(name)
    sides = [blake3(), blake3()]
    own = _NameDigest(name)
    pairs = zip(_pieces(source, name, size), _pieces(target, name, size), strict=True)
    for ours, theirs in pairs:
        sides[0].update(ours)
        sides[1].update(theirs)
        own.update(ours)
    if sides[0].digest() != sides[1].digest():
        raise _differs(name)
    return own.fits()


class _NameDigest:
    """Compares an object's bytes with the digest that its name is."""

    def __init__(self, name: str) -> None:
        self._root = parse_root(name)
        self._pack = PackHasher() if name.startswith(PACKS) else None
        self._whole: list[bytes] | None = [] if name.startswith(MANIFESTS) else None

    def update(self, piece: bytes) -> None:
        if self._pack is not None:
            self._pack.update(piece)
        elif self._whole is not None:
            self._whole.append(piece)

    def fits(self) -> bool:
        if self._pack is not None:
            return self._pack.root() == self._root
        return self._whole is None or compute_root(b"".join(self._whole)) == self._root


def _pieces(store: Store, name: str, size: int) -> Iterator[bytes]:
    for offset in range(0, size, PIECE_BYTES):
        yield store.get(name, offset, min(PIECE_BYTES, size - offset))


def _differs(name: str) -> CorruptError:
    return CorruptError(
        f"The target gives back other bytes for {name} than it was given.",
        remedy="The source was not changed and stays in use. Check the target's disks.",
    )
