"""Doubles: a clock, entropy, workers, and a node that keeps bytes and applies what it is sent."""

import asyncio
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest

from hansa import rest
from hansa.chain.genesis import SMALL, Genesis
from hansa.chain.sealed import SealingKeyNotice, open_transaction, sign_sealing_key
from hansa.chain.transactions import (
    AddVersion,
    Attestation,
    Candidate,
    DenyAccess,
    GrantAccess,
    RegisterDataset,
    RequestAccess,
    RevokeAccess,
    decode_transaction,
    derive_id,
    sign_attestation,
)
from hansa.client.keys import Keys, create_organisation_secrets
from hansa.client.profile import Profile
from hansa.client.session import Session
from hansa.codec import decode, encode
from hansa.crypto.envelope import DecryptionKey
from hansa.crypto.signing import SigningKey
from hansa.data.chunk import compute_sealed_digest
from hansa.data.manifest import compute_root, decode_manifest, open_directory
from hansa.errors import MissingError
from hansa.keyfile import certificate_pem, create_certificate, create_key_file
from hansa.rest.reads import ReadAnswer, ReadItem, ReadOutcome, Whole
from hansa.types import Epoch, Signature


class StillClock:
    """A clock that a test moves."""

    def __init__(self, now_ms: int = 1_790_000_000_000) -> None:
        self.time_ms = now_ms

    def now_ms(self) -> int:
        return self.time_ms

    def monotonic_ms(self) -> int:
        return self.time_ms


class CountedEntropy:
    """Bytes that never repeat and are the same in every run."""

    def __init__(self, seed: bytes = b"entropy") -> None:
        self._seed, self._count = seed, 0

    def random_bytes(self, count: int) -> bytes:
        self._count += 1
        return hashlib.shake_256(self._seed + self._count.to_bytes(8, "big")).digest(count)


class Threads:
    """Workers on the loop's own threads."""

    async def run(self, function, *arguments):
        return await asyncio.to_thread(function, *arguments)


@dataclass
class City:
    """What all node doubles agree on: a chain without agreement."""

    genesis: Genesis
    clock: StillClock
    height: int = 10
    datasets: dict = field(default_factory=dict)
    requests: dict = field(default_factory=dict)
    members: list = field(default_factory=list)
    operations: list = field(default_factory=list)
    answers: list = field(default_factory=list)
    """Statuses to answer with instead of committing, taken from the front."""
    sealed: list = field(default_factory=list)
    nodes: dict = field(default_factory=dict)
    notes: dict = field(default_factory=dict)
    wraps: dict = field(default_factory=dict)


