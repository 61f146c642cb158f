"""Judging a proposed block: its public part by execution, its copies by opening them (step 4).

Upon a new block: check each signature and re-derive everything in its header (`chain.validation`), check its time against the
own clock, each transaction's format and signature, and each copy against the salted digest that its
author signed; hold the copies in the vault until the round ends. Upon a block that carries a quorum's
reviews: the public part only, for the certificate stands for the copies.
"""

from hansa.chain.blocks import Block
from hansa.chain.findings import FindingCode, Verdict
from hansa.chain.transactions import Transaction
from hansa.chain.validation import validate_block
from hansa.consensus.context import Context
from hansa.consensus.copies import CopyVault
from hansa.consensus.messages import Propose
from hansa.consensus.review import Verifier
from hansa.consensus.rounds import Candidate, HeightState
from hansa.errors import InvalidError, UnavailableError
from hansa.types import Digest


class Inspector:
    """Judges candidates against the present state; changes nothing but the vault."""

    def __init__(self, context: Context, verifier: Verifier, vault: CopyVault) -> None:
        self._context = context
        self._verifier = verifier
        self._vault = vault

    def execute(self, candidate: Candidate) -> bool:
        """Tell whether a candidate's public part is valid, signatures included; executes it once."""
        if candidate.execution is None and not candidate.code:
            try:
                candidate.execution = validate_block(
                    self._context.state,
                    candidate.block,
                    self._context.parent,
                    verified=self._verifier.verified,
                )
            except InvalidError as error:
                candidate.code = error.message or "invalid"
            else:
                for named in transaction_digests(candidate.block):
                    self._verifier.remember(named)
        return candidate.execution is not None

    def review(
        self, height: HeightState, candidate: Candidate, propose: Propose
    ) -> tuple[tuple[Verdict, ...], FindingCode | None]:
        """Review a new block whole and take its copies into the vault.

        Returns:
            Verdicts on rejected transactions, and why the block is rejected; nothing and None if
            it is approved.
        """
        header = candidate.block.header
        if (header.round, header.master) != (propose.proposal.round, propose.proposal.master):
            return (), "wrong-origin"
        ahead = header.time_ms - self._context.now.wall_ms
        if ahead > self._context.parameters.block_time_ahead_ms:
            return (), "time-ahead"
        if not self.execute(candidate):
            return (), "invalid"
        return self._check_copies(height, candidate, propose)

    def _check_copies(
        self, height: HeightState, candidate: Candidate, propose: Propose
    ) -> tuple[tuple[Verdict, ...], FindingCode | None]:
        digests = transaction_digests(candidate.block)
        sealed = {item.transaction: item for item in propose.copies}
        verdicts: list[Verdict] = []
        try:
            for named, transaction in zip(digests, candidate.block.transactions, strict=True):
                contents, code = self._verifier.check_copy(named, transaction, sealed.get(named))
                if code:
                    verdicts.append(Verdict(named, code))
                else:
                    self._vault.hold(height.height, propose.proposal.round, named, contents)
        except UnavailableError:
            return (), "vault-full"
        return tuple(verdicts), "copies" if verdicts else None


def transaction_digests(block: Block) -> tuple[Digest, ...]:
    """Return the digests of a block's transactions, in order."""
    return tuple(map(Transaction.digest, block.transactions))
