"""The alliance of a simulated world: organisations with keys from the seed, and their transactions."""

import random
from dataclasses import dataclass

from hansa.chain.genesis import Genesis, Parameters
from hansa.chain.sealed import (
    ConfidentialPart,
    SealedContents,
    SealedTransaction,
    SealingKeyNotice,
    SealingSession,
    confidential_digest,
    open_session,
    seal_transaction,
)
from hansa.chain.transactions import (
    AddUser,
    Candidate,
    Operation,
    Transaction,
    TransactionBody,
    VoteSuperNodes,
    sign_transaction,
)
from hansa.codec import encode
from hansa.crypto.envelope import DecryptionKey
from hansa.crypto.signing import SigningKey
from hansa.types import Digest, EncryptionKey, Height, Millis, OrganisationName, PublicKey

START_MS = Millis(1_700_000_000_000)
MARKER = "marker-of-a-justification"
"""Stands in every confidential part: wherever it turns up but in the vault is a leak."""


@dataclass(frozen=True, slots=True)
class Member:
    """One organisation with its secrets."""

    name: OrganisationName
    node_key: SigningKey
    admin_key: SigningKey
    admin_decryption: DecryptionKey

    @property
    def node(self) -> PublicKey:
        """Public key of its node."""
        return self.node_key.public


def make_members(chance: random.Random, count: int) -> list[Member]:
    """Return organisations named org-00, org-01 and so on."""
    return [
        Member(
            OrganisationName(f"org-{index:02d}"),
            SigningKey(chance.randbytes(32)),
            SigningKey(chance.randbytes(32)),
            DecryptionKey(chance.randbytes(32)),
        )
        for index in range(count)
    ]


def make_candidate(member: Member) -> Candidate:
    """Return what the chain is told of an organisation."""
    return Candidate(
        name=member.name,
        title=f"Organisation {member.name}",
        node_key=member.node,
        certificate=b"none",
        peer_address="localhost:1",
        api_url="https://localhost:1",
        admin_key=member.admin_key.public,
        admin_encryption_key=member.admin_decryption.public,
        admin_name="Admin",
    )


def make_genesis(members: list[Member], parameters: Parameters) -> Genesis:
    """Return a genesis in which the first members are the super nodes."""
    candidates = tuple(map(make_candidate, members))
    chosen = tuple(member.name for member in members[: parameters.super_nodes])
    return Genesis(1, "simulated", START_MS, parameters, candidates, chosen)


class Client:
    """Makes, signs and seals transactions of one organisation's admin."""

    def __init__(self, member: Member, alliance: Digest, chance: random.Random) -> None:
        self.member = member
        self._alliance = alliance
        self._chance = chance
        self._sessions: dict[PublicKey, tuple[tuple[SealingKeyNotice, ...], SealingSession]] = {}

    def sign(
        self,
        operation: Operation,
        *,
        height: int,
        time_ms: int,
        confidential: bytes = b"",
        key: SigningKey | None = None,
    ) -> Transaction:
        """Return a transaction, signed by the admin or `key`, that expires some heights later."""
        key = key or self.member.admin_key
        body = TransactionBody(
            1,
            self._alliance,
            key.public,
            Height(height + 500),
            Millis(time_ms),
            self._chance.randbytes(16),
            (operation,),
            confidential_digest(confidential),
        )
        return sign_transaction(body, key)

    def confidential(self) -> bytes:
        """Return a confidential part that carries the marker."""
        return encode(ConfidentialPart(self._chance.randbytes(32), MARKER, ""))

    def seal(
        self,
        transaction: Transaction,
        notices: tuple[SealingKeyNotice, ...],
        confidential: bytes = b"",
    ) -> SealedTransaction:
        """Seal a transaction to announced keys."""
        return seal_transaction(
            SealedContents(encode(transaction), confidential),
            self._session(transaction.body.author, notices),
            transaction=transaction.digest(),
            expires=transaction.body.expires,
            nonce=self._chance.randbytes(12),
        )

    def _session(self, author: PublicKey, notices: tuple[SealingKeyNotice, ...]) -> SealingSession:
        held = self._sessions.get(author)
        if held is None or held[0] != notices:
            made = open_session(self._alliance, author, notices, self._chance.randbytes(32))
            held = self._sessions[author] = (notices, made)
        return held[1]

    def add_user(self) -> AddUser:
        """Return an operation that registers a fresh user."""
        return AddUser(
            SigningKey(self._chance.randbytes(32)).public,
            EncryptionKey(DecryptionKey(self._chance.randbytes(32)).public),
            "Somebody",
            ("reader",),
        )

    def vote(self, names: tuple[OrganisationName, ...]) -> VoteSuperNodes:
        """Return a vote for super nodes."""
        return VoteSuperNodes(names)