class NodeDouble:
    """Plays transport and node of one organisation."""

    def __init__(self, city: City, member: "Member") -> None:
        self.city, self.member = city, member
        self.health = rest.Health(ready=True, reasons=[])
        self.sealing = DecryptionKey(hashlib.sha256(b"sealing" + member.name.encode()).digest())
        self.chunks: dict[bytes, bytes] = {}
        self.manifests: dict[bytes, bytes] = {}
        self.keys: dict[bytes, bytes] = {}
        self.bound: dict[bytes, tuple[bytes, int]] = {}
        self.uploads: list[rest.ChunkUpload] = []
        self.calls: list[str] = []
        self.ranges: list[tuple[int, int]] = []
        self.damage: Callable[[bytes], bytes] = lambda data: data
        self.reads: list[int] = []
        """How many datasets each call asked for."""
        self.reads_max = 100
        self.whole_bytes_max = 100_000

    # --- what the client calls ---

    async def get_health(self):
        return self.health

    async def get(self, path, kind, query=None):
        self.calls.append(path)
        return msgspec.convert(msgspec.to_builtins(self._get(path, dict(query or {}))), kind)

    async def post(self, path, body, kind):
        self.calls.append(path)
        assert path == "/v1/index/nearest"
        return rest.NearestAnswer(cluster="")

    async def post_octets(self, path, body, kind):
        self.calls.append(path)
        return decode(kind, encode(self._post(path, decode(type(body), encode(body)))))

    async def submit(self, path, body, kind, query=None):
        self.calls.append(path)
        return self._take(decode(rest.Submission, encode(body)))

    async def send_octets(self, method, path, body):
        self.calls.append(path)
        if method == "POST":
            self._post(path, decode(type(body), encode(body)))
            return
        self.city.wraps[path.split("/")[3]] = encode(body)

    async def get_octets(self, path, *, bytes_max):
        self.calls.append(path)
        parts = path.split("/")
        if parts[2] == "requests":
            store = self.city.notes if parts[4] == "note" else self.city.wraps
            if parts[3] not in store:
                raise MissingError("Not here.")
            return store[parts[3]]
        view = self._dataset(parts[3])
        root = bytes.fromhex(view.versions[int(parts[5]) - 1].manifest_root)
        node = self.city.nodes[view.owner]
        return node.keys[root] if parts[6] == "key" else self.damage(node.manifests[root])

    async def get_range(self, path, offset, length):
        self.ranges.append((offset, length))
        parts = path.split("/")
        view = self._dataset(parts[3])
        node = self.city.nodes[view.owner]
        root = bytes.fromhex(view.versions[int(parts[5]) - 1].manifest_root)
        return self.damage(node.content(root)[offset : offset + length])

    # --- what the node does ---

    def content(self, root: bytes) -> bytes:
        return b"".join(self.chunks[e.sealed_digest] for e in self._directory(root).entries)

    def _directory(self, root: bytes):
        return open_directory(decode_manifest(self.manifests[root]), self.member.secrets.directory)

    def _dataset(self, identity: str) -> rest.DatasetView:
        if identity not in self.city.datasets:
            raise MissingError("No such dataset.")
        return self.city.datasets[identity]

    def _get(self, path: str, query: dict):
        city = self.city
        if path == "/v1/sealing-keys":
            keys = [member.notice(city) for member in city.members]
            return rest.SealingKeys(
                epoch=0,
                height=city.height,
                quorum=1,
                time_ms=city.clock.now_ms(),
                super_nodes=[member.node.public.hex() for member in city.members],
                keys=keys,
            )
        if path == "/v1/organisations":
            return [member.view() for member in city.members]
        if path == "/v1/requests":
            return list(city.requests.values())
        parts = path.split("/")
        if parts[2] == "datasets":
            return self._dataset(parts[3])
        if parts[2] == "requests":
            return city.requests[parts[3]]
        assert parts[2] == "transactions"
        return self._settle(parts[3])

    def _post(self, path: str, body):
        if path == "/v1/store/lookups":
            known = tuple(
                rest.KnownChunk(*self.bound[chunk]) if chunk in self.bound else None
                for chunk in body.chunks
            )
            return rest.LookupAnswer(known)
        if path == "/v1/store/chunks":
            self.uploads.append(body)
            for item in body.items:
                self.chunks[compute_sealed_digest(item.sealed)] = item.sealed
            return None
        if path == "/v1/reads":
            self.reads.append(len(body.items))
            outcomes = tuple(self._read(item) for item in body.items)
            # As a node whose answer has room for so many.
            later = (ReadOutcome(Whole("later")),) * len(outcomes[self.reads_max :])
            return ReadAnswer(outcomes[: self.reads_max] + later)
        root = compute_root(body.manifest)
        self.manifests[root], self.keys[root] = body.manifest, body.key_wrap
        stored = sum(entry.sealed_bytes for entry in self._directory(root).entries)
        assert all(e.sealed_digest in self.chunks for e in self._directory(root).entries)
        lease = self.city.clock.now_ms() + 60_000
        node = self.member.node
        bare = Attestation(
            self.member.name, root, len(body.manifest), stored, lease, node.public, Signature(b"")
        )
        return rest.ManifestAnswer(sign_attestation(bare, node))

    def _read(self, item: ReadItem) -> ReadOutcome:
        view = self.city.datasets.get(item.dataset.hex())
        if view is None:
            return ReadOutcome(Whole("missing", "No such dataset.", "Look for it."))
        version = view.versions[(item.version or len(view.versions)) - 1]
        root, node = bytes.fromhex(version.manifest_root), self.city.nodes[view.owner]
        granted = [
            one
            for one in self.city.requests.values()
            if one.dataset == view.id and one.status == "granted"
        ]
        facts = (version.number, view.owner, root, version.content_bytes, version.files)
        if version.stored_bytes > self.whole_bytes_max:
            return ReadOutcome(Whole("large"), *facts)
        if view.owner == self.member.name:
            key, grant = node.keys[root], (b"", b"")
        elif not granted:
            return ReadOutcome(Whole("denied", "Not granted.", "Ask for it."))
        else:
            key = self.city.wraps[granted[-1].id]
            grant = (bytes.fromhex(granted[-1].id), bytes.fromhex(granted[-1].wrap_digest))
        whole = Whole("", "", "", node.manifests[root], self.damage(node.content(root)), key)
        return ReadOutcome(whole, *facts, *grant)

    def _take(self, body: rest.Submission) -> rest.TransactionStatus:
        city = self.city
        contents = open_transaction(body.sealed, self.member.node.public, self.sealing)
        city.sealed.append((body, contents))
        name = body.sealed.transaction.hex()
        if city.answers:
            return msgspec.structs.replace(city.answers.pop(0), transaction=name)
        transaction = decode_transaction(contents.transaction)
        city.height += 1
        for index, operation in enumerate(transaction.body.operations):
            city.operations.append(operation)
            self._apply(transaction, operation, derive_id(transaction.digest(), index))
        for note in body.notes:
            city.notes[note.request.hex()] = encode(note)
        return rest.TransactionStatus(transaction=name, status="pending")

    def _settle(self, name: str) -> rest.TransactionStatus:
        if self.city.answers:
            return msgspec.structs.replace(self.city.answers.pop(0), transaction=name)
        return rest.TransactionStatus(transaction=name, status="committed", height=self.city.height)

    def _apply(self, transaction, operation, identity: bytes) -> None:
        city = self.city
        if isinstance(operation, RegisterDataset):
            self._bind(identity, 1, operation.version.manifest_root)
            city.datasets[identity.hex()] = self._view(
                identity, operation, [self._version(1, operation)]
            )
        elif isinstance(operation, AddVersion):
            old = city.datasets[operation.dataset.hex()]
            versions = [*old.versions, self._version(operation.number, operation)]
            self._bind(operation.dataset, operation.number, operation.version.manifest_root)
            city.datasets[old.id] = self._view(operation.dataset, operation, versions)
        elif isinstance(operation, RequestAccess):
            view = city.datasets[operation.dataset.hex()]
            city.requests[identity.hex()] = self._request(transaction, operation, identity, view)
        elif isinstance(operation, GrantAccess | DenyAccess | RevokeAccess):
            self._decide(operation)

    def _decide(self, operation) -> None:
        old = self.city.requests[operation.request.hex()]
        status = {"GrantAccess": "granted", "DenyAccess": "denied", "RevokeAccess": "revoked"}
        self.city.requests[old.id] = msgspec.structs.replace(
            old,
            status=status[type(operation).__name__],
            reason=getattr(operation, "reason", ""),
            wrap_digest=getattr(operation, "wrap_digest", b"").hex(),
            decided_height=self.city.height,
        )

    def _bind(self, dataset: bytes, number: int, root: bytes) -> None:
        for entry in self._directory(root).entries:
            self.bound.setdefault(entry.chunk, (dataset, number))

    def _version(self, number: int, operation) -> rest.VersionView:
        claim = operation.version
        return rest.VersionView(
            number=number,
            manifest_root=claim.manifest_root.hex(),
            content_bytes=claim.content_bytes,
            stored_bytes=claim.attestation.stored_bytes,
            files=claim.files,
            chunks=claim.chunks,
            height=self.city.height,
            time_ms=self.city.clock.now_ms(),
            transaction="",
        )

    def _view(self, identity: bytes, operation, versions) -> rest.DatasetView:
        said = operation.description
        return rest.DatasetView(
            id=identity.hex(),
            owner=self.member.name,
            status="active",
            title=said.title,
            description=said.description,
            keywords=list(said.keywords),
            themes=list(said.themes),
            place=said.place,
            bbox=None,
            from_ms=None,
            to_ms=None,
            rhythm=said.rhythm,
            licence=said.licence,
            formats=list(said.formats),
            columns=list(said.columns),
            column_types=list(said.column_types),
            cluster="",
            versions=versions,
            undecided="ask",
            owner_users=[self.member.user_view()],
        )

    def _request(self, transaction, operation, identity: bytes, view) -> rest.RequestView:
        return rest.RequestView(
            id=identity.hex(),
            dataset=view.id,
            dataset_title=view.title,
            owner=view.owner,
            requester=self.member.user.public.hex(),
            requester_name="user",
            requester_encryption_key=self.member.encryption.public.hex(),
            organisation=self.member.name,
            purpose=operation.purpose,
            status="open",
            reason="",
            height=self.city.height,
            time_ms=0,
            decided_height=0,
            expires_ms=0,
            wrap_digest="",
            transaction=transaction.digest().hex(),
            confidential=transaction.body.confidential.hex(),
        )


