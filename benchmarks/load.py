"""Load on the agreement: transactions made beforehand or on the way, sent and followed as clients do.

One transaction is one `SetPolicy` of about 256 bytes, signed by its author, sealed to every super
node. Its latency runs from the first byte of the submission to the node's answer that it is in a block:
two HTTPS calls to the author's own node, the second a long poll.
"""

import asyncio
import itertools
import os
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

import aiohttp
import msgspec
from alliance import Running

from hansa.chain.sealed import SealedContents, SealingKeyNotice, seal_transaction
from hansa.chain.transactions import (
    AddUser,
    Constraint,
    Operation,
    Policy,
    Rule,
    SetPolicy,
    Transaction,
    TransactionBody,
    sign_transaction,
)
from hansa.client.client import HansaClient
from hansa.client.session import Session
from hansa.client.submit import _choose_notices
from hansa.client.transport import OCTETS, Caller, pinned_context
from hansa.codec import decode, encode
from hansa.crypto.signing import SigningKey
from hansa.errors import HansaError
from hansa.rest import (
    SealingKeys,
    Submission,
    Submissions,
    TransactionStatus,
    TransactionStatuses,
)
from hansa.system import SystemClock
from hansa.types import NO_DIGEST, DatasetId, EncryptionKey, Height

SETTLE_S_MAX = 60
LIFETIME_HEIGHTS = 4_000
POLICIES = [
    Policy((Rule("permission", (Constraint("purpose", "eq", ("planning",)),)),), undecided)
    for undecided in ("ask", "deny")
]

T = TypeVar("T")


@dataclass
class Outcome:
    """What became of one run."""

    latencies_ms: list[float] = field(default_factory=list)
    finished_s: list[float] = field(default_factory=list)
    """Moment of each commit, on the monotonic clock."""
    failed: dict[str, int] = field(default_factory=dict)
    began_s: float = 0

    def fail(self, reason: str) -> None:
        """Count a transaction that was not committed."""
        self.failed[reason] = self.failed.get(reason, 0) + 1


@dataclass(frozen=True, slots=True)
class Prepared:
    """A sealed transaction and the sender it belongs to."""

    sender: "Sender"
    transaction: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Bulk:
    """Sealed transactions of one sender that travel in one call."""

    sender: "Sender"
    count: int
    body: bytes


