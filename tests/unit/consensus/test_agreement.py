"""The rules, seen from outside: what a quiet alliance does, step by step."""

from hansa.consensus.effects import Send
from hansa.consensus.messages import BlockDecided, Confirm, Propose, Review, decode_message


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


def test_votes_elect_a_new_set(quiet) -> None:
    """Empty blocks lead to the epoch's end; the new set decides from the next height."""
    world = quiet.world
    names = tuple(member.name for member in world.members[2:6])
    from hansa.consensus.events import Submitted
    from hansa.sim.members import START_MS

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
