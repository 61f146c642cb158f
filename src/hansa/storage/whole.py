"""Whole versions, many at once: manifests of one bundle and chunks of one pack are read together.

Asked one by one, a small version costs two look-ups in the hash index table and two positioned reads.
Here all are looked up by two questions, and neighbours are read with one call (`reading.py`). Memory is
bounded by what one answer may hold.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from hansa import limits
from hansa.data.manifest import Directory
from hansa.errors import CorruptError, HansaError, InvalidError, MissingError
from hansa.storage.version_store import VersionStore

Put = Literal["large", "later"]
"""Why a version was not read here: it is to be read by itself, or the answer is full."""


@dataclass(frozen=True, slots=True)
class StoredWhole:
    """All that is stored of one version."""

    manifest: bytes
    """Checked against its root."""
    content: bytes
    """Its sealed chunks, joined in the order of the directory; each checked against its digest."""


Found = StoredWhole | HansaError | Put


def read_whole(
    store: VersionStore, roots: Sequence[bytes], beside: Sequence[int], bytes_max: int
) -> list[Found]:
    """Return what is stored of each version, or why not; one that fails spoils no other.

    Args:
        store: the own.
        roots: of the versions' manifests; at most READS_PER_CALL_MAX.
        beside: bytes that the answer holds for each beside manifest and content.
        bytes_max: of the answer; what goes beyond it is for later, and all that comes after it.

    Raises:
        UnavailableError: the store does not answer.
    """
    assert len(roots) == len(beside) <= limits.READS_PER_CALL_MAX
    answers: list[Found] = []
    directories: dict[int, Directory] = {}
    room, is_full = bytes_max, False
    for place, (found, more) in enumerate(zip(_open(store, roots), beside, strict=True)):
        answer: Found = "later"
        if not is_full and isinstance(found, tuple):
            manifest, directory = found
            sealed = directory.stored_bytes
            is_too_much = len(manifest) + sealed + more > room
            if sealed > limits.READ_WHOLE_BYTES_MAX or (is_too_much and room == bytes_max):
                answer = "large"
            elif is_too_much:
                is_full = True
            else:
                room -= len(manifest) + sealed + more
                directories[place] = directory
                answer = StoredWhole(manifest, b"")
        elif not is_full:
            assert not isinstance(found, tuple)
            answer = found
        answers.append(answer)
    for place, content in _read(store, directories).items():
        kept = answers[place]
        assert isinstance(kept, StoredWhole)
        answers[place] = (
            content if isinstance(content, HansaError) else StoredWhole(kept.manifest, content)
        )
    return answers


def _open(
    store: VersionStore, roots: Sequence[bytes]
) -> list[tuple[bytes, Directory] | HansaError | Put]:
    """Return manifest and directory of each, or why there is none here."""
    bundled = store.manifests.bundled_of(list(dict.fromkeys(roots)))
    opened: list[tuple[bytes, Directory] | HansaError | Put] = []
    for root in roots:
        found = bundled.get(root, "large")  # No record: an object of its own, or nowhere.
        if isinstance(found, bytes):
            try:
                opened.append((found, store.decode_directory(found)))
            except (CorruptError, InvalidError) as error:
                opened.append(error)
        elif isinstance(found, str):
            opened.append("large")
        else:
            opened.append(found)
    return opened


def _read(store: VersionStore, directories: dict[int, Directory]) -> dict[int, bytes | HansaError]:
    """Return the content of each version, or why it cannot be had."""
    entries = {place: list(directory.entries) for place, directory in directories.items()}
    try:
        pieces = iter(store.read_entries([one for some in entries.values() for one in some]))
    except (MissingError, CorruptError):
        return {place: _read_one(store, directories[place]) for place in directories}
    return {place: b"".join([next(pieces) for _ in some]) for place, some in entries.items()}


def _read_one(store: VersionStore, directory: Directory) -> bytes | HansaError:
    try:
        return b"".join(store.read_entries(directory.entries))
    except (MissingError, CorruptError) as error:
        return error
