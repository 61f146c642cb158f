"""Publish: describe, partition, drop duplicates, seal, upload, attest, register.

Order (DESIGN §4): chunks durable → manifest durable and attested → transaction signed. If anything
fails before the last step, nothing is registered, and what was uploaded is collected in time.

One worker thread drives the pipeline; its look-ups and the uploads run on the event loop, a bounded
number at once. Memory: some batches of sealed chunks, besides the manifest's own lists.
"""

import asyncio
import os
import threading
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from hansa import limits
from hansa.chain.transactions import (
    AddVersion,
    Attestation,
    Description,
    Operation,
    Policy,
    RegisterDataset,
    VersionClaim,
    derive_id,
    is_attested,
)
from hansa.client.describe import Sniffed, Subject, complete, describe, subject_of, with_features
from hansa.client.find import get_dataset
from hansa.client.session import Session
from hansa.client.sources import Sources
from hansa.client.submit import sign, submit
from hansa.client.transfers import Progress, no_progress, one_failure
from hansa.client.versions import LivingChunks
from hansa.client.wraps import seal_data_key
from hansa.crypto.sealing import KEY_BYTES, NONCE_BYTES
from hansa.data.known import KnownChunk
from hansa.data.manifest import SALT_BYTES, Directory, build_manifest, compute_root
from hansa.data.pipeline import Ingest, UploadChunk
from hansa.errors import (
    ConflictError,
    CorruptError,
    DeniedError,
    MissingError,
    ProtocolError,
    UnavailableError,
)
from hansa.lanes import find_lanes
from hansa.rest import (
    ChunkItem,
    ChunkUpload,
    DatasetView,
    LookupAnswer,
    LookupRequest,
    ManifestAnswer,
    ManifestUpload,
    NearestAnswer,
    NearestRequest,
    TransactionStatus,
)
from hansa.types import ChunkId, DatasetId

_THREADS_MAX = 8
Batches = Generator[list[UploadChunk], None, None]


@dataclass(frozen=True, slots=True)
class Published:
    """What was published, and what it cost."""

    dataset: DatasetId
    version: int
    status: TransactionStatus
    """committed, or pending where nobody waited."""
    files: int
    bytes_in: int
    """Plain bytes read."""
    bytes_stored: int
    """Sealed bytes that were new."""
    chunks: int
    duplicates: int
    """Chunks that were known, or occurred earlier in this version."""
    duplicate_bytes: int
    """Plain bytes of them."""


async def publish(
    session: Session,
    sources: Sources,
    subject: Subject,
    *,
    dataset: str | None = None,
    policy: Policy | None = None,
    columns: bool = True,
    progress: Progress = no_progress,
    wait: bool = True,
) -> Published:
    """Publish sources as a new dataset, or as the next version of an own one.

    A cancel leaves at most unregistered chunks in the own store.

    Args:
        session: of a publisher, with the organisation's secrets.
        sources: what to publish.
        subject: what to say of it; for a next version, what is empty stays as it was.
        dataset: id of the dataset whose next version this is.
        policy: of a new dataset; by default its owner is asked.
        columns: whether names of columns found in the data are told.
        progress: told of bytes read.
        wait: until the registration is in a block.

    Raises:
        ConflictError: a file changed while it was read, or another version came first.
        HansaError: nothing is registered.
    """
    earlier = await _earlier(session, dataset)
    if earlier is not None:
        subject = complete(subject, subject_of(earlier))
    sniffed = await session.workers.run(sources.sniff)
    if not columns:
        sniffed = Sniffed(sniffed.formats)
    model = session.genesis.parameters.feature_model
    description = await session.workers.run(describe, subject, sniffed, model)
    with one_failure():
        ingest = await _Intake(session, sources, progress).run(description)
    claim = await _store_manifest(session, ingest, earlier)
    # The size was not known when the node was asked for the nearest cluster, and need not have been.
    description = await session.workers.run(with_features, description, claim.content_bytes)
    number = 1 if earlier is None else _next_number(earlier)
    operation: Operation
    if earlier is None:
        operation = RegisterDataset(description, claim, policy or Policy())
    else:
        identity = DatasetId(bytes.fromhex(earlier.id))
        operation = AddVersion(identity, number, description, claim)
    transaction = await sign(session, [operation])
    status = await submit(session, transaction, wait=wait)
    made = derive_id(transaction.digest(), 0)
    counters = ingest.counters
    return Published(
        dataset=DatasetId(made if earlier is None else bytes.fromhex(earlier.id)),
        version=number,
        status=status,
        files=counters.files,
        bytes_in=counters.plain_bytes,
        bytes_stored=counters.sealed_bytes,
        chunks=counters.chunks,
        duplicates=counters.chunks_duplicate,
        duplicate_bytes=counters.duplicate_bytes,
    )


