"""Conviction: a false word about an execution expels, a true one never does, and nothing is believed."""

import msgspec
import pytest

from hansa import limits
from hansa.chain.blocks import (
    Block,
    Proposal,
    Vote,
    body_roots,
    sign_proposal,
    sign_vote,
)
from hansa.chain.conviction import make_block_basis, make_refusal_basis, make_root_basis
from hansa.chain.evidence import (
    InvalidProposal,
    WrongFinding,
    WrongRefusal,
    WrongVote,
    accused,
    decode_evidence,
    encode_evidence,
    height_of,
    is_ripe,
    kind_of,
)
from hansa.chain.findings import Finding, Refusal, sign_finding, sign_refusal
from hansa.chain.transactions import RevokeUser, SubmitEvidence, VoteSuperNodes
from hansa.chain.validation import RULES, validate_block
from hansa.chain.witness import NOTHING
from hansa.errors import InvalidError

VOTE = VoteSuperNodes(("health",))
LIAR = "energy"


def spoil(block: Block, **changes: object) -> Block:
    """Return a block with another header."""
    return msgspec.structs.replace(block, header=msgspec.structs.replace(block.header, **changes))


def forge(block: Block) -> Block:
    """Return a block whose first transaction its author did not sign, with a header that fits."""
    first = block.transactions[0]
    bad = msgspec.structs.replace(first, signature=first.signature[:32] + bytes(32))
    transactions = (bad, *block.transactions[1:])
    root = body_roots(transactions, block.results, block.erasures)[0]
    return spoil(msgspec.structs.replace(block, transactions=transactions), transactions_root=root)


class Court:
    """A chain one block behind the lies that are told about its next block."""

    def __init__(self, alliance, kit) -> None:
        self.alliance = alliance
        self.kit = kit
        alliance.commit(alliance.sign("health", VOTE))
        self.state, self.parent = alliance.state, alliance.header
        block = alliance.build(alliance.sign("energy", VOTE), alliance.sign("safety", VOTE))
        self.block = spoil(block, master=kit.key(f"{LIAR} node").public)

    def basis(self, block: Block):
        """Return what an execution of a block rests on."""
        return make_block_basis(self.state, self.parent, block, RULES)

    def propose(self, block: Block, **changes: object) -> InvalidProposal:
        """Return the evidence that a proposal of a block would be, by the block's own master."""
        header, key = block.header, self.kit.key(f"{LIAR} node")
        word = Proposal(
            header.alliance, 0, 2, header.round, -1, header.digest(), header.master, b""
        )
        word = msgspec.structs.replace(word, master=key.public, **changes)
        return InvalidProposal(sign_proposal(word, key), block, self.basis(block))

    def vote(self, block: Block, phase: str = "review", **changes: object) -> WrongVote:
        """Return the evidence that a vote for a block would be."""
        plain = Vote(block.header.alliance, 0, 2, 0, phase, block.header.digest())
        signed = sign_vote(msgspec.structs.replace(plain, **changes), self.kit.key(f"{LIAR} node"))
        return WrongVote(signed, block, self.basis(block))

    def find(self, block: Block | None, code: str = "invalid", **changes: object) -> WrongFinding:
        """Return the evidence that a finding about a block would be."""
        key = self.kit.key(f"{LIAR} node")
        plain = Finding(
            self.state.alliance,
            2,
            0,
            self.state.root,
            bytes(32) if block is None else block.header.digest(),
            code,
            (),
            key.public,
            b"",
        )
        word = sign_finding(msgspec.structs.replace(plain, **changes), key)
        basis = make_root_basis(self.parent) if block is None else self.basis(block)
        return WrongFinding(word, block, basis)

    def refuse(self, transaction, code: str = "role-missing", **changes: object) -> WrongRefusal:
        """Return the evidence that a refusal of a transaction would be."""
        key = self.kit.key(f"{LIAR} node")
        plain = Refusal(
            self.state.alliance, transaction.digest(), code, 2, self.state.root, key.public, b""
        )
        word = sign_refusal(msgspec.structs.replace(plain, **changes), key)
        basis = make_refusal_basis(self.state, self.parent, transaction, RULES)
        return WrongRefusal(word, transaction, basis)

    def submit(self, evidence) -> str:
        """Bring evidence, after the height it is about was decided; return what the chain says."""
        if self.alliance.state.height < 2:
            self.alliance.commit()
        return self.alliance.act("transport", SubmitEvidence(encode_evidence(evidence)))