class Sender:
    """One author at the own node; holds as many connections as it needs."""

    def __init__(self, name: str, session: Session, datasets: list[bytes]) -> None:
        self.name = name
        self.session = session
        self._operations = itertools.cycle(
            SetPolicy(DatasetId(dataset), policy) for policy in POLICIES for dataset in datasets
        )
        self._caller = Caller(session.keys.signing, session.profile.node_key, SystemClock())
        connector = aiohttp.TCPConnector(
            ssl=pinned_context(session.profile.node_certificate), limit=0
        )
        self._http = aiohttp.ClientSession(connector=connector)
        self._notices: tuple[SealingKeyNotice, ...] = ()
        self._height = 0
        self.transaction_bytes = 0

    async def refresh(self) -> None:
        """Ask for the super nodes' keys and the height, as a client does before it seals."""
        keys = await self.session.transport.get("/v1/sealing-keys", SealingKeys)
        self._notices = _choose_notices(self.session, keys)
        self._height = (await self.session.transport.get("/v1/status", _Height)).height

    def build(self, operations: tuple[Operation, ...] = ()) -> Prepared:
        """Sign and seal the next transaction, or one of these operations."""
        session = self.session
        transaction = self._sign(operations or (next(self._operations),))
        data = encode(transaction)
        self.transaction_bytes = len(data)
        sealed = seal_transaction(
            SealedContents(data, b""),
            session.sealing_session(self._notices),
            transaction=transaction.digest(),
            expires=transaction.body.expires,
            nonce=os.urandom(12),
        )
        return Prepared(self, sealed.transaction.hex(), encode(Submission(sealed, ())))

    def _sign(self, operations: tuple[Operation, ...]) -> Transaction:
        key = self.session.keys.signing
        body = TransactionBody(
            format=1,
            alliance=self.session.profile.alliance,
            author=key.public,
            expires=Height(self._height + LIFETIME_HEIGHTS),
            time_ms=SystemClock().now_ms(),
            nonce=os.urandom(16),
            operations=operations,
            confidential=NO_DIGEST,
        )
        return sign_transaction(body, key)

    async def send(self, prepared: Prepared, outcome: Outcome) -> None:
        """Submit and follow into the block."""
        began = time.perf_counter()
        try:
            async with asyncio.timeout(SETTLE_S_MAX):
                path = "/v1/transactions?wait_ms=30000"
                status = await self._call("POST", path, prepared.body)
                path = f"/v1/transactions/{prepared.transaction}?wait_ms=30000"
                while status.status == "pending":
                    status = await self._call("GET", path)
        except (aiohttp.ClientError, TimeoutError, msgspec.DecodeError) as error:
            outcome.fail(type(error).__name__)
            return
        if status.status != "committed":
            outcome.fail(f"{status.status} {status.code}".strip())
            return
        now = time.perf_counter()
        outcome.latencies_ms.append((now - began) * 1000)
        outcome.finished_s.append(now)

    async def send_bulk(self, bulk: "Bulk", outcome: Outcome) -> None:
        """Submit many in one call, which is answered when all are settled.

        A call that is refused for now (503) is sent again after the pause that the node names.
        """
        began = time.perf_counter()
        try:
            async with asyncio.timeout(SETTLE_S_MAX):
                while True:
                    status, pause, data = await self._bulk_call(bulk.body)
                    if status == 202:
                        break
                    outcome.fail(f"answered {status}, sent again")
                    await asyncio.sleep(pause)
        except (aiohttp.ClientError, TimeoutError, msgspec.DecodeError) as error:
            outcome.fail(type(error).__name__)
            return
        now = time.perf_counter()
        for entry in msgspec.json.decode(data, type=TransactionStatuses).statuses:
            if entry.status == "committed":
                outcome.latencies_ms.append((now - began) * 1000)
                outcome.finished_s.append(now)
            else:
                outcome.fail(f"{entry.status} {entry.code}".strip())

    async def _bulk_call(self, body: bytes) -> tuple[int, float, bytes]:
        headers = {"Authorization": f"Bearer {self._caller.token()}", "Content-Type": OCTETS}
        url = f"{self.session.profile.node_url}/v1/transactions/bulk?wait_ms=30000"
        async with self._http.post(url, data=body, headers=headers) as response:
            pause = float(response.headers.get("Retry-After", 1))
            return response.status, pause, await response.read()

    async def _call(self, method: str, path: str, body: bytes | None = None) -> TransactionStatus:
        headers = {"Authorization": f"Bearer {self._caller.token()}", "Content-Type": OCTETS}
        url = self.session.profile.node_url + path
        async with self._http.request(method, url, data=body, headers=headers) as response:
            return msgspec.json.decode(await response.read(), type=TransactionStatus)

    async def close(self) -> None:
        """Close all connections."""
        await self._http.close()


class _Height(msgspec.Struct):
    height: int


async def make_senders(alliance: Running, datasets_each: int = 4) -> list[Sender]:
    """Publish some tiny datasets for each member; return its senders."""
    senders = []
    source = alliance.alliance.folder / "reading.csv"
    source.write_text("time,value\n2026-01-01T00:00:00Z,1\n")
    for name, client in alliance.clients.items():
        made = [
            bytes((await client.publish([source], title=f"Readings {at} of {name}")).dataset)
            for at in range(datasets_each)
        ]
        senders.append(Sender(name, client._session, made))
    return senders


async def prepare(senders: list[Sender], count: int) -> list[Prepared]:
    """Sign and seal `count` transactions, the senders taking turns."""
    for sender in senders:
        await sender.refresh()
    return [sender.build() for sender in itertools.islice(itertools.cycle(senders), count)]


