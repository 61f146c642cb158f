"""Step 5: what others signed, compared with what execution says."""

import msgspec
import pytest

from hansa.chain.blocks import Vote, sign_vote
from hansa.chain.conviction import TooDeep
from hansa.chain.draft import Draft
from hansa.chain.evidence import kind_of
from hansa.chain.findings import Finding, Refusal, sign_finding, sign_refusal
from hansa.chain.records import TrailRecord, trail_key
from hansa.chain.validation import NESTED_RULES, convict_at
from hansa.codec import encode
from hansa.consensus import comparing as module
from hansa.consensus.effects import Accuse, ReportFault, Send, SettleTransaction
from hansa.consensus.events import MessageReceived, Now
from hansa.consensus.messages import Appeal, Response, Review, decode_message
from hansa.sim.members import START_MS
from hansa.types import NO_DIGEST, Height, Round, Signature


@pytest.fixture
def paused(quiet):
    """A reviewer that holds its master's proposal for height 1, and hears of nothing else."""
    world = quiet.world
    master = world.by_key[world.nodes[0].replica.master()]
    reviewer = next(node for node in world.nodes[:4] if node is not master)
    liar = next(node for node in world.nodes[:4] if node not in {master, reviewer})
    world.drops = lambda *_: True
    quiet.submit(world.nodes.index(master))
    propose = master.replica._agreement.height.present.proposal
    return reviewer.replica, liar.member.node_key, propose


def hear(replica, sender, message):
    """Let a replica hear a message; return the effects."""
    now = Now(START_MS + 200, 200)
    return replica.step(MessageReceived(sender, encode(message)), now)


def nil_review(replica, key, propose, code: str = "invalid", **changes) -> Review:
    """Return a super node's review for no block, with its reason."""
    state = replica.state
    vote = Vote(state.alliance, state.epoch(), Height(1), Round(0), "review", NO_DIGEST)
    plain = Finding(
        state.alliance,
        Height(1),
        Round(0),
        state.root,
        propose.proposal.digest,
        code,
        (),
        key.public,
        Signature(b""),
    )
    finding = sign_finding(msgspec.structs.replace(plain, **changes), key)
    return Review(sign_vote(vote, key), finding, ())


def proofs(replica, effects) -> list[str]:
    """Return the kinds of the proofs made, each judged as the chain will judge it."""
    found = []
    for effect in effects:
        if isinstance(effect, Accuse):
            draft = Draft(replica.state)
            draft.put(trail_key(0), TrailRecord(replica.state.alliance, 0))
            assert convict_at(0)(effect.evidence, draft)
            found.append(kind_of(effect.evidence))
    return found


def test_who_calls_a_sound_block_invalid_is_proved_wrong(paused) -> None:
    """Also if the finding comes before the block it is about."""
    replica, liar, propose = paused
    effects = hear(replica, liar.public, nil_review(replica, liar, propose))
    assert [] == proofs(replica, effects)
    assert ["wrong-finding"] == proofs(replica, hear(replica, propose.proposal.master, propose))


def test_other_reasons_are_no_lie(paused) -> None:
    """A reviewer may hold a lock, a full vault or another clock: nobody can tell."""
    replica, liar, propose = paused
    hear(replica, propose.proposal.master, propose)
    for code in ("locked",):
        review = nil_review(replica, liar, propose, code)
        effects = hear(replica, liar.public, review)
        assert [] == proofs(replica, effects)
    assert "locked" == replica._agreement.height.present.findings[liar.public].code


def test_a_review_on_a_false_state_is_proved_wrong(paused) -> None:
    """The state of a height has one root."""
    replica, liar, propose = paused
    review = nil_review(replica, liar, propose, "no-proposal", state_root=bytes(32))
    assert ["wrong-finding"] == proofs(replica, hear(replica, liar.public, review))


def test_votes_for_an_invalid_block_are_proved_wrong(paused) -> None:
    """Those that came before it was judged, and those that come after."""
    replica, liar, propose = paused
    header = msgspec.structs.replace(propose.block.header, state_root=bytes(32))
    block = msgspec.structs.replace(propose.block, header=header)
    state = replica.state
    vote = Vote(state.alliance, state.epoch(), Height(1), Round(0), "review", header.digest())
    hear(replica, liar.public, Review(sign_vote(vote, liar), None, ()))
    agreement = replica._agreement
    candidate = agreement.height.candidate(block, header.digest())
    assert not agreement._inspector.execute(candidate)
    agreement.comparison.judge_votes(candidate)
    assert ["wrong-vote"] == proofs(replica, replica._context.take_effects())


