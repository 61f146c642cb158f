"""Versions opened for reading: manifest checked against the chain, data key found, contents opened.

Upon an own version: the data key comes from the wrap for the publishing key at the own node. Upon
another organisation's: from the wraps of a living grant to this user. Either way the manifest must have
the root that the chain names, and the contents must open under that key.
"""

from collections import OrderedDict, deque
from dataclasses import dataclass

from typing_extensions import override

from hansa import limits
from hansa.client.session import Session
from hansa.client.wraps import decode_wraps, open_data_key, unwrap_data_key
from hansa.data.known import Dictionary, KnownChunk, LivingVersion
from hansa.data.manifest import (
    Contents,
    Directory,
    Manifest,
    decode_manifest,
    open_contents,
    open_directory,
    validate_agreement,
)
from hansa.errors import CorruptError, DeniedError, InvalidError
from hansa.rest import DatasetView, RequestView, VersionView
from hansa.types import ChunkId

_DICTIONARIES_OPEN_MAX = 8


@dataclass(frozen=True, slots=True, repr=False)
class OpenVersion:
    """A version whose contents are open: names and chunk keys in memory; prints masked."""

    dataset: DatasetView
    version: VersionView
    manifest: Manifest
    contents: Contents

    @override
    def __repr__(self) -> str:
        return f"OpenVersion({self.dataset.id}, {self.version.number})"


async def open_version(session: Session, dataset: DatasetView, version: VersionView) -> OpenVersion:
    """Open one version that this user may read.

    Raises:
        DeniedError: no living grant, or the node refuses.
        CorruptError: manifest, wraps or contents are not what the chain names.
    """
    data_key = await _find_data_key(session, dataset, version)
    manifest = await _get_manifest(session, dataset, version)
    contents = await session.workers.run(open_contents, manifest, data_key)
    if (len(contents.files), contents.content_bytes()) != (version.files, version.content_bytes):
        raise CorruptError("The contents are not of the size that the chain names.")
    return OpenVersion(dataset, version, manifest, contents)


async def own_data_key(session: Session, dataset: DatasetView, version: VersionView) -> bytes:
    """Return the data key of an own version, 32 bytes.

    Raises:
        DeniedError: the profile has no organisation secrets.
        MissingError: the own node has no wrap of it.
    """
    path = f"/v1/datasets/{dataset.id}/versions/{version.number}/key"
    sealed = await session.transport.get_octets(path, bytes_max=4 * limits.KIB)
    root = bytes.fromhex(version.manifest_root)
    return open_data_key(session.keys.secrets.publishing, sealed, root)


async def find_grant(session: Session, dataset: DatasetView) -> RequestView:
    """Return the newest living grant of a dataset to this user.

    Raises:
        DeniedError: there is none; says what became of the last request.
    """
    query = {"role": "requester"}
    requests = await session.transport.get("/v1/requests", list[RequestView], query)
    me = session.keys.signing.public.hex()
    mine = [view for view in requests if view.dataset == dataset.id and view.requester == me]
    granted = [view for view in mine if view.status == "granted"]
    if granted:
        return max(granted, key=lambda view: view.decided_height)
    if not mine:
        raise DeniedError(
            f"Dataset {dataset.id} belongs to {dataset.owner} and is not granted to you.",
            remedy=f"Ask for it: `hansa access request {dataset.id} --purpose …`.",
        )
    last = max(mine, key=lambda view: view.height)
    told = f": {last.reason}" if last.reason else ""
    raise DeniedError(
        f"Your last request {last.id} for dataset {dataset.id} is {last.status}{told}.",
        remedy="Wait for the owner's decision."
        if last.status == "open"
        else f"Ask again: `hansa access request {dataset.id} --purpose …`.",
    )


async def _find_data_key(session: Session, dataset: DatasetView, version: VersionView) -> bytes:
    if dataset.owner == session.profile.organisation:
        return await own_data_key(session, dataset, version)
    grant = await find_grant(session, dataset)
    path = f"/v1/requests/{grant.id}/wraps"
    data = await session.transport.get_octets(path, bytes_max=limits.CLIENT_ANSWER_BYTES_MAX)
    wraps = decode_wraps(data, bytes.fromhex(grant.id), bytes.fromhex(grant.wrap_digest))
    root = bytes.fromhex(version.manifest_root)
    return unwrap_data_key(wraps, version.number, root, session.keys.decryption)


async def _get_manifest(session: Session, dataset: DatasetView, version: VersionView) -> Manifest:
    path = f"/v1/datasets/{dataset.id}/versions/{version.number}/manifest"
    data = await session.transport.get_octets(path, bytes_max=limits.MANIFEST_BYTES_MAX)
    root = bytes.fromhex(version.manifest_root)
    return await session.workers.run(decode_manifest, data, root)


class LivingChunks:
    """Chunks of own living versions, with their keys: what a publisher's duplicates are taken from.

    Keeps a bounded number of versions open; the least recently used goes first.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._versions: OrderedDict[tuple[str, int], LivingVersion | None] = OrderedDict()
        self._open_dictionaries: deque[Dictionary] = deque()

    async def find(self, dataset: bytes, number: int, chunk: ChunkId) -> KnownChunk | None:
        """Return a chunk as a living version holds it, or None if it cannot be had from there."""
        place = (dataset.hex(), number)
        if place not in self._versions:
            self._versions[place] = await self._open(*place)
            while len(self._versions) > limits.CLIENT_MANIFESTS_OPEN_MAX:
                self._versions.popitem(last=False)
        self._versions.move_to_end(place)
        living = self._versions[place]
        known = None if living is None else living.find(chunk)
        if known is not None and known.dictionary is not None and not known.dictionary.plain:
            await self._open_dictionary(place, known.dictionary)
        return known

    async def _open_dictionary(self, place: tuple[str, int], dictionary: Dictionary) -> None:
        """Fetch and open what chunks were compressed with; only the last few stay open."""
        session, (dataset, number) = self._session, place
        path = f"/v1/datasets/{dataset}/versions/{number}/content"
        sealed = await session.transport.get_range(path, *dictionary.place)
        await session.workers.run(dictionary.open, sealed)
        self._open_dictionaries.append(dictionary)
        if len(self._open_dictionaries) > _DICTIONARIES_OPEN_MAX:
            self._open_dictionaries.popleft().close()

    async def _open(self, dataset: str, number: int) -> LivingVersion | None:
        session = self._session
        view = await session.transport.get(f"/v1/datasets/{dataset}", DatasetView)
        versions = [version for version in view.versions if version.number == number]
        if view.owner != session.profile.organisation or not versions:
            return None
        opened = await open_version(session, view, versions[0])
        directory = await session.workers.run(
            open_directory, opened.manifest, session.keys.secrets.directory
        )
        return await session.workers.run(_join, directory, opened.contents)


def _join(directory: Directory, contents: Contents) -> LivingVersion:
    """Return both parts of one manifest, ready to be asked for chunks.

    Raises:
        CorruptError: they disagree, so that a key might be taken for another sealing.
    """
    try:
        validate_agreement(directory, contents)
    except InvalidError as error:
        raise CorruptError(error.message) from error
    return LivingVersion(directory, contents)
