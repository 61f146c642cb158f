"""Accusing: proofs of lies, kept on disk and brought to the chain by the node that noticed them.

Upon a lie noticed: keep the evidence durably. Then, once its height is decided (`evidence.is_ripe`) and
until the liar is expelled or the chain says that nothing follows from it: put it into a transaction signed by the node's own key, seal it to the super
nodes and submit it. Several nodes may notice one lie; the first transaction expels, the others are
refused, which is harmless.

    evidence/<digest>    canonical bytes of an Evidence
"""

import hashlib

from structlog.typing import FilteringBoundLogger

from hansa.chain.evidence import (
    Evidence,
    Pair,
    accused,
    decode_evidence,
    encode_evidence,
    height_of,
    is_ripe,
    kind_of,
)
from hansa.chain.genesis import Genesis
from hansa.chain.sealed import (
    SealedContents,
    SealedTransaction,
    SealingKeyNotice,
    confidential_digest,
    open_session,
    seal_transaction,
)
from hansa.chain.state import State
from hansa.chain.transactions import SubmitEvidence, TransactionBody, sign_transaction
from hansa.codec import encode
from hansa.crypto.signing import SigningKey
from hansa.ports import Clock, Entropy, Table
from hansa.types import Digest, Height

EVIDENCE = b"evidence/"
KEPT_MAX = 64
"""One proof expels; more of them about many nodes would mean that more than f lie."""


class Accuser:
    """The evidence of one node, over a table."""

    def __init__(
        self,
        table: Table,
        *,
        genesis: Genesis,
        key: SigningKey,
        clock: Clock,
        entropy: Entropy,
        log: FilteringBoundLogger,
    ) -> None:
        self._table = table
        self._genesis = genesis
        self._key = key
        self._clock = clock
        self._entropy = entropy
        self._log = log
        self._kept: dict[bytes, Evidence] = {
            key: decode_evidence(value) for key, value in table.scan(EVIDENCE)
        }
        self._submitted: dict[bytes, Digest] = {}
        """Evidence → the last transaction that carries it."""

    def __len__(self) -> int:
        """Return how many proofs are kept."""
        return len(self._kept)

    def notice(self, evidence: Evidence) -> None:
        """Keep a proof durably; again is harmless.

        Raises:
            DiskFullError, UnavailableError: it is not kept.
        """
        data = encode_evidence(evidence)
        row = EVIDENCE + hashlib.sha256(data).digest()
        if row in self._kept or len(self._kept) >= KEPT_MAX:
            return
        self._table.write([(row, data)])
        self._kept[row] = evidence
        self._log.error("evidence-kept", kind=kind_of(evidence), node=accused(evidence).hex()[:16])

    def kept(self) -> list[Evidence]:
        """Return what is kept, oldest height first."""
        return sorted(self._kept.values(), key=height_of)

    def pending(self, state: State) -> dict[bytes, Digest | None]:
        """Return for each proof the chain can judge the transaction last made of it, or None."""
        return {
            row: self._submitted.get(row)
            for row, evidence in self._kept.items()
            if is_ripe(evidence, state.height)
        }

    def settle(self, state: State) -> None:
        """Forget proofs from which nothing more can follow at this state."""
        settled = [row for row, evidence in self._kept.items() if _is_settled(evidence, state)]
        if settled:
            self._table.write([(row, None) for row in settled])
            for row in settled:
                del self._kept[row]
                self._submitted.pop(row, None)

    def seal(
        self, row: bytes, state: State, notices: tuple[SealingKeyNotice, ...]
    ) -> SealedTransaction:
        """Return a fresh transaction for a proof, signed by the node and sealed to the super nodes."""
        body = TransactionBody(
            format=1,
            alliance=state.alliance,
            author=self._key.public,
            expires=Height(
                state.height + self._genesis.parameters.transaction_lifetime_heights // 2
            ),
            time_ms=self._clock.now_ms(),
            nonce=self._entropy.random_bytes(16),
            operations=(SubmitEvidence(encode_evidence(self._kept[row])),),
            confidential=confidential_digest(b""),
        )
        transaction = sign_transaction(body, self._key)
        digest = transaction.digest()
        self._submitted[row] = digest
        return seal_transaction(
            SealedContents(encode(transaction), b""),
            open_session(state.alliance, body.author, notices, self._entropy.random_bytes(32)),
            transaction=digest,
            expires=body.expires,
            nonce=self._entropy.random_bytes(12),
        )


def _is_settled(evidence: Evidence, state: State) -> bool:
    member = state.organisation_by_node_key(accused(evidence))
    # A proof about an execution rests on a header that the chain remembers for a while only.
    is_forgotten = (
        not isinstance(evidence, Pair)
        and is_ripe(evidence, state.height)
        and state.trail(height_of(evidence) - 1) is None
    )
    return (
        is_forgotten
        or member is None
        or bool(member.expelled_height)
        or height_of(evidence) <= member.readmitted_height
    )
