"""A small alliance whose keys derive from names, and the blocks it makes: for the tests of the chain."""

import hashlib
import json
import pathlib

import msgspec
import pytest

from hansa.chain.blocks import (
    Block,
    Certificate,
    CertificateSignature,
    CertifiedBlock,
    Erasure,
    Header,
    Result,
    Vote,
    quorum_of,
    sign_erasure,
    sign_vote,
)
from hansa.chain.genesis import Genesis, Parameters
from hansa.chain.state import State
from hansa.chain.transactions import (
    AddUser,
    Attestation,
    Candidate,
    Description,
    Operation,
    Policy,
    RegisterDataset,
    Transaction,
    TransactionBody,
    VersionClaim,
    derive_id,
    sign_attestation,
    sign_transaction,
)
from hansa.chain.validation import build_block, validate_block
from hansa.crypto.envelope import DecryptionKey
from hansa.crypto.signing import SigningKey
from hansa.index.features import Described, derive
from hansa.types import NO_DIGEST

NAMES = ("energy", "environment", "health", "planning", "safety", "transport")
PARAMETERS = Parameters(epoch_blocks=8, transaction_lifetime_heights=20)
GENESIS_TIME_MS = 1_700_000_000_000
OPEN = Policy()
JUSTIFIED = hashlib.sha256(b"a justification").digest()


def key(name: str) -> SigningKey:
    """Return the signing key that belongs to a name."""
    return SigningKey(hashlib.sha256(name.encode()).digest())


def encryption_key(name: str) -> bytes:
    """Return the public encryption key that belongs to a name."""
    return DecryptionKey(hashlib.sha256(name.encode()).digest()).public


def candidate(name: str) -> Candidate:
    """Return an organisation of that name."""
    return Candidate(
        name=name,
        title=f"Department of {name}",
        node_key=key(f"{name} node").public,
        certificate=b"certificate of " + name.encode(),
        peer_address="localhost:7000",
        api_url="https://localhost:8000",
        admin_key=key(f"{name} admin").public,
        admin_encryption_key=encryption_key(f"{name} admin"),
        admin_name=f"Admin of {name}",
    )


def description(
    title: str = "Bus stops", *, content_bytes: int = 0, **changes: object
) -> Description:
    """Return a sound description of a version of that size."""
    plain = Description(
        title=title,
        description="All bus stops of the city.",
        keywords=("bus", "stop"),
        themes=("transport",),
        place="City",
        box=None,
        interval=None,
        rhythm="daily",
        licence="CC-BY-4.0",
        formats=("csv",),
        columns=("id", "name"),
        column_types=("integer", "text"),
        words=(),
        feature_model=1,
        features=(),
    )
    changed = msgspec.structs.replace(plain, **changes)
    fields = Described.__dataclass_fields__.keys() - {"content_bytes"}
    texts = {field: getattr(changed, field) for field in fields}
    derived = derive(
        Described(**texts, content_bytes=content_bytes), changes.get("feature_model", 1)
    )
    return msgspec.structs.replace(
        changed,
        words=changes.get("words", derived.words),
        features=changes.get("features", derived.features),
    )