async def register_users(senders: list[Sender], count: int, operations: int) -> list[Prepared]:
    """Sign and seal `count` transactions of so many registrations of fresh users each."""
    for sender in senders:
        await sender.refresh()

    def fresh(number: int) -> AddUser:
        keys = SigningKey(os.urandom(32)).public, EncryptionKey(os.urandom(32))
        return AddUser(*keys, f"Reader {number}", ("reader",))

    return [
        sender.build(tuple(fresh(number) for number in range(operations)))
        for sender in itertools.islice(itertools.cycle(senders), count)
    ]


def pack(prepared: list[Prepared], each: int) -> list[Bulk]:
    """Put each sender's transactions together into calls of `each`, the senders taking turns."""
    by_sender: dict[str, list[Prepared]] = {}
    for item in prepared:
        by_sender.setdefault(item.sender.name, []).append(item)
    rows = [
        [
            Bulk(items[at].sender, len(items[at : at + each]), _together(items[at : at + each]))
            for at in range(0, len(items), each)
        ]
        for items in by_sender.values()
    ]
    return [bulk for row in itertools.zip_longest(*rows) for bulk in row if bulk is not None]


def _together(items: list[Prepared]) -> bytes:
    return encode(Submissions(tuple(decode(Submission, item.body) for item in items)))


async def run_bulk(bulks: list[Bulk], calls: int, seconds: float) -> Outcome:
    """Keep `calls` calls under way for some seconds, or until all are sent."""
    return await _keep_under_way(
        bulks, lambda bulk, outcome: bulk.sender.send_bulk(bulk, outcome), calls, seconds
    )


async def run_closed(prepared: list[Prepared], in_flight: int, seconds: float) -> Outcome:
    """Keep `in_flight` transactions under way for some seconds, or until all are sent."""
    return await _keep_under_way(
        prepared, lambda item, outcome: item.sender.send(item, outcome), in_flight, seconds
    )


async def _keep_under_way(
    items: Iterable[T], send: Callable[[T, Outcome], Awaitable[object]], count: int, seconds: float
) -> Outcome:
    outcome = Outcome(began_s=time.perf_counter())
    waiting = iter(items)

    async def worker() -> None:
        while time.perf_counter() - outcome.began_s < seconds:
            item = next(waiting, None)
            if item is None:
                return
            await send(item, outcome)

    async with asyncio.TaskGroup() as group:
        for _ in range(count):
            group.create_task(worker())
    return outcome


async def run_open(prepared: list[Prepared], rate: float) -> Outcome:
    """Send at a fixed rate, whatever becomes of those before."""
    outcome = Outcome(began_s=time.perf_counter())
    async with asyncio.TaskGroup() as group:
        for at, item in enumerate(prepared):
            due = outcome.began_s + at / rate
            await asyncio.sleep(max(0, due - time.perf_counter()))
            group.create_task(item.sender.send(item, outcome))
    return outcome


async def run_clients(
    clients: dict[str, HansaClient], senders: list[Sender], in_flight: int, seconds: float
) -> Outcome:
    """Keep `in_flight` writes under way through the client library: keys asked, signed, sealed, followed."""
    outcome = Outcome(began_s=time.perf_counter())
    turns: Iterator[tuple[HansaClient, SetPolicy]] = itertools.cycle(
        (clients[sender.name], next(sender._operations)) for sender in senders for _ in range(8)
    )

    async def worker() -> None:
        while time.perf_counter() - outcome.began_s < seconds:
            client, operation = next(turns)
            began = time.perf_counter()
            try:
                await client.set_policy(operation.dataset, operation.policy)
            except HansaError as error:
                outcome.fail(error.code)
            else:
                now = time.perf_counter()
                outcome.latencies_ms.append((now - began) * 1000)
                outcome.finished_s.append(now)

    async with asyncio.TaskGroup() as group:
        for _ in range(in_flight):
            group.create_task(worker())
    return outcome