@pytest.fixture
def court(alliance, kit) -> Court:
    """Return a chain of one block."""
    return Court(alliance, kit)


WRONG = {
    "state": lambda block: spoil(block, state_root=bytes(32)),
    "parent": lambda block: spoil(block, parent=bytes(32)),
    "time": lambda block: spoil(block, time_ms=1),
    "next set": lambda block: spoil(block, next_super_nodes=block.header.super_nodes[:1]),
    "total": lambda block: spoil(block, total_transactions=7),
    "signature": forge,
}


@pytest.mark.parametrize("name", WRONG)
def test_an_invalid_block_convicts_its_master_and_its_voters(court, kit, name: str) -> None:
    """Whatever rule it breaks; the proof is small and stands alone."""
    block = WRONG[name](court.block)
    with pytest.raises(InvalidError):
        validate_block(court.state, block, court.parent)
    for evidence in (court.propose(block), court.vote(block), court.vote(block, "confirm")):
        assert evidence == decode_evidence(encode_evidence(evidence))
        assert len(encode_evidence(evidence)) < 8 * 1024
        assert kit.key(f"{LIAR} node").public == accused(evidence)
        assert 2 == height_of(evidence)
    assert "" == court.submit(evidence)
    assert court.alliance.state.organisation(LIAR).expelled_height
    assert "already-expelled" == court.submit(court.propose(block))


def test_an_invalid_proposal_expels(court) -> None:
    """As the last of the kinds above does."""
    evidence = court.propose(WRONG["state"](court.block))
    assert "invalid-proposal" == kind_of(evidence)
    assert "" == court.submit(evidence)
    assert court.alliance.state.organisation(LIAR).expelled_height


def test_a_block_that_is_anothers_convicts_who_proposes_it_as_new(court) -> None:
    """Round and master of a new block are its proposal's."""
    block = court.block
    assert "evidence-proves-nothing" == court.submit(court.propose(block))
    assert "evidence-proves-nothing" == court.submit(court.propose(block, round=3, valid_round=0))
    assert "" == court.submit(court.propose(block, round=3))


def test_honest_words_convict_nobody(court) -> None:
    """A valid block, an invalid one called so, another's reasons: true or not to be proved."""
    bad = WRONG["signature"](court.block)
    for evidence in (
        court.propose(court.block),
        court.vote(court.block),
        court.vote(court.block, "confirm"),
        court.vote(court.block, digest=bytes(32)),
        court.find(bad),
        court.find(court.block, "time-ahead"),
        court.find(court.block, "locked"),
        court.find(None, "no-proposal"),
        court.refuse(court.alliance.sign("stranger", VOTE), "unknown-user"),
        court.refuse(court.alliance.sign("health", VOTE), "time-window"),
        court.refuse(court.alliance.sign("health", VOTE), "busy"),
        court.refuse(court.alliance.sign("health", RevokeUser(bytes(32))), "unknown-user"),
    ):
        assert "evidence-proves-nothing" == court.submit(evidence)
    assert not court.alliance.state.organisation(LIAR).expelled_height


def test_a_sound_block_called_invalid_convicts_its_reviewer(court) -> None:
    """A review against deterministic execution."""
    evidence = court.find(court.block)
    assert "wrong-finding" == kind_of(evidence)
    assert "" == court.submit(evidence)
    assert court.alliance.state.organisation(LIAR).expelled_height


def test_a_sound_transaction_refused_convicts_who_refused_it(court) -> None:
    """The reason named does not follow from the state named; its author's role is there."""
    evidence = court.refuse(court.alliance.sign("health", VOTE))
    assert "wrong-refusal" == kind_of(evidence)
    assert "" == court.submit(evidence)
    assert court.alliance.state.organisation(LIAR).expelled_height


@pytest.mark.parametrize("kind", ["finding", "refusal"])
def test_a_false_state_convicts(court, kind: str) -> None:
    """Whoever judges on a state that the chain never had lies, whatever the reason named."""
    transaction = court.alliance.sign("health", VOTE)
    evidence = (
        court.find(None, "no-proposal", state_root=bytes(32))
        if kind == "finding"
        else court.refuse(transaction, "busy", state_root=bytes(32))
    )
    assert "" == court.submit(evidence)