async def _earlier(session: Session, dataset: str | None) -> DatasetView | None:
    """Return the dataset whose next version is published.

    Raises:
        DeniedError: it belongs to somebody else.
        ConflictError: it is retired.
    """
    if dataset is None:
        return None
    view = await get_dataset(session, dataset)
    if view.owner != session.profile.organisation:
        raise DeniedError(
            f"Dataset {view.id} belongs to {view.owner}.",
            remedy="Only its owner publishes versions of it; publish a dataset of your own.",
        )
    if view.status != "active":
        raise ConflictError(f"Dataset {view.id} is {view.status}: it takes no new version.")
    return view


def _next_number(view: DatasetView) -> int:
    return max((version.number for version in view.versions), default=0) + 1


class _Intake:
    """Drives the pipeline in a worker thread, and what it needs of the node on the event loop."""

    def __init__(self, session: Session, sources: Sources, progress: Progress) -> None:
        self._session = session
        self._sources = sources
        self._progress = progress
        self._living = LivingChunks(session)
        self._loop = asyncio.get_running_loop()
        self._lock = threading.Lock()
        self._stepping = threading.Lock()
        self._asking: Future[list[KnownChunk | None]] | None = None
        self._is_stopped = False

    async def run(self, description: Description) -> Ingest:
        """Store all chunks of the sources, durable at the own node; return the drained pipeline."""
        session = self._session
        hint = NearestRequest(features=list(description.features))
        nearest = await session.transport.post("/v1/index/nearest", hint, NearestAnswer)
        slots = asyncio.Semaphore(limits.CLIENT_UPLOADS_IN_FLIGHT_MAX)
        threads = max(1, min(_THREADS_MAX, os.cpu_count() or 1))
        with ThreadPoolExecutor(threads, thread_name_prefix="hansa-seal") as pool:
            ingest = Ingest(
                session.keys.dedup,
                self._look_up_from_thread,
                session.entropy.random_bytes,
                profile=session.genesis.parameters.fingerprint_profile,
                spread=pool.map,
                hmacs=find_lanes().lanes,
            )
            batches = _as_generator(ingest.batches(self._sources.files()))
            try:
                async with asyncio.TaskGroup() as group:
                    while (batch := await session.workers.run(self._step, batches)) is not None:
                        self._tell()
                        await slots.acquire()
                        group.create_task(self._upload(nearest.cluster, batch, slots))
            finally:
                self._stop()
                await session.workers.run(self._end, batches)
        self._tell()
        return ingest

    async def _upload(
        self, cluster: str, batch: list[UploadChunk], slots: asyncio.Semaphore
    ) -> None:
        try:
            items = tuple(ChunkItem(item.chunk, item.fingerprint, item.sealed) for item in batch)
            await self._session.transport.send_octets(
                "POST", "/v1/store/chunks", ChunkUpload(cluster, items)
            )
        finally:
            slots.release()

    def _look_up_from_thread(self, chunks: Sequence[ChunkId], /) -> Sequence[KnownChunk | None]:
        """Have the event loop ask the node; called by the pipeline in its worker thread.

        `_stop` ends the wait: whoever leaves `run` must not leave a thread behind that waits for
        an event loop which may itself be waiting for that thread.
        """
        with self._lock:
            if self._is_stopped:
                raise ConflictError("Publishing was ended.")
            self._asking = asyncio.run_coroutine_threadsafe(self._look_up(chunks), self._loop)
        return self._asking.result()

    def _step(self, batches: Batches) -> list[UploadChunk] | None:
        """Drive the pipeline to its next batch; None at the end."""
        with self._stepping:
            return next(batches, None)

    def _end(self, batches: Batches) -> None:
        """Wait for a step that a cancel left running, and end the pipeline."""
        with self._stepping:
            batches.close()

    def _stop(self) -> None:
        with self._lock:
            self._is_stopped = True
            if self._asking is not None:
                self._asking.cancel()

    async def _look_up(self, chunks: Sequence[ChunkId]) -> list[KnownChunk | None]:
        """Return what own living versions know of the chunks."""
        self._tell()
        answer = await self._session.transport.post_octets(
            "/v1/store/lookups", LookupRequest(tuple(chunks)), LookupAnswer
        )
        if len(answer.known) != len(chunks):
            raise ProtocolError("The node did not answer for every chunk that was looked up.")
        found: list[KnownChunk | None] = []
        for chunk, known in zip(chunks, answer.known, strict=True):
            if known is None:
                found.append(None)
                continue
            try:
                found.append(await self._living.find(known.dataset, known.version, chunk))
            except (MissingError, DeniedError, CorruptError):
                # Retired meanwhile, or damaged: the chunk is stored once more, under a new key.
                found.append(None)
        return found

    def _tell(self) -> None:
        self._progress(self._sources.bytes_read, self._sources.bytes_total)


