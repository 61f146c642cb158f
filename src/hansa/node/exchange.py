"""Reads between nodes: the owner's node serves its own data, the reader's node asks for its user.

Upon each call the owner's node checks, on the current state: the caller is a member's node, the named
user belongs to that organisation, and `access.may_read` allows it. The requester's node vouches for
which of its users asks; it has proved them by their token. What is served is ciphertext.

    manifest  ReadCall → Slice        content  ReadCall → Slice
    wraps     WrapsCall → WrapSet     note     OwnerNote → b""
    several   many whole versions: `several.py`
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import msgspec
from structlog.typing import FilteringBoundLogger

from hansa import limits
from hansa.chain.access import may_read
from hansa.chain.reasons import REASONS
from hansa.chain.records import DatasetRecord, OrganisationRecord, RequestRecord, VersionRecord
from hansa.chain.sealed import OwnerNote
from hansa.chain.state import State
from hansa.codec import decode, encode
from hansa.errors import DeniedError, HansaError, InvalidError, MissingError, UnavailableError
from hansa.node.custody import Custody
from hansa.node.observe import Metrics
from hansa.node.parts import Peers
from hansa.ports import Clock, Workers
from hansa.rest import WrapSet
from hansa.storage.version_store import VersionStore
from hansa.types import DatasetId, Digest, OrganisationName, PublicKey, RequestId

CALL_S_MAX = 30


class ReadCall(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Bytes of a manifest or of a content."""

    user: PublicKey
    dataset: DatasetId
    version: int
    offset: int
    length: int
    """At most CONTENT_RANGE_BYTES_MAX; 0 asks for the total only."""