def test_a_response_says_why(paused, quiet) -> None:
    """Whoever differs tells the master, with the finding and the others' votes."""
    replica, liar, propose = paused
    state = replica.state
    agreement = replica._agreement
    nil = agreement._promise("review", NO_DIGEST)
    agreement._find(nil, (), "time-ahead")
    agreement.height.present.reviews.add(nil)
    vote = Vote(
        state.alliance, state.epoch(), Height(1), Round(0), "review", propose.proposal.digest
    )
    other = sign_vote(vote, liar)
    agreement.height.present.reviews.add(other)
    replica._context.take_effects()
    master = propose.proposal.master
    for _ in range(2):
        agreement.comparison.respond(agreement.height.present, master)
    (sent,) = [item for item in replica._context.take_effects() if isinstance(item, Send)]
    assert master == sent.to
    finding = agreement.height.present.findings[replica._context.node]
    assert "time-ahead" == finding.code
    assert Response(nil, finding, (other,)) == decode_message(sent.data)


def appeal(quiet, replica, refuser, sealed, code: str, **changes) -> Appeal:
    """Return the appeal against a refusal."""
    plain = Refusal(
        replica.state.alliance,
        sealed.transaction,
        code,
        Height(1),
        replica.state.root,
        refuser.public,
        Signature(b""),
    )
    return Appeal(sign_refusal(msgspec.structs.replace(plain, **changes), refuser), sealed)


@pytest.mark.parametrize(
    ("code", "changes", "expected"),
    [
        ("role-missing", {}, ["wrong-refusal"]),
        ("busy", {"state_root": bytes(32)}, ["wrong-refusal"]),
        ("busy", {}, []),
        ("time-window", {}, []),
        ("role-missing", {"height": Height(9)}, []),
        ("role-missing", {"transaction": bytes(32)}, []),
        ("role-missing", {"alliance": bytes(32)}, []),
    ],
)
def test_an_appeal_proves_a_wrong_refusal(paused, quiet, code, changes, expected) -> None:
    """The transaction is taken all the same, to be proposed by the next master."""
    replica, liar, _ = paused
    _, sealed = quiet.sealed(5)
    message = appeal(quiet, replica, liar, sealed, code, **changes)
    effects = hear(replica, quiet.world.members[5].node, message)
    assert expected == proofs(replica, effects)
    is_heard = not {"transaction", "alliance"} & set(changes)
    assert is_heard == (sealed.transaction in replica._pool)


def test_nobody_is_accused_by_what_is_nested_too_deep(paused, quiet, monkeypatch) -> None:
    """A proof of a refused proof of a refused proof is followed by no judge: it would prove nothing."""
    replica, liar, _ = paused
    asked = []

    def judge(*given: object) -> str:
        asked.append(given[-1])
        raise TooDeep

    monkeypatch.setattr(module, "judge_timelessly", judge)
    message = appeal(quiet, replica, liar, quiet.sealed(5)[1], "role-missing")
    assert [] == proofs(replica, hear(replica, quiet.world.members[5].node, message))
    assert [NESTED_RULES] == asked


def test_an_appeal_of_what_is_refused_rightly_is_refused_again(paused, quiet) -> None:
    """By this super node's own signature; the liar of the other tests told the truth."""
    replica, liar, _ = paused
    world = quiet.world
    client = world.clients[5]
    stranger = client.sign(
        client.add_user(), height=0, time_ms=START_MS, key=world.members[5].node_key
    )
    sealed = client.seal(stranger, world.nodes[5].replica.sealing_notices())
    sender = world.members[5].node
    message = appeal(quiet, replica, liar, sealed, "unknown-user")
    effects = hear(replica, sender, message)
    assert [] == proofs(replica, effects)
    (answer,) = [
        decode_message(item.data)
        for item in effects
        if isinstance(item, Send) and item.to == sender
    ]
    assert isinstance(answer, Refusal)
    assert ("unknown-user", replica._context.node) == (answer.code, answer.refuser)
    assert not any(isinstance(item, ReportFault | SettleTransaction) for item in effects)