class Alliance:
    """A chain in memory: `commit` adds a block and checks that another node would take it."""

    def __init__(self, genesis: Genesis) -> None:
        self.genesis = genesis
        self.state = State.at_genesis(genesis)
        self.header: Header | None = None
        self.blocks: list[CertifiedBlock] = []
        self.nonce = 0

    def sign(
        self,
        who: str,
        *operations: Operation,
        expires: int | None = None,
        time_ms: int | None = None,
        confidential: bytes = NO_DIGEST,
        alliance: bytes | None = None,
    ) -> Transaction:
        """Return a transaction by the user of a name ("health" means "health admin")."""
        self.nonce += 1
        author = key(f"{who} admin" if who in NAMES else who)
        body = TransactionBody(
            format=1,
            alliance=self.state.alliance if alliance is None else alliance,
            author=author.public,
            expires=self.state.height + 10 if expires is None else expires,
            time_ms=self.state.time_ms + 1_000 if time_ms is None else time_ms,
            nonce=self.nonce.to_bytes(16, "big"),
            operations=operations,
            confidential=confidential,
        )
        return sign_transaction(body, author)

    def build(self, *transactions: Transaction, erasures: tuple[Erasure, ...] = ()) -> Block:
        """Return the next block without adding it."""
        return build_block(
            self.state,
            self.header,
            master=self.state.super_nodes()[self.state.height % 4],
            round=0,
            time_ms=self.state.time_ms + 1_000,
            transactions=transactions,
            erasures=erasures,
        )[0]

    def commit(
        self, *transactions: Transaction, erasures: tuple[Erasure, ...] = ()
    ) -> tuple[Result, ...]:
        """Add a block with these contents; return its results."""
        block = self.build(*transactions, erasures=erasures)
        execution = validate_block(self.state, block, self.header)
        certificate = self.certify(block.header)
        self.state = self.state.advanced(execution)
        self.header = block.header
        self.blocks.append(CertifiedBlock(block, certificate))
        return block.results

    def act(self, who: str, *operations: Operation, **changes: object) -> str:
        """Commit one transaction; return its reason code, empty if accepted."""
        return self.commit(self.sign(who, *operations, **changes))[0].code

    def certify(
        self, header: Header, signers: tuple[bytes, ...] | None = None, phase: str = "confirm"
    ) -> Certificate:
        """Return a certificate of a header by a quorum of its set."""
        chosen = header.super_nodes
        vote = Vote(
            header.alliance, header.epoch, header.height, header.round, phase, header.digest()
        )
        keys = {key(f"{name} node").public: key(f"{name} node") for name in (*NAMES, "water")}
        by = chosen[: quorum_of(len(chosen))] if signers is None else signers
        signed = [sign_vote(vote, keys[one]) for one in sorted(by)]
        parts = tuple(CertificateSignature(item.voter, item.signature) for item in signed)
        return Certificate(vote, parts)

    def erasure(
        self, name: str, height: int, *, has_voted: bool = False, **changes: object
    ) -> Erasure:
        """Return an organisation's node's signed acknowledgement, with its vote if it has voted."""
        node = key(f"{name} node")
        named = bytes(32)
        if 1 <= height <= len(self.blocks):
            named = self.blocks[height - 1].block.header.digest()
        epoch = (height - 1) // self.genesis.parameters.epoch_blocks
        vote = Vote(self.state.alliance, epoch, height, 0, "confirm", named)
        signature = sign_vote(vote, node).signature if has_voted else b""
        bare = Erasure(
            self.state.alliance, height, 0, "committed", named, 1, signature, node.public, b""
        )
        return sign_erasure(msgspec.structs.replace(bare, **changes), node)

    def claim(self, owner: str, content: str = "1", **changes: object) -> VersionClaim:
        """Return a version as the owner's node attests it."""
        root = hashlib.sha256(f"{owner} {content}".encode()).digest()
        node = key(f"{owner} node")
        bare = Attestation(owner, root, 1_000, 5_000, self.state.time_ms + 60_000, node.public, b"")
        attestation = sign_attestation(msgspec.structs.replace(bare, **changes), node)
        return VersionClaim(root, 9_000, 2, 3, attestation)

    def register(self, owner: str, policy: Policy = OPEN, content: str = "1") -> bytes:
        """Register a dataset; return its id."""
        transaction = self.sign(
            owner, RegisterDataset(description(), self.claim(owner, content), policy)
        )
        assert self.commit(transaction)[0].accepted
        return derive_id(transaction.digest(), 0)

    def add_user(self, organisation: str, name: str, *roles: str) -> bytes:
        """Register a user; return its key."""
        public = key(name).public
        assert self.act(organisation, AddUser(public, encryption_key(name), name, roles)) == ""
        return public


def make_genesis(parameters: Parameters = PARAMETERS) -> Genesis:
    """Return the founding of the six organisations, four of them super nodes."""
    return Genesis(
        format=1,
        name="City",
        time_ms=GENESIS_TIME_MS,
        parameters=parameters,
        organisations=tuple(candidate(name) for name in NAMES),
        super_nodes=NAMES[: parameters.super_nodes],
    )


class Kit:
    """What tests need besides an alliance."""

    NAMES = NAMES
    PARAMETERS = PARAMETERS
    JUSTIFIED = JUSTIFIED
    Alliance = Alliance
    key = staticmethod(key)
    encryption_key = staticmethod(encryption_key)
    candidate = staticmethod(candidate)
    description = staticmethod(description)
    make_genesis = staticmethod(make_genesis)


@pytest.fixture(scope="session")
def kit() -> type[Kit]:
    """Return the makers of keys, candidates and descriptions."""
    return Kit


@pytest.fixture
def alliance() -> Alliance:
    """Return a fresh alliance at its genesis."""
    return Alliance(make_genesis())


GOLDEN = pathlib.Path(__file__).parents[2] / "golden" / "chain.json"


@pytest.fixture(scope="session")
def golden() -> dict[str, str]:
    """Return the pinned hashes of all formats; they change only with a decision record."""
    return json.loads(GOLDEN.read_text())
