"""The rules, seen from outside: what a quiet alliance does, step by step."""

from collections import Counter

import msgspec
import pytest

from hansa import limits
from hansa.chain.blocks import Vote, sign_vote
from hansa.consensus.effects import ReportFault, Send
from hansa.consensus.events import Submitted
from hansa.consensus.messages import (
    BlockDecided,
    Confirm,
    Erase,
    Erased,
    Propose,
    Review,
    decode_message,
)
from hansa.sim.members import START_MS
from hansa.sim.network import LinkQuality
from hansa.sim.run import PARAMETERS
from hansa.sim.world import World
from hansa.types import NO_DIGEST, Digest, Round


def watch(world) -> list[tuple[bytes, object]]:
    """Record every message that is sent from now on."""
    seen: list[tuple[bytes, object]] = []
    for node in world.nodes:
        step = node.replica.step

        def watched(event, now, step=step, key=node.key):
            effects = step(event, now)
            seen.extend(
                (key, decode_message(item.data)) for item in effects if isinstance(item, Send)
            )
            return effects

        node.replica.step = watched
    return seen


def test_the_steps_of_a_quiet_height(quiet) -> None:
    """One proposal, four reviews, four confirms, then the block for the ordinary nodes."""
    seen = watch(quiet.world)
    quiet.submit(5)
    quiet.world.run_for(60)
    assert {1} == set(quiet.world.heights())

    def voters(kind) -> set[bytes]:
        return {key for key, message in seen if isinstance(message, kind)}

    assert 1 == len(voters(Propose))
    assert 4 == len(voters(Review))
    assert 4 == len(voters(Confirm))
    assert voters(Propose) == voters(BlockDecided)
    assert all(
        message.vote.vote.digest != bytes(32)
        for _, message in seen
        if isinstance(message, Review | Confirm)
    )


def test_nothing_happens_without_a_reason(quiet) -> None:
    """No transactions, no blocks, no votes."""
    seen = watch(quiet.world)
    quiet.world.run_for(20_000)
    assert {0} == set(quiet.world.heights())
    assert not any(isinstance(message, Propose | Review | Confirm) for _, message in seen)


def test_a_dead_master_is_passed_over(quiet) -> None:
    """The others review nil, confirm nil, and the next master leads."""
    world = quiet.world
    world.crash(world.by_key[world.nodes[0].replica.master()])
    world.run_for(50)
    index = next(number for number, node in enumerate(world.nodes) if node.replica is not None)
    digest = quiet.submit(index)
    world.run_for(5_000)
    assert "committed" == world.settled[digest].status
    alive = [node for node in world.nodes if node.replica is not None]
    assert alive[0].disk.blocks[0].certificate.vote.round > 0


def commit(world: World, quiet, index: int) -> int:
    """Submit at a node; return how many milliseconds its block took."""
    digest, began = quiet.submit(index), world.now_ms
    assert world.run_for(20_000, until=lambda: digest in world.settled)
    return world.now_ms - began


def test_timeouts_follow_the_network(quiet, monkeypatch: pytest.MonkeyPatch) -> None:
    """A killed master is passed over after what others took lately, not after what the genesis allows."""
    monkeypatch.setattr(limits, "ROUND_TIMEOUT_MS_MIN", 40)
    world = quiet.world
    for _ in range(4):
        for index in range(4):
            commit(world, quiet, index)
            world.run_for(5)
    master = world.nodes[0].replica.master()
    teller = next(index for index in range(4) if world.nodes[index].key != master)
    timeout = world.nodes[teller].replica._agreement.pace.proposal_timeout(0)
    assert 40 <= timeout < PARAMETERS.proposal_timeout_ms // 2
    world.crash(world.by_key[master])
    assert commit(world, quiet, teller) <= 2 * timeout
    assert world.nodes[teller].replica.tip.block.header.round > 0, "there was one to pass over"
    assert [] == world.checkers.violations