class WrapsCall(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """The wrapped keys of a granted request."""

    user: PublicKey
    request: RequestId


class Slice(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Bytes of an object, and how many it has in all."""

    total: int
    data: bytes


class Exchange:
    """Serves other nodes' calls, and makes the calls that own users' reads need."""

    def __init__(
        self,
        *,
        organisation: OrganisationName,
        state: Callable[[], State],
        custody: Custody,
        versions: VersionStore,
        workers: Workers,
        clock: Clock,
        metrics: Metrics,
        log: FilteringBoundLogger,
    ) -> None:
        self._organisation = organisation
        self._state = state
        self._custody = custody
        self._versions = versions
        self._workers = workers
        self._clock = clock
        self._metrics = metrics
        self._log = log
        self._peers: Peers | None = None
        self._served: dict[str, Callable[[OrganisationRecord, bytes], Awaitable[bytes]]] = {
            "manifest": self._serve_manifest,
            "content": self._serve_content,
            "wraps": self._serve_wraps,
            "note": self._take_note,
        }

    def serve_also(
        self, served: Mapping[str, Callable[[OrganisationRecord, bytes], Awaitable[bytes]]]
    ) -> None:
        """Answer further calls, by name, of active members' nodes."""
        self._served.update(served)

    def join(self, peers: Peers) -> None:
        """Give the links; the network and the exchange need each other."""
        self._peers = peers

    @property
    def organisation(self) -> OrganisationName:
        """Return whose node this is."""
        return self._organisation

    def state(self) -> State:
        """Return the state that calls are judged by: the newest."""
        return self._state()

    # --- asked by other nodes -------------------------------------------------------------------

    async def serve(self, sender: PublicKey, method: str, payload: bytes) -> bytes:
        """Answer a call of another node.

        Raises:
            HansaError: sent back to the caller by its code.
        """
        member = self._state().organisation_by_node_key(sender)
        if member is None or member.status != "active":
            raise DeniedError("This node belongs to no active member.")
        handler = self._served.get(method)
        if handler is None:
            raise InvalidError(
                f"Unknown call {method[:32]!r}.", remedy="Compare the versions of the two nodes."
            )
        outcome = "refused"
        try:
            async with asyncio.timeout(CALL_S_MAX):
                answer = await handler(member, payload)
            outcome = "served"
        except TimeoutError as error:
            raise UnavailableError("This node's disk did not answer in time.") from error
        finally:
            self._metrics.reads.labels(what=method, outcome=outcome).inc()
            self._log.info("peer-call", what=method, outcome=outcome, organisation=member.name)
        return answer

    async def _serve_manifest(self, member: OrganisationRecord, payload: bytes) -> bytes:
        call, version = self._check_read(member, payload)
        return encode(await self._slice("manifest", version.manifest_root, call))

    async def _serve_content(self, member: OrganisationRecord, payload: bytes) -> bytes:
        call, version = self._check_read(member, payload)
        return encode(await self._slice("content", version.manifest_root, call))

    async def _slice(self, what: str, root: Digest, call: ReadCall) -> Slice:
        """Read from the own store; the reader checks the whole against the root on the chain."""
        read = self._read_manifest if what == "manifest" else self._read_content
        return await self._workers.run(read, root, call.offset, call.length)

    def _read_manifest(self, root: Digest, offset: int, length: int) -> Slice:
        return Slice(*self._versions.manifests.read(root, offset, length))

    def _read_content(self, root: Digest, offset: int, length: int) -> Slice:
        return Slice(
            self._versions.content_bytes(root),
            self._versions.read_content(root, offset, length) if length else b"",
        )

    def _check_read(
        self, member: OrganisationRecord, payload: bytes
    ) -> tuple[ReadCall, VersionRecord]:
        call = decode(ReadCall, payload, bytes_max=limits.KIB)
        if call.offset < 0 or not 0 <= call.length <= limits.CONTENT_RANGE_BYTES_MAX:
            raise InvalidError("The range is out of bounds.")
        state = self._state()
        dataset = find_dataset(state, call.dataset)
        if dataset.owner != self._organisation:
            raise MissingError("This node does not hold that dataset.")
        require_grant(state, dataset, member.name, call.user, self._clock.now_ms())
        return call, find_version(dataset, call.version)

    async def _serve_wraps(self, member: OrganisationRecord, payload: bytes) -> bytes:
        call = decode(WrapsCall, payload, bytes_max=limits.KIB)
        state = self._state()
        request = find_request(state, call.request)
        if request.organisation != member.name or request.requester != call.user:
            raise DeniedError("These keys are for another requester.")
        dataset = find_dataset(state, request.dataset)
        if dataset.owner != self._organisation:
            raise MissingError("This node does not hold that dataset.")
        require_grant(state, dataset, member.name, call.user, self._clock.now_ms())
        if request.status != "granted":
            raise DeniedError("This request is not granted.")
        found = await self._workers.run(self._custody.wraps, call.request, request.wrap_digest)
        return encode(found)

    async def _take_note(self, member: OrganisationRecord, payload: bytes) -> bytes:
        note = decode(OwnerNote, payload, bytes_max=limits.NOTE_BYTES_MAX + limits.KIB)
        await self._workers.run(self.keep_note, note, member.name)
        return b""

    def keep_note(self, note: OwnerNote, sender: OrganisationName) -> None:
        """Keep a note for an own user, if the sender's organisation made that request.

        Raises:
            DeniedError: it is not for us, or not from who asked.
            UnavailableError: the request's block has not arrived here yet.
        """
        state = self._state()
        request = state.request(note.request)
        if request is None:
            raise UnavailableError("The request is not on the chain here yet.")
        dataset = find_dataset(state, request.dataset)
        recipient = state.user(note.recipient)
        if request.organisation != sender or dataset.owner != self._organisation:
            raise DeniedError("The note belongs to another request or owner.")
        if recipient is None or recipient.organisation != self._organisation:
            raise DeniedError("The note is for nobody of this organisation.")
        self._custody.keep_note(note)

    # --- for own users --------------------------------------------------------------------------

    async def read(
        self, what: str, user: PublicKey, dataset: DatasetRecord, call: ReadCall
    ) -> Slice:
        """Read bytes of a manifest or content for an own user, here or at the owner's node.

        Raises:
            DeniedError: no grant. MissingError: no such version. UnavailableError: not reachable.
        """
        assert what in {"manifest", "content"}
        if dataset.owner == self._organisation:
            return await self._slice(what, find_version(dataset, call.version).manifest_root, call)
        require_grant(self._state(), dataset, self._organisation, user, self._clock.now_ms())
        answer = await self.ask(dataset.owner, what, encode(call))
        return decode(Slice, answer, bytes_max=limits.CONTENT_RANGE_BYTES_MAX + limits.KIB)

    async def wraps(
        self, user: PublicKey, request: RequestRecord, owner: OrganisationName
    ) -> WrapSet:
        """Return the wrapped keys of an own user's granted request."""
        if owner == self._organisation:
            return await self._workers.run(self._custody.wraps, request.id, request.wrap_digest)
        answer = await self.ask(owner, "wraps", encode(WrapsCall(user, request.id)))
        return decode(WrapSet, answer)

    async def deliver_notes(self) -> None:
        """Carry waiting notes to the owners' nodes; what fails is tried again next time."""
        state = self._state()
        away: set[OrganisationName] = set()
        for waiting in await self._workers.run(self._custody.outgoing):
            request = state.request(waiting.note.request)
            if request is None:
                if state.height > waiting.expires:
                    await self._workers.run(self._custody.delivered, waiting.note)
                continue
            dataset = state.dataset(request.dataset)
            if dataset is None or request.organisation != self._organisation:
                await self._workers.run(self._custody.delivered, waiting.note)
                continue
            # One node that does not answer must not hold up the notes to all others.
            if dataset.owner not in away and not await self._deliver(waiting.note, dataset.owner):
                away.add(dataset.owner)

    async def _deliver(self, note: OwnerNote, owner: OrganisationName) -> bool:
        """Carry one note; False if the owner's node is away or behind."""
        try:
            if owner == self._organisation:
                await self._workers.run(self.keep_note, note, self._organisation)
            else:
                await self.ask(owner, "note", encode(note))
        except UnavailableError:
            return False  # The note stays and is tried again.
        except HansaError as error:
            self._log.warning("note-refused", organisation=owner, code=error.code)
        await self._workers.run(self._custody.delivered, note)
        return True

    async def ask(self, owner: OrganisationName, method: str, payload: bytes) -> bytes:
        """Call an owner's node.

        Raises:
            UnavailableError: it is not reachable, or does not answer in time.
            HansaError: what it answered.
        """
        member = self._state().organisation(owner)
        if member is None or self._peers is None:
            raise UnavailableError(f"The node of {owner} cannot be reached.")
        try:
            async with asyncio.timeout(CALL_S_MAX):
                return await self._peers.call(member.node_key, method, payload)
        except TimeoutError as error:
            raise UnavailableError(
                f"The node of {owner} did not answer in {CALL_S_MAX} s.", remedy="Try again later."
            ) from error


def find_dataset(state: State, dataset: DatasetId) -> DatasetRecord:
    """Return a dataset.

    Raises:
        MissingError: there is none by this id.
    """
    found = state.dataset(dataset)
    if found is None:
        raise MissingError("There is no dataset with this id.")
    return found


def find_version(dataset: DatasetRecord, number: int) -> VersionRecord:
    """Return a version of a dataset.

    Raises:
        MissingError: there is no such version.
    """
    for version in dataset.versions:
        if version.number == number:
            return version
    raise MissingError(
        f"The dataset has no version {number}.", remedy=f"It has 1 to {len(dataset.versions)}."
    )


def find_request(state: State, request: RequestId) -> RequestRecord:
    """Return a request.

    Raises:
        MissingError: there is none by this id.
    """
    found = state.request(request)
    if found is None:
        raise MissingError("There is no request with this id.")
    return found


def require_grant(
    state: State,
    dataset: DatasetRecord,
    organisation: OrganisationName,
    user: PublicKey,
    now_ms: int,
) -> None:
    """Check that a user may read a dataset now.

    Raises:
        DeniedError: with the reason.
    """
    code = may_read(state, dataset.id, organisation, user, now_ms)
    if code:
        raise DeniedError(
            REASONS.get(code, f"Reading is refused: {code}."),
            remedy="Ask for access with `hansa access request`." if code == "no-grant" else "",
        )