def _as_generator(batches: Iterator[list[UploadChunk]]) -> Batches:
    """Give batches a `close`, whatever kind of iterator they are."""
    yield from batches


async def _store_manifest(
    session: Session, ingest: Ingest, earlier: DatasetView | None
) -> VersionClaim:
    """Build the manifest, have the own node store and attest it, and check the attestation."""
    secrets, random_bytes = session.keys.secrets, session.entropy.random_bytes
    contents, directory = await session.workers.run(ingest.finish)
    data_key = random_bytes(KEY_BYTES)

    def build() -> bytes:
        return build_manifest(
            contents,
            directory,
            data_key=data_key,
            directory_key=secrets.directory,
            salt=random_bytes(SALT_BYTES),
            nonces=(random_bytes(NONCE_BYTES), random_bytes(NONCE_BYTES)),
        )

    manifest = await session.workers.run(build)
    root = compute_root(manifest)
    upload = ManifestUpload(
        dataset=b"" if earlier is None else bytes.fromhex(earlier.id),
        manifest=manifest,
        key_wrap=seal_data_key(secrets.publishing, random_bytes(NONCE_BYTES), data_key, root),
        content_bytes=directory.content_bytes,
        files=directory.files,
    )
    answer = await session.transport.post_octets("/v1/store/manifests", upload, ManifestAnswer)
    _check_attestation(session, answer.attestation, root, len(manifest), directory)
    return VersionClaim(
        manifest_root=root,
        content_bytes=directory.content_bytes,
        files=directory.files,
        chunks=len(directory.entries),
        attestation=answer.attestation,
    )


def _check_attestation(
    session: Session,
    attestation: Attestation,
    root: bytes,
    manifest_bytes: int,
    directory: Directory,
) -> None:
    """Check that the own node attests exactly what was stored.

    Raises:
        ProtocolError: it attests something else, or did not sign it.
        UnavailableError: its lease has ended already.
    """
    stored = directory.stored_bytes
    stated = (
        attestation.organisation,
        attestation.manifest_root,
        attestation.manifest_bytes,
        attestation.stored_bytes,
        attestation.node_key,
    )
    profile = session.profile
    if stated != (profile.organisation, root, manifest_bytes, stored, profile.node_key):
        raise ProtocolError("The node attests something else than was stored.")
    if not is_attested(attestation):
        raise ProtocolError("The node's attestation is not signed by its key.")
    if attestation.leased_until_ms <= session.clock.now_ms():
        raise UnavailableError(
            "The node's lease on what was stored has ended.", remedy="Publish it again."
        )