def test_a_network_that_became_slow_is_found_out(quiet, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rounds wait longer and longer until one succeeds; from then on the first one does."""
    monkeypatch.setattr(limits, "ROUND_TIMEOUT_MS_MIN", 20)
    world = quiet.world
    for _ in range(16):
        commit(world, quiet, 0)
    world.network.quality = LinkQuality(delay_ms_min=70, delay_ms_max=80)
    for _ in range(24):
        commit(world, quiet, 0)
    rounds = [item.block.header.round for item in world.nodes[0].disk.blocks]
    assert max(rounds[:16]) == 0
    assert max(rounds[16:32]) > 0, "it was too fast for it"
    assert max(rounds[-8:]) == 0
    assert [] == world.checkers.violations


def test_a_dead_super_node_is_waited_for_in_two_windows_at_most(quiet) -> None:
    """Others stand in for it; when it is back and votes, it leads again."""
    world = quiet.world
    world.run_for(50)
    dead = world.nodes[3]
    world.crash(dead)
    for _ in range(24):
        commit(world, quiet, 0)
    blocks = world.nodes[0].disk.blocks
    rounds = [item.block.header.round for item in blocks]
    assert 0 < sum(number > 0 for number in rounds[:12]) <= 3
    assert not any(rounds[12:24])
    assert dead.key not in {item.block.header.master for item in blocks}
    world.start(dead)
    for _ in range(24):
        commit(world, quiet, 0)
    assert dead.key in {item.block.header.master for item in blocks[-8:]}
    assert not any(item.block.header.round for item in blocks[-16:])
    assert [] == world.checkers.violations


@pytest.mark.parametrize("super_nodes", [4, 7, 10])
def test_messages_of_a_quiet_height(super_nodes: int) -> None:
    """As many as docs/spec/agreement.md says: r-1 proposals, r(r-1) of each vote, a block for each other."""
    parameters = msgspec.structs.replace(
        PARAMETERS, super_nodes=super_nodes, epoch_blocks=super_nodes * 4
    )
    world = World(1, organisations=super_nodes + 3, parameters=parameters)
    world.start_all()
    world.run_for(200)
    seen = watch(world)
    client, replica = world.clients[0], world.nodes[0].replica
    for _ in range(2):
        transaction = client.sign(
            client.add_user(), height=replica.height, time_ms=START_MS + world.now_ms
        )
        world.submit(0, Submitted(client.seal(transaction, replica.sealing_notices())))
        began = len(seen)
        height = replica.height
        while min(world.heights()) == height:
            world.run_for(1)
        world.run_for(PARAMETERS.idle_receipt_ms // 4)  # blocks come more often than that
        kinds = Counter(type(message) for _, message in seen[began:])
        votes = super_nodes * (super_nodes - 1)
        assert super_nodes - 1 == kinds[Propose]
        assert votes == kinds[Review] == kinds[Confirm]
        assert 3 == kinds[BlockDecided]
        assert 0 == kinds[Erased] + kinds[Erase], "orders and acknowledgements ride along"


def test_acknowledgements_ride_while_blocks_follow_each_other(quiet) -> None:
    """They are sent by themselves only once it is quiet for a while, however long it was busy before."""
    world = quiet.world
    seen = watch(world)
    for _ in range(12):
        commit(world, quiet, 0)
        world.run_for(PARAMETERS.idle_receipt_ms // 5)
    assert 12 == min(world.heights())
    assert 0 == sum(isinstance(message, Erased) for _, message in seen)
    assert 4 * 10 <= sum(len(item.block.erasures) for item in world.nodes[0].disk.blocks)
    world.run_for(2_000)
    assert 4 * 3 == sum(isinstance(message, Erased) for _, message in seen), "of the last one"
    assert 4 * 12 == sum(len(item.block.erasures) for item in world.nodes[0].disk.blocks)


def test_two_of_four_decide_nothing(quiet) -> None:
    """Without a quorum there is no block, and none is lost when it comes back."""
    world = quiet.world
    for node in world.nodes[:2]:
        world.crash(node)
    world.run_for(50)
    digest = quiet.submit(5)
    world.run_for(10_000)
    assert {0} == set(world.heights())
    for node in world.nodes[:2]:
        world.start(node)
    world.run_for(10_000)
    assert "committed" == world.settled[digest].status
    assert 1 == len(set(world.heights()))


def test_who_is_away_sits_out_and_comes_back(quiet) -> None:
    """An epoch away costs the seat; while others are there too, approvals alone do not keep it."""
    world = quiet.world
    everybody = tuple(member.name for member in world.members)
    for index, client in enumerate(world.clients):
        replica = world.nodes[index].replica
        vote = client.sign(
            client.vote(everybody), height=replica.height, time_ms=START_MS + world.now_ms
        )
        world.submit(index, Submitted(client.seal(vote, replica.sealing_notices())))
    world.run_for(3_000)
    state = world.nodes[0].replica.state
    seated = [index for index in range(4) if world.members[index].node in state.super_nodes()]
    away = seated[-1]
    gone = world.members[away].node
    world.crash(world.nodes[away])
    epoch = state.epoch()
    while world.nodes[seated[0]].replica.state.epoch() < epoch + 2:
        quiet.submit(seated[0])
        world.run_for(400)
    state = world.nodes[seated[0]].replica.state
    assert gone not in state.super_nodes()
    assert 3 == len(set(state.super_nodes()) & {world.members[index].node for index in range(4)})
    assert [] == world.checkers.violations


def test_votes_elect_a_new_set(quiet) -> None:
    """Empty blocks lead to the epoch's end; the new set decides from the next height."""
    world = quiet.world
    names = tuple(member.name for member in world.members[2:6])
    for index, client in enumerate(world.clients):
        replica = world.nodes[index].replica
        transaction = client.sign(
            client.vote(names), height=replica.height, time_ms=START_MS + world.now_ms
        )
        world.submit(index, Submitted(client.seal(transaction, replica.sealing_notices())))
    world.run_for(10_000)
    chosen = tuple(sorted(member.node for member in world.members[2:6]))
    assert chosen == world.nodes[0].replica.state.super_nodes()
    assert [False, False, True, True, True, True] == [
        node.replica.is_super_node for node in world.nodes
    ]
    digest = quiet.submit(0)
    world.run_for(2_000)
    assert "committed" == world.settled[digest].status
    assert [] == world.checkers.violations


@pytest.fixture
def paused(quiet):
    """A reviewer's replica that holds its master's proposal for height 1, with all else lost."""
    world = quiet.world
    master = world.by_key[world.nodes[0].replica.master()]
    reviewer = next(node for node in world.nodes[:4] if node is not master)
    index = world.nodes.index(master)
    kept = []
    world.drops = lambda _, __, data: bool(kept.append(data))
    quiet.submit(index)
    propose = master.replica._agreement.height.present.proposal
    return reviewer.replica, propose


def test_a_block_proposed_again_is_judged_by_lock_and_certificate(paused) -> None:
    """Line 28: a lock gives way to a later certificate only, and never to an invalid block."""
    replica, propose = paused
    agreement, named = replica._agreement, propose.proposal.digest
    again = msgspec.structs.replace(
        propose, proposal=msgspec.structs.replace(propose.proposal, round=3, valid_round=1)
    )
    assert (named, (), None) == agreement._judge(again)
    height = agreement.height
    height.locked_round, height.locked_digest = Round(1), Digest(b"x" * 32)
    assert (named, (), None) == agreement._judge(again)
    height.locked_round = Round(2)
    assert (NO_DIGEST, (), "locked") == agreement._judge(again)
    assert (NO_DIGEST, (), "locked") == agreement._judge(propose), "a new block against a lock"
    height.candidates[named].execution, height.candidates[named].code = None, "made up"
    height.locked_round = Round(-1)
    assert (NO_DIGEST, (), "invalid") == agreement._judge(again)


def test_an_invalid_proposal_is_reported(paused) -> None:
    """The master signed a block that does not follow from the state: that is provable."""
    replica, propose = paused
    header = msgspec.structs.replace(propose.block.header, state_root=bytes(32))
    false = msgspec.structs.replace(
        propose,
        block=msgspec.structs.replace(propose.block, header=header),
        proposal=msgspec.structs.replace(propose.proposal, digest=header.digest()),
    )
    assert (NO_DIGEST, (), "invalid") == replica._agreement._judge(false)
    reported = [e for e in replica._context.take_effects() if isinstance(e, ReportFault)]
    assert [("invalid-proposal", propose.proposal.master)] == [(e.kind, e.who) for e in reported]


def test_a_quorum_cannot_decide_what_is_invalid(quiet, paused) -> None:
    """More than f liars could sign it; an honest node still does not append it."""
    replica, propose = paused
    agreement, context = replica._agreement, replica._context
    header = msgspec.structs.replace(propose.block.header, state_root=bytes(32))
    block = msgspec.structs.replace(propose.block, header=header)
    agreement.height.candidate(block, header.digest())
    for member in quiet.world.members[:4]:
        vote = Vote(context.alliance, context.epoch, 1, 0, "confirm", header.digest())
        agreement.hearing.take_vote(member.node, sign_vote(vote, member.node_key))
    assert not agreement._rule_decide()
    assert agreement.decision is None
    kinds = [e.kind for e in context.take_effects() if isinstance(e, ReportFault)]
    assert ["invalid-decision"] + 3 * ["wrong-vote"] == kinds


def test_a_master_whose_proposal_is_lost_waits_and_moves_on(quiet) -> None:
    """Its promise binds it after a crash: it proposes nothing else, and the round times out."""
    world = quiet.world
    world.drops = lambda *_: True
    replica = world.by_key[world.nodes[0].replica.master()].replica
    agreement, context = replica._agreement, replica._context
    agreement.height.own_proposals[0] = Digest(b"x" * 32)
    assert agreement._rule_propose()
    assert context.is_timer_set("propose")
    assert not agreement._rule_propose(), "once"
    agreement.take_timeout("propose")
    assert NO_DIGEST == agreement.height.own[0, "review"].vote.digest


def test_a_round_that_is_lost_is_left_without_waiting(quiet, paused) -> None:
    """One nil review may be a liar's; with f+1 no block can be approved, so nobody waits for one."""
    replica, _ = paused
    agreement, context = replica._agreement, replica._context
    members = [member for member in quiet.world.members[:4] if member.node != context.node]
    nil = Vote(context.alliance, context.epoch, 1, 0, "review", NO_DIGEST)

    def hear_nil(index: int) -> None:
        member = members[index]
        agreement.hearing.take_vote(member.node, sign_vote(nil, member.node_key))
        agreement.proceed()

    hear_nil(0)
    assert {} == agreement.height.own
    hear_nil(1)
    assert [(0, "review"), (0, "confirm")] == list(agreement.height.own)
    assert {NO_DIGEST} == {signed.vote.digest for signed in agreement.height.own.values()}
    assert "no-proposal" == agreement.height.present.findings[context.node].code


def test_who_approved_in_a_round_that_is_lost_waits_all_the_same(quiet, paused) -> None:
    """Locks that stand against each other must not chase rounds without a pause."""
    replica, propose = paused
    agreement, context = replica._agreement, replica._context
    agreement.height.present.proposal = propose
    agreement.proceed()
    assert propose.proposal.digest == agreement.height.own[0, "review"].vote.digest
    others = [member for member in quiet.world.members[:4] if member.node != context.node]
    nil = Vote(context.alliance, context.epoch, 1, 0, "review", NO_DIGEST)
    for member in others[:2]:
        agreement.hearing.take_vote(member.node, sign_vote(nil, member.node_key))
        agreement.proceed()
    assert (0, "confirm") not in agreement.height.own
    assert context.is_timer_set("review")


def test_timeouts_of_a_step_that_is_over_change_nothing(paused) -> None:
    """A review that came in time is not followed by a nil vote."""
    replica, _ = paused
    agreement = replica._agreement
    agreement.height.step = "confirm"
    for name in ("propose", "review"):
        agreement.take_timeout(name)
    assert {} == agreement.height.own
    agreement.height.step = "propose"
    agreement._is_synced = lambda: False
    agreement.take_timeout("propose")
    assert {} == agreement.height.own, "who is behind does not vote"
    agreement.take_timeout("confirm")
    assert 1 == agreement.height.round, "but it moves on with the others"
