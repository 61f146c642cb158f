"""HansaClient: all a user can do, over one session with the own node.

Ids are bytes in and out (`DatasetId`, `RequestId`, transaction digest); their text form is hex. Each
write waits for its block unless `wait` is false; then its status is pending. Expected failures are the
errors of `hansa.errors`.
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeVar

from typing_extensions import Unpack

from hansa import limits
from hansa.chain.genesis import Genesis
from hansa.chain.transactions import Candidate, Policy
from hansa.client import find, governance, share
from hansa.client.describe import Texts, to_subject
from hansa.client.keys import Keys
from hansa.client.profile import (
    Passphrase,
    Profile,
    certificate_der,
    load_genesis,
    passphrase_from_environment,
)
from hansa.client.receipt import export_receipt
from hansa.client.session import Session
from hansa.client.share import Granted, OpenedRequest, Requested
from hansa.client.transfers import Progress, no_progress
from hansa.client.transport import Caller, Query, Transport
from hansa.client.users import AddedUser, create_user
from hansa.codec import decode
from hansa.errors import InvalidError
from hansa.keyfile import certificate_public_key
from hansa.ports import Clock, Entropy, Workers
from hansa.rest import Answer, DatasetView, Health, NodeStatus, Question, TransactionStatus

if TYPE_CHECKING:
    from hansa.client.fetch import Fetched
    from hansa.client.publish import Published
    from hansa.client.ranges import VersionReader
    from hansa.client.several import FetchedOne, ReadVersion

T = TypeVar("T")


class HansaClient:
    """Use as an async context manager; one event loop, any number of calls at once."""

    def __init__(
        self,
        profile: Profile,
        *,
        clock: Clock,
        entropy: Entropy,
        workers: Workers,
        passphrase: Passphrase = passphrase_from_environment,
    ) -> None:
        """Load the user's key and the genesis; nothing is asked of the node yet.

        Args:
            profile: who acts.
            clock: for tokens and transactions.
            entropy: for keys, nonces and salts.
            workers: threads for what would hold the event loop.
            passphrase: asked once, if a key file needs one.

        Raises:
            HansaError: a key or the genesis cannot be loaded, or does not fit the profile.
        """
        if certificate_public_key(certificate_der(profile)) != profile.node_key:
            raise InvalidError(
                f"The certificate in profile {profile.name!r} is not of its node_key.",
                remedy="Copy both from the own node's folder.",
            )
        keys = Keys(profile, passphrase)
        self._passphrase = passphrase
        caller = Caller(keys.signing, profile.node_key, clock)
        transport = Transport(profile.node_url, profile.node_certificate, caller, entropy)
        self._session = Session(
            profile, keys, load_genesis(profile), transport, clock, entropy, workers
        )

    async def __aenter__(self) -> Self:
        await self._session.transport.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._session.transport.__aexit__(kind, error, trace)

    @property
    def profile(self) -> Profile:
        """Return who acts."""
        return self._session.profile

    @property
    def genesis(self) -> Genesis:
        """Return the alliance's genesis."""
        return self._session.genesis

    # --- reading the node -----------------------------------------------------------------------

    async def get(self, path: str, kind: type[T], query: Query | None = None) -> T:
        """GET any JSON answer of the API (`hansa.rest`)."""
        return await self._session.transport.get(path, kind, query)

    async def post(self, path: str, body: object, kind: type[T]) -> T:
        """POST a JSON question of the API that changes nothing."""
        return await self._session.transport.post(path, body, kind)

    async def status(self) -> NodeStatus:
        """Return the node's view of itself and the agreement."""
        return await self.get("/v1/status", NodeStatus)

    async def health(self) -> Health:
        """Ask once whether the node is ready, and if not, why."""
        return await self._session.transport.get_health()

    async def find(self, question: Question) -> Answer:
        """Ask the index."""
        return await find.find(self._session, question)

    async def dataset(self, dataset: bytes) -> DatasetView:
        """Return one dataset's public facts."""
        return await find.get_dataset(self._session, dataset.hex())

    async def transaction(self, transaction: bytes, *, wait: bool = False) -> TransactionStatus:
        """Return where a transaction stands; with `wait`, up to 30 s until it is settled."""
        query = {"wait_ms": limits.WAIT_MS_MAX if wait else 0}
        return await self.get(f"/v1/transactions/{transaction.hex()}", TransactionStatus, query)

    async def export_receipt(self, transaction: bytes) -> bytes:
        """Return the receipt of a committed transaction, verified with the genesis alone."""
        return await export_receipt(self._session, transaction)

    # --- data -----------------------------------------------------------------------------------

    async def publish(
        self,
        paths: Sequence[str | Path],
        *,
        dataset: bytes | None = None,
        policy: Policy | None = None,
        name: str | None = None,
        columns: bool = False,
        follow_links: bool = False,
        progress: Progress = no_progress,
        wait: bool = True,
        **texts: Unpack[Texts],
    ) -> "Published":
        """Publish files, folders or standard input ("-"), of any size; raises with nothing registered.

        Args:
            paths: what to publish; see `client.sources` for the names.
            dataset: make this the next version of that dataset; texts left out stay as they were.
            policy: of a new dataset.
            name: file name for standard input.
            columns: tell the names of columns found in the data.
            follow_links: publish what symbolic links point at.
            progress: called with bytes read and bytes to read.
            wait: until it is in a block.
            texts: title, description, keywords, themes, place, bbox ([west, south, east, north] in
                degrees), from_ms and to_ms (milliseconds since 1970), licence.
        """
        # Late, here and below: numpy comes with them, which most commands never need.
        from hansa.client.publish import publish  # noqa: PLC0415
        from hansa.client.sources import STANDARD_INPUT_NAME, collect  # noqa: PLC0415

        sources = await asyncio.to_thread(
            collect,
            paths,
            follow_links=follow_links,
            standard_input=sys.stdin.buffer if "-" in map(str, paths) else None,
            standard_input_name=name or STANDARD_INPUT_NAME,
        )
        try:
            return await publish(
                self._session,
                sources,
                to_subject(texts),
                dataset=dataset.hex() if dataset else None,
                policy=policy,
                columns=columns,
                progress=progress,
                wait=wait,
            )
        finally:
            sources.close()

    async def fetch(
        self,
        dataset: bytes,
        output: Path,
        *,
        version: int | None = None,
        overwrite: bool = False,
        progress: Progress = no_progress,
    ) -> "Fetched":
        """Fetch a version's files into a folder, verified; goes on where it stopped."""
        from hansa.client.fetch import fetch  # noqa: PLC0415

        return await fetch(
            self._session,
            dataset.hex(),
            output,
            version=version,
            overwrite=overwrite,
            progress=progress,
        )

    async def fetch_many(
        self, datasets: Iterable[bytes], output: Path, *, overwrite: bool = False
    ) -> "AsyncIterator[FetchedOne]":
        """Fetch the newest version of each dataset into `output`/id; yield what became of each, in order.

        Small ones come together, hundreds with one call. One that is missing, denied or damaged has its
        error, and the others are fetched.
        """
        from hansa.client.several import fetch_many  # noqa: PLC0415

        async for one in fetch_many(self._session, datasets, output, overwrite=overwrite):
            yield one

    async def read_many(self, datasets: Iterable[bytes]) -> "AsyncIterator[ReadVersion]":
        """Yield the files of each dataset's newest version, in memory, verified, in the order asked for.

        As `fetch_many`; a version too large to be held in memory has a `LargeVersionError`.
        """
        from hansa.client.several import read_many  # noqa: PLC0415

        async for one in read_many(self._session, datasets):
            yield one

    async def fetch_stream(
        self,
        dataset: bytes,
        write: Callable[[bytes], object],
        *,
        version: int | None = None,
        file: str | None = None,
        progress: Progress = no_progress,
    ) -> "Fetched":
        """Fetch one file into a function, such as `sys.stdout.buffer.write`."""
        from hansa.client.fetch import fetch_stream  # noqa: PLC0415

        return await fetch_stream(
            self._session, dataset.hex(), write, version=version, file=file, progress=progress
        )

    async def open(self, dataset: bytes, *, version: int | None = None) -> "VersionReader":
        """Open a version for reading anywhere in its files, as often as wanted."""
        from hansa.client.fetch import open_reader  # noqa: PLC0415

        return await open_reader(self._session, dataset.hex(), version=version)

    async def read_range(
        self,
        dataset: bytes,
        offset: int,
        length: int,
        *,
        file: str | None = None,
        version: int | None = None,
    ) -> bytes:
        """Return bytes of one file; whoever wants several ranges opens the version once instead."""
        reader = await self.open(dataset, version=version)
        return await reader.read(offset, length, file=file)

    async def retire(self, dataset: bytes, *, wait: bool = True) -> TransactionStatus:
        """Retire an own dataset."""
        return await share.retire(self._session, dataset.hex(), wait=wait)

    async def set_policy(
        self, dataset: bytes, policy: Policy, *, wait: bool = True
    ) -> TransactionStatus:
        """Replace the policy of an own dataset."""
        return await share.set_policy(self._session, dataset.hex(), policy, wait=wait)

    # --- sharing --------------------------------------------------------------------------------

    async def request_access(
        self, dataset: bytes, *, purpose: str, code: str = "", contact: str = "", wait: bool = True
    ) -> Requested:
        """Ask for a dataset of another organisation."""
        return await share.request_access(
            self._session, dataset.hex(), purpose, code=code, contact=contact, wait=wait
        )

    async def list_requests(self, role: str = "all") -> list[OpenedRequest]:
        """Return requests for own data (`owner`), by own users (`requester`), or `all`, opened."""
        views = await share.list_requests(self._session, role)
        return [await share.open_request(self._session, view) for view in views]

    async def request(self, request: bytes) -> OpenedRequest:
        """Return one request, opened as far as this user may read it."""
        view = await share.get_request(self._session, request.hex())
        return await share.open_request(self._session, view)

    async def grant_access(
        self, request: bytes, *, expires_ms: int = 0, wait: bool = True
    ) -> Granted:
        """Grant a request for own data."""
        return await share.grant(self._session, request.hex(), expires_ms=expires_ms, wait=wait)

    async def deny_access(
        self, request: bytes, reason: str, *, wait: bool = True
    ) -> TransactionStatus:
        """Deny a request for own data."""
        return await share.deny(self._session, request.hex(), reason=reason, wait=wait)

    async def revoke_access(
        self, request: bytes, reason: str, *, wait: bool = True
    ) -> TransactionStatus:
        """End a grant of own data."""
        return await share.revoke(self._session, request.hex(), reason=reason, wait=wait)

    # --- governance -----------------------------------------------------------------------------

    async def admit(self, candidate: bytes, *, wait: bool = True) -> TransactionStatus:
        """Cast the ballot for a candidate, given as the bytes of its candidate file."""
        found = decode(Candidate, candidate, bytes_max=64 * limits.KIB)
        return await governance.admit(self._session, found, wait=wait)

    async def suspend(
        self, organisation: str, reason: str, *, wait: bool = True
    ) -> TransactionStatus:
        """Cast the ballot for suspending a member."""
        return await governance.suspend(self._session, organisation, reason, wait=wait)

    async def update_organisation(
        self, *, certificate: bytes, peer_address: str, api_url: str, wait: bool = True
    ) -> TransactionStatus:
        """Announce where the own node is reached, or its new certificate (DER)."""
        return await governance.update_organisation(
            self._session,
            certificate=certificate,
            peer_address=peer_address,
            api_url=api_url,
            wait=wait,
        )

    async def vote_super_nodes(
        self, candidates: Sequence[str], *, wait: bool = True
    ) -> TransactionStatus:
        """Approve of organisations as super nodes; none withdraws the vote."""
        return await governance.vote_super_nodes(self._session, candidates, wait=wait)

    async def add_user(
        self, name: str, roles: Sequence[str], *, profile_name: str, wait: bool = True
    ) -> AddedUser:
        """Make a user's keys and profile on this machine, and register the user."""
        return await create_user(
            self._session,
            name,
            roles,
            profile_name=profile_name,
            passphrase=self._passphrase(),
            wait=wait,
        )

    async def revoke_user(self, key: bytes, *, wait: bool = True) -> TransactionStatus:
        """Revoke a user of the own organisation."""
        return await governance.revoke_user(self._session, key, wait=wait)
