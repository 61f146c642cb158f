"""Reads of many versions at once: each judged as a single read is, all of one owner read together.

    several   SeveralCall → SeveralAnswer   (as `exchange`: a call between nodes)

Upon a user's call the own node looks up version and grant of each dataset, reads own ones from its
store, and asks each other owner's node for theirs with one call. The owner's node judges each item by
its current state: dataset, user, grant, and the request whose keys it gives. A refusal or a failure
is an item's answer, never that of the others.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from hansa import limits
from hansa.chain.records import DatasetRecord, OrganisationRecord, RequestRecord, VersionRecord
from hansa.chain.state import State
from hansa.codec import decode, encode
from hansa.errors import DeniedError, HansaError, InvalidError, MissingError, ProtocolError
from hansa.node.custody import Custody
from hansa.node.exchange import (
    Exchange,
    find_dataset,
    find_request,
    find_version,
    require_grant,
)
from hansa.ports import Clock, Workers
from hansa.rest.reads import LARGE, LATER, ReadItem, ReadOutcome, Whole
from hansa.storage.version_store import VersionStore
from hansa.storage.whole import StoredWhole, read_whole
from hansa.types import DatasetId, Digest, OrganisationName, PublicKey, RequestId

METHOD = "several"
_CALL_BYTES_MAX = 64 * limits.KIB
_ANSWER_BYTES_MAX = 2 * limits.READS_BYTES_MAX


class SeveralItem(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """One version of another organisation's dataset."""

    dataset: DatasetId
    version: int
    request: RequestId
    """The granted request whose keys are wanted."""


