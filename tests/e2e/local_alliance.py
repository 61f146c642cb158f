"""A small alliance of real node processes on the loopback address, for end-to-end tests."""

import asyncio
import contextlib
import json
import os
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import jwt
import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from multidict import CIMultiDict

from hansa.chain.genesis import SMALL, Genesis, Parameters
from hansa.chain.sealed import (
    SealedContents,
    SealedTransaction,
    SealingKeyNotice,
    open_session,
    seal_transaction,
)
from hansa.chain.transactions import (
    Candidate,
    Operation,
    Transaction,
    TransactionBody,
    VoteSuperNodes,
    sign_transaction,
)
from hansa.cli.processes import free_ports
from hansa.client.client import HansaClient
from hansa.client.keys import create_organisation_secrets
from hansa.client.profile import Profile
from hansa.codec import decode, encode
from hansa.crypto.envelope import DecryptionKey
from hansa.crypto.signing import SigningKey
from hansa.keyfile import create_key_file
from hansa.node.folder import NewNode, install_genesis, prepare_node_folder
from hansa.rest import NodeStatus, SealingKeys, Submission, TransactionStatus
from hansa.system import SystemClock, SystemEntropy, WorkerPool
from hansa.types import Height, Millis

NAMES = ("transport", "environment", "health", "safety", "planning", "energy")
OCTETS = {"Content-Type": "application/octet-stream"}


