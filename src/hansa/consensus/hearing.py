"""What comes in about the height in progress: every field compared, every signature checked, then counted.

Proposals and votes are taken from whomever, for their authors signed them; that is how lost ones are
repeated. Nothing in here votes: `agreement` applies the rules to what was counted.
"""

from hansa import limits
from hansa.chain.blocks import (
    Certificate,
    SignedVote,
    Vote,
    has_matching_body,
    is_certificate_valid,
    is_proposal_signed,
    is_vote_signed,
)
from hansa.chain.findings import Finding, is_finding_signed, is_finding_sound
from hansa.consensus.context import Context
from hansa.consensus.faults import FaultLog
from hansa.consensus.messages import (
    Certified,
    Erase,
    Propose,
    Response,
    Review,
    VotesAgain,
)
from hansa.consensus.rounds import HeightState
from hansa.types import NO_DIGEST, PublicKey

VOTES_AGAIN_MAX = 8
DOUBTED_MAX = 2 * limits.SUPER_NODES_MAX


class Hearing:
    """Fills the height in progress with what others said."""

    def __init__(self, context: Context, faults: FaultLog) -> None:
        self._context = context
        self._faults = faults
        self.height = HeightState(context.height, context.members)
        self.doubted: list[Finding] = []
        """Findings that call a block invalid, not compared yet."""

    def master(self, round_number: int) -> PublicKey | None:
        """Return the master of a round of this height."""
        return self._context.schedule.master(
            self.height.height, round_number, self._context.members
        )

    def take_propose(self, sender: PublicKey, propose: Propose) -> None:
        """Take a proposal; from whomever, for its master signed it."""
        proposal, height = propose.proposal, self.height
        if not height.is_round_near(proposal.round) or proposal.round < 0:
            return
        state = height.round_state(proposal.round)
        wanted = state.confirms.decided()
        if proposal.round < height.round and wanted != proposal.digest:
            return
        known = state.proposal.proposal if state.proposal is not None else None
        if known is not None and known.digest == proposal.digest:
            return
        problem = self._find_problem(propose)
        if problem:
            self._faults.report("malformed", sender, problem)
            return
        if known is not None:
            self._faults.two_proposals(known, proposal)
            return
        state.proposal = propose
        height.candidate(propose.block, proposal.digest)
        if propose.certificate is not None:
            self._count_certificate(propose.certificate)

    def _find_problem(self, propose: Propose) -> str:
        """Compare every redundant field of a proposal; return "" or what is wrong."""
        context, proposal = self._context, propose.proposal
        header = propose.block.header
        slot = (proposal.alliance, proposal.epoch, proposal.height)
        problem = ""
        if slot != (context.alliance, context.epoch, self.height.height):
            problem = "a proposal for another chain, epoch or height"
        elif proposal.master != self.master(proposal.round):
            problem = "a proposal by a node whose turn it is not"
        elif header.height != proposal.height or header.digest() != proposal.digest:
            problem = "a proposal whose block is another"
        elif len(propose.copies) > len(propose.block.transactions):
            problem = "a proposal with more copies than transactions"
        elif not is_proposal_signed(proposal):
            problem = "a proposal that its master did not sign"
        elif not has_matching_body(propose.block):
            # The header alone is signed: whoever passes it on could put another body under it.
            problem = "a proposal with another body than its header's"
        return problem or self._find_certificate_problem(propose)

    def _find_certificate_problem(self, propose: Propose) -> str:
        """Check the certificate that a block proposed again must carry, and a new one must not."""
        proposal, certificate = propose.proposal, propose.certificate
        if proposal.valid_round == -1:
            return "" if certificate is None else "a certificate for a new block"
        if certificate is None or not 0 <= proposal.valid_round < proposal.round:
            return "a block proposed again without a certificate"
        vote = certificate.vote
        if (vote.round, vote.digest) != (proposal.valid_round, proposal.digest):
            return "a certificate for another round or block"
        return "" if self._is_review_proof(certificate) else "an invalid certificate"

    def _is_slot_ours(self, vote: Vote) -> bool:
        context = self._context
        return (vote.alliance, vote.epoch, vote.height) == (
            context.alliance,
            context.epoch,
            self.height.height,
        )

    def _is_review_proof(self, certificate: Certificate) -> bool:
        vote = certificate.vote
        return (
            self._is_slot_ours(vote)
            and vote.phase == "review"
            and vote.digest != NO_DIGEST
            and is_certificate_valid(certificate, self._context.members)
        )

    def _count_certificate(self, certificate: Certificate) -> None:
        """Count the votes of a certificate that was checked."""
        vote = certificate.vote
        if not self.height.is_round_near(vote.round):
            return
        votes = self.height.round_state(vote.round).votes(vote.phase)
        for part in certificate.signatures:
            signed = SignedVote(vote, part.voter, part.signature)
            self._count(signed, votes.add(signed), votes.get(part.voter))

    def _count(self, signed: SignedVote, outcome: str, known: SignedVote | None) -> None:
        if outcome == "conflict" and known is not None:
            self._faults.two_votes(known, signed)
        elif outcome == "added":
            self.height.note_round(signed.voter, signed.vote.round)
            candidate = self.height.candidates.get(signed.vote.digest)
            if candidate is not None and candidate.code:
                self._faults.wrong_vote(signed, candidate.block)

    def take_vote(self, sender: PublicKey, signed: SignedVote) -> bool:
        """Take a vote of whichever phase; from whomever, for its voter signed it.

        Returns:
            True if it counts now.
        """
        height, vote = self.height, signed.vote
        if not self._is_vote_wanted(signed):
            return False
        if not is_vote_signed(signed):
            self._faults.report("malformed", sender, "a vote that its voter did not sign")
            return False
        if not height.is_round_near(vote.round):
            # Only that its voter is so far: enough to follow f+1, too little to fill memory.
            height.note_round(signed.voter, vote.round)
            return False
        votes = height.round_state(vote.round).votes(vote.phase)
        aside = votes.aside.pop(signed.voter, None)
        if aside is not None and aside.vote != vote and is_vote_signed(aside):
            # Its voter says two things: the one put aside counts, so that both are seen.
            self._count(aside, votes.add(aside), votes.get(aside.voter))
        outcome = votes.add(signed)
        self._count(signed, outcome, votes.get(signed.voter))
        return outcome == "added"

    def _put_aside(self, sender: PublicKey, signed: SignedVote) -> bool:
        """Put a review aside, unchecked, that can change nothing any more; tell whether it was one.

        It must say what a quorum said and this node has confirmed, of a block that was found sound:
        then it proves nothing about its voter either, unless that one says something else as well. It
        must come from its voter's own link, so that nobody can take another's place.
        """
        height, vote = self.height, signed.vote
        if vote.phase != "review" or sender != signed.voter or vote.digest == NO_DIGEST:
            return False
        confirmed = height.own.get((vote.round, "confirm"))
        if confirmed is None or confirmed.vote.digest != vote.digest:
            return False
        state, candidate = height.rounds.get(vote.round), height.candidates.get(vote.digest)
        if state is None or candidate is None or candidate.execution is None:
            return False
        if state.reviews.decided() != vote.digest or not self._is_vote_wanted(signed):
            return False
        state.reviews.aside[signed.voter] = signed
        return True

    def _is_vote_wanted(self, signed: SignedVote) -> bool:
        """Tell whether a vote could say something new; its signature is not checked yet."""
        height, vote = self.height, signed.vote
        if not self._is_slot_ours(vote) or signed.voter not in self._context.member_set:
            return False
        if not 0 <= vote.round <= limits.ROUND_MAX or len(vote.digest) != 32:
            return False
        if not height.is_round_near(vote.round):
            return vote.round > height.latest.get(signed.voter, -1)
        known = height.round_state(vote.round).votes(vote.phase).get(signed.voter)
        return known is None or known.vote != vote

    def take_review(self, sender: PublicKey, review: Review) -> None:
        """Step 4 as received: the vote, and why it is for no block."""
        if self._put_aside(sender, review.vote):
            return
        self.take_vote(sender, review.vote)
        if review.finding is not None:
            self._take_finding(sender, review.finding, review.vote)

    def _take_finding(self, sender: PublicKey, finding: Finding, signed: SignedVote) -> None:
        """Keep the first finding of each reviewer in a round; from whomever, for it is signed."""
        vote = signed.vote
        if (
            vote.digest != NO_DIGEST
            or not self._is_slot_ours(vote)
            or not self.height.is_round_near(vote.round)
        ):
            return
        state = self.height.round_state(vote.round)
        if state.reviews.get(signed.voter) != signed or signed.voter in state.findings:
            return
        slot = (finding.alliance, finding.height, finding.round, finding.reviewer)
        if (
            slot != (vote.alliance, vote.height, vote.round, signed.voter)
            or not is_finding_sound(finding)
            or not is_finding_signed(finding)
        ):
            self._faults.report("malformed", sender, "a finding that is not its vote's")
            return
        state.findings[signed.voter] = finding
        if finding.state_root != self._context.state.root:
            self._faults.wrong_finding(finding, None)
        elif finding.code == "invalid" and len(self.doubted) < DOUBTED_MAX:
            self.doubted.append(finding)

    def take_response(self, sender: PublicKey, response: Response) -> None:
        """Step 5 as received by the master: count what it brings, and say who differs."""
        own = response.own
        if not self._is_slot_ours(own.vote) or own.vote.phase != "review":
            return
        for signed in (own, *response.others[: len(self.height.members)]):
            self.take_vote(sender, signed)
        if response.finding is not None:
            self._take_finding(sender, response.finding, own)
        known = self.height.rounds.get(own.vote.round)
        if known is not None and known.reviews.get(sender) == own:
            self._faults.report(
                "differing-review",
                sender,
                f"differs from {len(response.others)} others in round {own.vote.round}",
            )

    def take_votes_again(self, sender: PublicKey, again: VotesAgain) -> None:
        """Take votes that may have been missed."""
        for signed in again.votes[:VOTES_AGAIN_MAX]:
            self.take_vote(sender, signed)

    def take_certified(self, sender: PublicKey, certified: Certified) -> None:
        """Take a block with a quorum of reviews, so that it can be proposed again."""
        certificate, height = certified.certificate, self.height
        vote = certificate.vote
        if not self._is_slot_ours(vote) or vote.round <= height.valid_round:
            return
        if not height.is_round_near(vote.round):
            return
        if certified.block.header.digest() != vote.digest or not self._is_review_proof(certificate):
            self._faults.report("malformed", sender, "a certificate that proves nothing")
            return
        if not has_matching_body(certified.block):
            self._faults.report("malformed", sender, "a certified header with another body")
            return
        height.candidate(certified.block, vote.digest)
        self._count_certificate(certificate)

    def take_erase(self, sender: PublicKey, order: Erase) -> None:
        """Step 7 or 9: an order to erase is followed only with its proof."""
        certificate = order.certificate
        vote = certificate.vote
        if not self._is_slot_ours(vote) or vote.phase != "confirm":
            return
        if not is_certificate_valid(certificate, self._context.members):
            self._faults.report("malformed", sender, "an order to erase without a proof")
            return
        self._count_certificate(certificate)