class SeveralCall(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What one user wants of one owner, at most READS_PER_CALL_MAX items."""

    user: PublicKey
    items: tuple[SeveralItem, ...]


class SeveralAnswer(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """One outcome for each item, in their order."""

    wholes: tuple[Whole, ...]


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A version that may be read, and where its key is."""

    version: VersionRecord
    owner: OrganisationName
    request: RequestRecord | None
    """Granted to the reader; None for own data."""


class Several:
    """Serves and makes reads of many versions. Used on the event loop."""

    def __init__(
        self,
        *,
        exchange: Exchange,
        custody: Custody,
        versions: VersionStore,
        workers: Workers,
        clock: Clock,
    ) -> None:
        self._exchange = exchange
        self._custody = custody
        self._versions = versions
        self._workers = workers
        self._clock = clock
        # Apart: who waits for another node's answer must not keep that node's question waiting.
        self._serving = asyncio.Semaphore(limits.READS_AT_ONCE_MAX)
        self._reading = asyncio.Semaphore(limits.READS_AT_ONCE_MAX)

    # --- asked by other nodes -------------------------------------------------------------------

    async def serve(self, member: OrganisationRecord, payload: bytes) -> bytes:
        """Answer another member's node; a call that the exchange passes on."""
        call = decode(SeveralCall, payload, bytes_max=_CALL_BYTES_MAX)
        _validate_count(call.items)
        state = self._exchange.state()
        judged: list[_Wanted | HansaError] = []
        for item in call.items:
            try:
                judged.append(self._judge(state, member.name, call.user, item))
            except HansaError as error:
                judged.append(error)
        async with self._serving:
            return encode(SeveralAnswer(tuple(await self._workers.run(self._read, judged))))

    def _judge(
        self, state: State, reader: OrganisationName, user: PublicKey, item: SeveralItem
    ) -> _Wanted:
        """Check one item as a single read and a single call for wraps are checked."""
        dataset = find_dataset(state, item.dataset)
        if dataset.owner != self._exchange.organisation:
            raise MissingError("This node does not hold that dataset.")
        require_grant(state, dataset, reader, user, self._clock.now_ms())
        request = find_request(state, item.request)
        is_theirs = request.organisation == reader and request.requester == user
        if not is_theirs or request.dataset != dataset.id:
            raise DeniedError("These keys are for another requester.")
        if request.status != "granted":
            raise DeniedError("This request is not granted.")
        return _Wanted(find_version(dataset, item.version), dataset.owner, request)

    # --- for own users --------------------------------------------------------------------------

    async def read(self, user: PublicKey, items: Sequence[ReadItem]) -> list[ReadOutcome]:
        """Return many versions for an own user, each whole or with the reason why not.

        Raises:
            InvalidError: none or too many are asked for.
        """
        _validate_count(items)
        state = self._exchange.state()
        found: list[_Wanted | HansaError] = []
        for item in items:
            try:
                found.append(self._find(state, user, item))
            except HansaError as error:
                found.append(error)
        wholes: list[Whole] = [
            _refusal(one) if isinstance(one, HansaError) else Whole(LATER) for one in found
        ]
        shares: dict[OrganisationName, list[int]] = {}
        room = limits.READS_BYTES_MAX
        for place, one in enumerate(found):
            # Beyond it the answers of several owners together would be longer than one may be.
            if isinstance(one, _Wanted) and room > 0:
                room -= min(one.version.stored_bytes, limits.READ_WHOLE_BYTES_MAX)
                shares.setdefault(one.owner, []).append(place)
        async with self._reading, asyncio.TaskGroup() as group:
            for owner, places in shares.items():
                group.create_task(self._fill(user, owner, places, (found, items, wholes)))
        return [_outcome(whole, one) for whole, one in zip(wholes, found, strict=True)]

    def _find(self, state: State, user: PublicKey, item: ReadItem) -> _Wanted:
        """Return a version that the chain names, and the user's newest grant of it."""
        if len(item.dataset) != 16:
            raise InvalidError("A dataset's id has 16 bytes.")
        dataset = find_dataset(state, DatasetId(item.dataset))
        version = (
            dataset.versions[-1]
            if item.version == 0 and dataset.versions
            else find_version(dataset, item.version)
        )
        if dataset.owner == self._exchange.organisation:
            return _Wanted(version, dataset.owner, None)
        reader = self._exchange.organisation
        require_grant(state, dataset, reader, user, self._clock.now_ms())
        return _Wanted(version, dataset.owner, newest_grant(state, dataset, user))

    async def _fill(
        self,
        user: PublicKey,
        owner: OrganisationName,
        places: list[int],
        into: tuple[list[_Wanted | HansaError], Sequence[ReadItem], list[Whole]],
    ) -> None:
        """Put the answers of one owner in their places."""
        found, items, wholes = into
        wanted = [found[place] for place in places]
        try:
            if owner == self._exchange.organisation:
                answers = await self._workers.run(self._read, wanted)
            else:
                asked = [
                    SeveralItem(DatasetId(items[place].dataset), one.version.number, one.request.id)
                    for place, one in zip(places, wanted, strict=True)
                    if isinstance(one, _Wanted) and one.request is not None
                ]
                answers = await self._ask(owner, SeveralCall(user, tuple(asked)))
        except HansaError as error:
            answers = [_refusal(error)] * len(places)
        for place, whole in zip(places, answers, strict=True):
            wholes[place] = whole

    async def _ask(self, owner: OrganisationName, call: SeveralCall) -> list[Whole]:
        payload = await self._exchange.ask(owner, METHOD, encode(call))
        answer = decode(SeveralAnswer, payload, bytes_max=_ANSWER_BYTES_MAX)
        if len(answer.wholes) != len(call.items):
            raise ProtocolError(f"The node of {owner} answered for other datasets than asked.")
        return list(answer.wholes)

    # --- the own store --------------------------------------------------------------------------

    def _read(self, wanted: Sequence[_Wanted | HansaError]) -> list[Whole]:
        """Read versions and keys from the own store; runs on a worker."""
        wholes: list[Whole] = []
        keys: dict[int, bytes] = {}
        roots: list[Digest] = []
        for place, one in enumerate(wanted):
            wholes.append(_refusal(one) if isinstance(one, HansaError) else Whole(LATER))
            if isinstance(one, _Wanted):
                try:
                    keys[place] = self._key(one)
                except HansaError as error:
                    wholes[place] = _refusal(error)
                else:
                    roots.append(one.version.manifest_root)
        sizes = [len(key) for key in keys.values()]
        found = read_whole(self._versions, roots, sizes, limits.READS_BYTES_MAX)
        for (place, key), one_found in zip(keys.items(), found, strict=True):
            if isinstance(one_found, StoredWhole):
                wholes[place] = Whole(
                    "", manifest=one_found.manifest, content=one_found.content, key=key
                )
            elif isinstance(one_found, HansaError):
                wholes[place] = _refusal(one_found)
            else:
                wholes[place] = Whole(LARGE if one_found == "large" else LATER)
        return wholes

    def _key(self, wanted: _Wanted) -> bytes:
        if wanted.request is None:
            return self._custody.key(wanted.version.manifest_root)
        return encode(self._custody.wraps(wanted.request.id, wanted.request.wrap_digest))


def newest_grant(state: State, dataset: DatasetRecord, user: PublicKey) -> RequestRecord:
    """Return the newest living grant of a dataset to a user.

    Raises:
        DeniedError: there is none.
    """
    requests = [state.request(one) for one in state.access(dataset.id, user).requests]
    granted = [one for one in requests if one is not None and one.status == "granted"]
    if not granted:
        raise DeniedError("Reading is refused: no grant.")
    return max(granted, key=lambda one: one.decided_height)


def _validate_count(items: Sequence[object]) -> None:
    if not 1 <= len(items) <= limits.READS_PER_CALL_MAX:
        raise InvalidError(
            f"One call reads 1 to {limits.READS_PER_CALL_MAX} datasets.",
            remedy="Ask for more with several calls.",
        )


def _refusal(error: HansaError) -> Whole:
    return Whole(error.code, error.message, error.remedy)


def _outcome(whole: Whole, found: _Wanted | HansaError) -> ReadOutcome:
    if isinstance(found, HansaError):
        return ReadOutcome(whole)
    version, request = found.version, found.request
    return ReadOutcome(
        whole,
        version.number,
        found.owner,
        version.manifest_root,
        version.content_bytes,
        version.files,
        request.id if request is not None else b"",
        request.wrap_digest if request is not None else b"",
    )