@dataclass
class Member:
    """One organisation with its node's folder and its first user."""

    name: str
    folder: Path
    url: str
    user: SigningKey
    reader: DecryptionKey
    node_key: bytes
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the node's process."""
        with (self.folder / "stderr.txt").open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "hansa.bootstrap", str(self.folder)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            )

    def end(self, number: int = signal.SIGTERM) -> int:
        """Signal the process and wait for its end; return its exit code."""
        assert self.process is not None
        self.process.send_signal(number)
        code = self.process.wait(15)
        self.process = None
        return code

    def token(self, key: SigningKey | None = None, **changes: object) -> str:
        """Return a token of the member's user, or of another key."""
        key = key or self.user
        now = int(time.time())
        claims = {"aud": self.node_key.hex(), "iat": now, "exp": now + 300} | changes
        signer = Ed25519PrivateKey.from_private_bytes(key.seed())
        return jwt.encode(claims, signer, algorithm="EdDSA", headers={"kid": key.public.hex()})

    def context(self) -> ssl.SSLContext:
        """Return a context that trusts the node's certificate only."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.load_verify_locations(self.folder / "certificate.pem")
        return context

    def last_words(self) -> str:
        """Return what the process printed; nothing if it was never started."""
        path = self.folder / "stderr.txt"
        return path.read_text(errors="replace")[-2000:] if path.exists() else ""


@dataclass
class LocalAlliance:
    """Some members on this machine."""

    genesis: Genesis
    members: list[Member]
    candidates: list[Candidate] = field(default_factory=list)

    @classmethod
    def create(
        cls,
        folder: Path,
        count: int = 4,
        *,
        super_nodes: int = 4,
        founders: int | None = None,
        parameters: Parameters = SMALL,
        hosts: Sequence[str] = (),
    ) -> "LocalAlliance":
        """Make folders, keys and genesis; members beyond the founders are candidates only.

        Peers reach each other on the loopback address, unless each has an address of its own in `hosts`.
        """
        entropy = SystemEntropy()
        ports = free_ports(2 * count)
        members, candidates = [], []
        for number, name in enumerate(sorted(NAMES[:count])):
            user = SigningKey(entropy.random_bytes(32))
            reader = DecryptionKey(entropy.random_bytes(32))
            home = folder / f"{name}-user"
            home.mkdir(parents=True)
            create_key_file(home / "user.key", "signing", user.seed(), None)
            create_key_file(home / "encryption.key", "decryption", reader.seed(), None)
            secrets = create_organisation_secrets(home / "organisation", entropy, None)
            peer, api = (f"127.0.0.1:{port}" for port in ports[2 * number : 2 * number + 2])
            if hosts:
                peer = peer.replace("127.0.0.1", hosts[number])
            node = NewNode(
                organisation=name,
                title=name.title(),
                admin_name="Ada",
                admin_key=user.public,
                admin_encryption_key=reader.public,
                directory_key=secrets.directory,
                peer=peer,
                api=api,
            )
            candidate = prepare_node_folder(folder / name, node, entropy=entropy)
            candidates.append(candidate)
            members.append(
                Member(name, folder / name, candidate.api_url, user, reader, candidate.node_key)
            )
        genesis = Genesis(
            format=1,
            name="Test city",
            time_ms=Millis(int(time.time() * 1000)),
            parameters=msgspec.structs.replace(parameters, super_nodes=super_nodes),
            organisations=tuple(candidates[: founders or count]),
            super_nodes=tuple(sorted(member.name for member in members)[:super_nodes]),
        )
        for member in members:
            install_genesis(member.folder, encode(genesis))
        return cls(genesis, members, candidates)

    @contextlib.contextmanager
    def running(self) -> Iterator["LocalAlliance"]:
        """Start all nodes; kill what is left at the end."""
        try:
            for member in self.members:
                member.start()
            yield self
        finally:
            for member in self.members:
                if member.process is not None:
                    member.process.kill()
                    member.process.wait(10)

    async def request(
        self, member: Member, method: str, path: str, *, token: str | None = None, **options
    ) -> tuple[int, bytes, CIMultiDict[str]]:
        """Make one HTTPS request; return status, body, headers."""
        headers = dict(options.pop("headers", {}))
        if token != "":
            headers["Authorization"] = f"Bearer {token or member.token()}"
        async with (
            aiohttp.ClientSession() as session,
            session.request(
                method, member.url + path, headers=headers, ssl=member.context(), **options
            ) as response,
        ):
            return response.status, await response.read(), response.headers.copy()

    async def get(self, member: Member, path: str, kind):
        """GET a JSON answer."""
        status, body, _ = await self.request(member, "GET", path)
        assert status == 200, (status, body)
        return msgspec.json.decode(body, type=kind)

    async def until(self, what, seconds: float = 30) -> None:
        """Wait until `await what()` is true; connection errors count as not yet."""
        end = time.monotonic() + seconds
        told: object = None
        while time.monotonic() < end:
            try:
                told = await what()
                if told:
                    return
            except (aiohttp.ClientError, AssertionError, OSError) as error:
                told = error
            await asyncio.sleep(0.1)
        words = "\n".join(f"{m.name}: {m.last_words()}" for m in self.members)
        raise AssertionError(f"not in time: {told!r}\n{words}")

    async def until_ready(self, members: list[Member] | None = None, seconds: float = 30) -> None:
        """Wait until the nodes say that they are ready."""

        async def is_ready() -> bool:
            for member in members or self.members:
                status, body, _ = await self.request(member, "GET", "/healthz/ready", token="")
                assert status == 200, (member.name, body)
            return True

        await self.until(is_ready, seconds)

    @contextlib.asynccontextmanager
    async def client(self, member: Member) -> AsyncIterator[HansaClient]:
        """Open the client of a member's user."""
        home = member.folder.parent / f"{member.name}-user"
        profile = Profile(
            name=member.name,
            organisation=member.name,
            user_key=home / "user.key",
            encryption_key=home / "encryption.key",
            organisation_secrets=home / "organisation",
            node_url=member.url,
            node_key=member.node_key,
            node_certificate=(member.folder / "certificate.pem").read_text(),
            alliance=self.genesis.digest(),
            genesis_file=member.folder / "genesis.hansa",
        )
        with WorkerPool(2) as workers:
            async with HansaClient(
                profile, clock=SystemClock(), entropy=SystemEntropy(), workers=workers
            ) as client:
                yield client

    async def status(self, member: Member) -> NodeStatus:
        """Return a node's status."""
        return await self.get(member, "/v1/status", NodeStatus)

    async def sign(self, member: Member, *operations: Operation) -> Transaction:
        """Return a signed transaction of the member's user."""
        keys = await self.get(member, "/v1/sealing-keys", SealingKeys)
        body = TransactionBody(
            format=1,
            alliance=self.genesis.digest(),
            author=member.user.public,
            expires=Height(keys.height + 500),
            time_ms=Millis(int(time.time() * 1000)),
            nonce=os.urandom(16),
            operations=operations or (VoteSuperNodes((member.name,)),),
        )
        return sign_transaction(body, member.user)

    async def seal(
        self, member: Member, transaction: Transaction, confidential: bytes = b""
    ) -> SealedTransaction:
        """Seal a transaction to the super nodes whose keys the member's node knows."""
        keys = await self.get(member, "/v1/sealing-keys", SealingKeys)
        notices = tuple(decode(SealingKeyNotice, bytes.fromhex(view.notice)) for view in keys.keys)
        assert len(notices) >= keys.quorum, f"{len(notices)} sealing keys"
        return seal_transaction(
            SealedContents(encode(transaction), confidential),
            open_session(self.genesis.digest(), transaction.body.author, notices, os.urandom(32)),
            transaction=transaction.digest(),
            expires=transaction.body.expires,
            nonce=os.urandom(12),
        )

    async def submit(
        self, member: Member, *operations: Operation, confidential: bytes = b"", notes: tuple = ()
    ) -> TransactionStatus:
        """Sign, seal, submit and wait for the block."""
        transaction = await self.sign(member, *operations)
        return await self.send(member, transaction, confidential=confidential, notes=notes)

    async def send(
        self,
        member: Member,
        transaction: Transaction,
        *,
        confidential: bytes = b"",
        notes: tuple = (),
    ) -> TransactionStatus:
        """Seal and submit a signed transaction, again on reseal, and wait for its outcome."""
        for _ in range(5):
            sealed = await self.seal(member, transaction, confidential)
            status, body, _ = await self.request(
                member,
                "POST",
                "/v1/transactions",
                data=encode(Submission(sealed, notes)),
                headers=OCTETS,
            )
            assert status == 202, body
            path = f"/v1/transactions/{transaction.digest().hex()}?wait_ms=20000"
            found = await self.get(member, path, TransactionStatus)
            if found.status != "reseal":
                return found
        raise AssertionError("resealed too often")


def problem(body: bytes) -> dict[str, object]:
    """Return a problem document's members."""
    found = json.loads(body)
    assert {"type", "title", "status", "code", "detail", "remedy", "retryable", "instance"} == set(
        found
    )
    return found