class Member:
    """One organisation: its keys on disk, its user's session."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name, self.folder = name, folder
        self.node, self.user, self.encryption = (
            kind(hashlib.sha256(f"{what} of {name}".encode()).digest())
            for kind, what in (
                (SigningKey, "node"),
                (SigningKey, "user"),
                (DecryptionKey, "encryption"),
            )
        )
        self.certificate = create_certificate(self.node, name)
        self.serial = 1
        folder.mkdir(parents=True)
        self.secrets = create_organisation_secrets(
            folder / "organisation", CountedEntropy(name.encode()), None
        )
        create_key_file(folder / "user.key", "signing", self.user.seed(), None)
        create_key_file(folder / "encryption.key", "decryption", self.encryption.seed(), None)

    def candidate(self) -> Candidate:
        return Candidate(
            name=self.name,
            title=self.name.title(),
            node_key=self.node.public,
            certificate=self.certificate,
            peer_address="127.0.0.1:1",
            api_url="https://127.0.0.1:2",
            admin_key=self.user.public,
            admin_encryption_key=self.encryption.public,
            admin_name="user",
        )

    def profile(self, genesis: Genesis) -> Profile:
        path = self.folder / "genesis.hansa"
        path.write_bytes(encode(genesis))
        return Profile(
            name=self.name,
            organisation=self.name,
            user_key=self.folder / "user.key",
            encryption_key=self.folder / "encryption.key",
            organisation_secrets=self.folder / "organisation",
            node_url="https://127.0.0.1:2",
            node_key=self.node.public,
            node_certificate=certificate_pem(self.certificate).decode(),
            alliance=genesis.digest(),
            genesis_file=path,
        )

    def notice(self, city: City) -> rest.SealingKeyView:
        sealing = city.nodes[self.name].sealing.public
        bare = SealingKeyNotice(
            city.genesis.digest(), Epoch(0), self.node.public, sealing, self.serial, Signature(b"")
        )
        signed = sign_sealing_key(bare, self.node)
        return rest.SealingKeyView(organisation=self.name, notice=encode(signed).hex())

    def view(self) -> rest.OrganisationView:
        return rest.OrganisationView(
            name=self.name,
            title=self.name,
            status="active",
            node_key=self.node.public.hex(),
            peer_address="",
            api_url="",
            is_super_node=True,
            users=1,
            datasets=0,
            ballots=0,
            expelled_height=0,
        )

    def user_view(self) -> rest.UserView:
        return rest.UserView(
            organisation=self.name,
            name="user",
            key=self.user.public.hex(),
            encryption_key=self.encryption.public.hex(),
            roles=["officer"],
            status="active",
        )


@dataclass
class Pair:
    """Two organisations of one alliance, each with a session at its own node double."""

    city: City
    owner: Session
    reader: Session
    owner_node: NodeDouble
    reader_node: NodeDouble
    members: list[Member]


@pytest.fixture(name="clock")
def _clock() -> StillClock:
    return StillClock()


@pytest.fixture(name="pair")
def _pair(tmp_path: Path, clock: StillClock) -> Pair:
    """An alliance of two: `health` owns, `transport` reads."""
    members = [Member(name, tmp_path / "keys" / name) for name in ("health", "transport")]
    parameters = msgspec.structs.replace(SMALL, super_nodes=1)
    genesis = Genesis(
        1, "test", 1, parameters, tuple(member.candidate() for member in members), ("health",)
    )
    city = City(genesis, clock, members=members)
    sessions = []
    for member in members:
        node = NodeDouble(city, member)
        city.nodes[member.name] = node
        profile = member.profile(genesis)
        keys = Keys(profile, lambda: None)
        entropy = CountedEntropy(member.name.encode())
        sessions.append(Session(profile, keys, genesis, node, clock, entropy, Threads()))
    nodes = [city.nodes[member.name] for member in members]
    return Pair(city, *sessions, *nodes, members)