def test_forged_evidence_proves_nothing(court) -> None:
    """Unsigned words, other bodies, other bases, other chains: the accused did not say that."""
    bad = WRONG["signature"](court.block)
    good = court.propose(bad)
    other_header = msgspec.structs.replace(court.parent, time_ms=court.parent.time_ms + 1)
    for change in (
        {"word": msgspec.structs.replace(good.word, valid_round=0)},
        {"block": court.block},
        {"block": msgspec.structs.replace(bad, results=())},
        {"basis": make_root_basis(court.parent)},
        {"basis": make_root_basis(None)},
        {"basis": msgspec.structs.replace(good.basis, parent=other_header)},
    ):
        evidence = msgspec.structs.replace(good, **change)
        assert "evidence-proves-nothing" == court.submit(evidence), change.keys()
    for evidence in (
        court.propose(bad, alliance=bytes(32)),
        court.vote(bad, alliance=bytes(32)),
        court.find(court.block, alliance=bytes(32)),
        court.find(court.block, round=-1),
        court.refuse(court.alliance.sign("health", VOTE), alliance=bytes(32)),
        msgspec.structs.replace(court.find(court.block), block=bad),
        msgspec.structs.replace(court.find(court.block), block=None),
        msgspec.structs.replace(
            court.refuse(court.alliance.sign("health", VOTE)),
            transaction=court.alliance.sign("safety", VOTE),
        ),
    ):
        assert "evidence-proves-nothing" == court.submit(evidence)
    unsigned = court.alliance.sign("health", VOTE)
    unsigned = msgspec.structs.replace(unsigned, signature=bytes(64))
    assert "evidence-proves-nothing" == court.submit(court.refuse(unsigned, "bad-signature"))
    assert not court.alliance.state.organisation(LIAR).expelled_height


def test_evidence_ripens_and_goes_stale(court) -> None:
    """It is judged once its height is decided, and as long as the chain remembers the one before."""
    evidence = court.propose(WRONG["state"](court.block))
    assert (False, True) == (is_ripe(evidence, 1), is_ripe(evidence, 2))
    early = court.alliance.sign("health", SubmitEvidence(encode_evidence(evidence)))
    code = RULES.judge(court.state, early, 2, early.body.time_ms)
    assert "evidence-proves-nothing" == code
    for _ in range(court.alliance.genesis.parameters.transaction_lifetime_heights):
        court.alliance.commit()
    assert "evidence-proves-nothing" == court.submit(evidence)


def test_the_first_height(alliance, kit) -> None:
    """Before it there is the genesis, which every node has whole."""
    block = spoil(alliance.build(alliance.sign("energy", VOTE)), state_root=bytes(32))
    key = kit.key(f"{LIAR} node")
    word = Proposal(block.header.alliance, 0, 1, 0, 0, block.header.digest(), key.public, b"")
    basis = make_block_basis(alliance.state, None, block, RULES)
    assert NOTHING == basis.witness
    evidence = InvalidProposal(sign_proposal(word, key), block, basis)
    alliance.commit()
    assert "" == alliance.act("transport", SubmitEvidence(encode_evidence(evidence)))


def test_evidence_inside_evidence(court) -> None:
    """A block with evidence in it is judged too; nested too deep it proves nothing, to everyone."""
    alliance = court.alliance
    evidence = court.propose(WRONG["state"](court.block))
    alliance.commit()
    for depth in range(4):
        state, parent = alliance.state, alliance.header
        height = state.height + 1
        carried = alliance.sign("transport", SubmitEvidence(encode_evidence(evidence)))
        block = alliance.build(carried)
        wrong = spoil(block, state_root=bytes(32))
        key = court.kit.key("planning node")
        word = Proposal(state.alliance, 0, height, 0, 0, wrong.header.digest(), key.public, b"")
        basis = make_block_basis(state, parent, wrong, RULES)
        evidence = InvalidProposal(sign_proposal(word, key), wrong, basis)
        alliance.commit()
        bring = alliance.sign("health", SubmitEvidence(encode_evidence(evidence)))
        code = RULES.judge(alliance.state, bring, alliance.state.height + 1, bring.body.time_ms)
        expected = "" if depth + 1 < limits.EVIDENCE_NESTED_MAX else "evidence-proves-nothing"
        assert expected == code, depth
