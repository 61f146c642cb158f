"""The master's part of steps 2 and 3: choose, verify, refuse, build, propose.

Upon its turn: propose again the block with the latest review certificate if there is one, else build a
new one if there is something for it. A request that the state refuses gets a signed refusal and costs
no agreement. Every proposal is a promise: it is in the vote log before it is sent.
"""

from itertools import islice

from hansa import limits
from hansa.chain.blocks import Block, Certificate, Proposal, sign_proposal
from hansa.chain.findings import Finding, Refusal, sign_refusal
from hansa.chain.sealed import SealedTransaction
from hansa.chain.transition import Execution
from hansa.chain.validation import build_block, is_finding_recordable
from hansa.consensus.context import Context
from hansa.consensus.copies import CopyVault
from hansa.consensus.erasures import Erasures
from hansa.consensus.intake import Pool, Waiting
from hansa.consensus.messages import Propose
from hansa.consensus.outbox import Outbox
from hansa.consensus.records import ProposalRecord
from hansa.consensus.review import Verifier
from hansa.consensus.rounds import HeightState
from hansa.consensus.sealing import SealingKeys
from hansa.errors import UnavailableError
from hansa.types import Digest, Millis, PublicKey, Round, Signature

BUILD_ATTEMPTS = 3


class Proposer:
    """Builds proposals when this node is master."""

    def __init__(
        self,
        context: Context,
        *,
        pool: Pool,
        outbox: Outbox,
        erasures: Erasures,
        keys: SealingKeys,
        verifier: Verifier,
        vault: CopyVault,
    ) -> None:
        self._context = context
        self._pool = pool
        self._outbox = outbox
        self._erasures = erasures
        self._keys = keys
        self._verifier = verifier
        self._vault = vault
        self.findings: tuple[Finding, ...] = ()
        """Step 5: why others rejected what was proposed at the height before; the next block says so."""

    def note_findings(self, past: HeightState) -> None:
        """Step 5: keep what the reviews of the height now decided said, for the next block."""
        state = self._context.state
        said = [
            past.rounds[number].findings[reviewer]
            for number in sorted(past.rounds)
            for reviewer in sorted(past.rounds[number].findings)
        ]
        sound = (finding for finding in said if is_finding_recordable(state, finding))
        self.findings = tuple(islice(sound, limits.FINDINGS_PER_BLOCK_MAX))

    def refuse(self, transaction: Digest, submitter: PublicKey, code: str) -> None:
        """Step 2: tell the submitting node, signed, that a transaction will not be proposed."""
        context = self._context
        refusal = sign_refusal(
            Refusal(
                context.alliance,
                transaction,
                code,
                context.height,
                context.state.root,
                context.node,
                Signature(b""),
            ),
            context.key,
        )
        if submitter == context.node:
            self._outbox.note_refusal(transaction, context.node, code)
        else:
            context.send(submitter, refusal)

    def propose(self, height: HeightState, *, is_due: bool) -> Propose | None:
        """Make this round's proposal, written to the vote log; None if there is nothing to propose.

        Args:
            height: the height in progress; its candidates take up the block.
            is_due: whether an empty block is wanted as well.
        """
        if height.round in height.own_proposals:
            return None
        if height.valid is not None:
            certificate = height.valid
            candidate = height.candidates[certificate.vote.digest]
            return self._finish(height, candidate.block, candidate.digest, certificate, ())
        chosen, block, execution = self._build(height, is_due=is_due)
        if block is None or execution is None:
            return None
        named = block.header.digest()
        candidate = height.candidate(block, named)
        candidate.execution = execution
        copies = [self._keys.complete(item.sealed) for item in chosen if item.has_confidential]
        return self._finish(height, block, named, None, tuple(copies))

    def _finish(
        self,
        height: HeightState,
        block: Block,
        named: Digest,
        certificate: Certificate | None,
        copies: tuple[SealedTransaction, ...],
    ) -> Propose:
        context = self._context
        proposal = sign_proposal(
            Proposal(
                context.alliance,
                context.epoch,
                height.height,
                height.round,
                height.valid_round if certificate is not None else Round(-1),
                named,
                context.node,
                Signature(b""),
            ),
            context.key,
        )
        height.own_proposals[height.round] = named
        context.persist(ProposalRecord(height.height, height.round, named))
        return Propose(proposal, block, certificate, copies)

    def _build(
        self, height: HeightState, *, is_due: bool
    ) -> tuple[list[Waiting], Block | None, Execution | None]:
        context = self._context
        self._pool.open_held()
        for waiting, code in self._pool.judge_doubtful():
            self.refuse(waiting.digest, waiting.submitter, code)
        chosen = self._hold_copies(height, self._pool.select())
        erasures = self._erasures.select()
        time_ms = Millis(max(context.now.wall_ms, context.state.time_ms + 1))
        for _ in range(BUILD_ATTEMPTS):
            if not chosen and not is_due:
                break
            block, execution = build_block(
                context.state,
                context.parent,
                master=context.node,
                round=height.round,
                time_ms=time_ms,
                transactions=[item.transaction for item in chosen],
                erasures=erasures,
                findings=self.findings,
            )
            if len(block.transactions) == len(chosen) and all(
                item.accepted for item in block.results
            ):
                return chosen, block, execution
            kept = self._sift(height, chosen, block)
            if len(kept) == len(block.transactions) == len(chosen):
                return chosen, block, execution
            chosen = kept
        self._vault.erase(height.height, height.round)
        return [], None, None

    def _sift(self, height: HeightState, chosen: list[Waiting], block: Block) -> list[Waiting]:
        """Keep what execution accepts; refuse what the present state refuses by itself."""
        results = {
            id(transaction): result
            for transaction, result in zip(block.transactions, block.results, strict=True)
        }
        kept: list[Waiting] = []
        for waiting in chosen:
            result = results.get(id(waiting.transaction))
            if result is not None and result.accepted:
                kept.append(waiting)
                continue
            code = self._pool.judge(waiting.transaction)
            if result is not None and not code:
                # Only another transaction of this block stands in its way: the block says so.
                kept.append(waiting)
                continue
            self._vault.erase_one(height.height, height.round, waiting.digest)
            if code:
                self._pool.remove(waiting.digest)
                self.refuse(waiting.digest, waiting.submitter, code)
        return kept

    def _hold_copies(self, height: HeightState, chosen: list[Waiting]) -> list[Waiting]:
        """Open what must be reviewed into the vault; leave out what cannot be opened any more."""
        held: list[Waiting] = []
        for waiting in chosen:
            contents, code = self._verifier.check_copy(
                waiting.digest, waiting.transaction, waiting.sealed
            )
            if code:
                self._pool.remove(waiting.digest)
                self.refuse(waiting.digest, waiting.submitter, code)
                continue
            try:
                self._vault.hold(height.height, height.round, waiting.digest, contents)
            except UnavailableError:
                break
            held.append(waiting)
        return held
