"""The tree of a block: each node below one other, few sends for each, whoever is away passed over."""

import hashlib
from collections import Counter
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.chain.records import ORGANISATION
from hansa.consensus.effects import Send
from hansa.consensus.events import Submitted
from hansa.consensus.messages import BlockDecided, decode_message
from hansa.consensus.spreading import (
    FAN_OUT,
    SENDS_MAX,
    STATUS_PEERS_MAX,
    Spreading,
    Tree,
    peers_to_ask,
    places_below,
)
from hansa.sim.behaviour import Behaviour
from hansa.sim.members import START_MS
from hansa.sim.network import LinkQuality
from hansa.sim.run import PARAMETERS
from hansa.sim.world import World
from hansa.types import Digest, PublicKey


def keys(count: int, kind: bytes = b"o") -> list[PublicKey]:
    """Return so many sorted keys."""
    return sorted(PublicKey(hashlib.sha256(kind + b"%d" % n).digest()) for n in range(count))


BLOCKS = st.integers(0, 2**64 - 1).map(lambda n: Digest(n.to_bytes(8, "big") * 4))


@given(st.sampled_from((1, 4, 7)), st.integers(0, 120), BLOCKS)
def test_everybody_has_one_parent(roots: int, others: int, block: Digest) -> None:
    """With all there, each ordinary node gets the block once, and nobody sends it more than four times."""
    supers, ordinary = keys(roots, b"s"), keys(others)
    tree = Tree(supers, ordinary, master=supers[0], block=block)
    sent = {node: tree.below(node, lambda _: True) for node in supers + ordinary}
    assert dict.fromkeys(ordinary, 1) == Counter(
        child for below in sent.values() for child in below
    )
    assert all(len(below) <= FAN_OUT for below in sent.values())


@given(st.integers(5, 120), st.sets(st.integers(0, 119)), BLOCKS)
def test_who_is_away_is_passed_over(others: int, away: set[int], block: Digest) -> None:
    """Everybody gets it whose parent or grandparent, of those that got it, is there; roots stand in for roots."""
    supers, ordinary = keys(4, b"s"), keys(others)
    gone = {ordinary[number] for number in away if number < others} | {supers[1]}
    tree = Tree(supers, ordinary, master=supers[0], block=block)
    having = set(supers) - gone
    fresh = list(having)
    while fresh:
        node = fresh.pop()
        below = tree.below(node, lambda key: key not in gone)
        assert len(below) <= SENDS_MAX
        assert not gone & set(below)
        fresh += [child for child in below if child not in having]
        having |= set(below)
    nodes = [tree._node(place) for place in range(4 + others)]
    for place, node in enumerate(nodes):
        if place < 4 or node in gone or node in having:
            continue
        parent = next(p for p in range(place) if place in places_below(p, 4, 4 + others))
        if parent < 4:
            raise AssertionError("a root's child that is there was left out")
        above = next(p for p in range(parent) if parent in places_below(p, 4, 4 + others))
        assert nodes[parent] not in having
        assert above >= 4, "the child of a root that is away stands one step below another root"
        assert nodes[above] not in having or nodes[parent] not in gone


def test_places_turn_with_each_block() -> None:
    """A node that passes nothing on is above others each time."""
    supers, ordinary = keys(4, b"s"), keys(60)
    harmed: set[PublicKey] = set()
    inner = 0
    for number in range(40):
        tree = Tree(supers, ordinary, master=supers[number % 4], block=keys(1, b"%d" % number)[0])
        below = tree.below(ordinary[7], lambda _: True)
        harmed |= set(below)
        inner += bool(below)
    assert len(harmed) > 20
    assert 0 < inner < 40, "an inner node for one block, a leaf for another"


def test_strangers_send_to_nobody() -> None:
    """Who stands nowhere has nobody below; nor has a super node where there are no others."""
    supers, block = keys(4, b"s"), Digest(bytes(32))
    assert [] == Tree(supers, keys(9), master=supers[2], block=block).below(
        keys(1, b"x")[0], lambda _: True
    )
    assert [] == Tree(supers, [], master=supers[2], block=block).below(supers[0], lambda _: True)
    assert Tree(supers, [], master=supers[2], block=block).place(keys(1, b"x")[0]) is None


def test_everybody_is_asked_about_alike() -> None:
    """Each asks others each time; none of a thousand is asked by more than a few at once."""
    nodes = keys(1_000)
    for times in range(3):
        asked = Counter(peer for node in nodes for peer in peers_to_ask(nodes, times, node))
        assert max(asked.values()) < 5 * STATUS_PEERS_MAX
    first, second = (peers_to_ask(nodes, times, nodes[5]) for times in range(2))
    assert not set(first) & set(second)
    assert nodes[:2] == sorted(peers_to_ask(nodes[:2], 7, nodes[9]))
    assert [] == peers_to_ask([], 0, nodes[0])


class Silent(Behaviour):
    """Passes no block on, answers nobody."""

    def speak(self, stage, to, data):
        """Say nothing of blocks."""
        is_block = isinstance(decode_message(data), BlockDecided)
        return [] if is_block else [(0, data)]


def test_who_is_suspended_is_sent_the_block_that_says_so() -> None:
    """And the next one not: without it, it would go on answering its users from old state."""
    supers, ordinary = keys(4, b"s"), keys(3)
    members = dict.fromkeys(supers + ordinary, "active")
    sent: list[list[PublicKey]] = []
    state = SimpleNamespace(
        organisations=lambda: [
            SimpleNamespace(node_key=key, status=status) for key, status in members.items()
        ]
    )
    context = SimpleNamespace(
        node=supers[0],
        state=state,
        connected=frozenset(members),
        broadcast=lambda to, _: sent.append(sorted(to)),
    )
    spreading = Spreading(context, lambda _: 0)
    header = SimpleNamespace(super_nodes=tuple(supers), master=supers[0], height=7)
    certified = SimpleNamespace(
        block=SimpleNamespace(header=header),
        certificate=SimpleNamespace(vote=SimpleNamespace(digest=hashlib.sha256(b"b").digest())),
    )
    members[ordinary[1]] = "suspended"
    spreading.pass_on(certified, [(bytes([ORGANISATION]) + b"name", b"record")], is_live=True)
    spreading.pass_on(certified, [], is_live=True)
    assert [ordinary, [ordinary[0], ordinary[2]]] == sent


@pytest.mark.parametrize("silent", [(), (9, 13, 17, 21)])
def test_replicas_get_every_block(silent: tuple[int, ...]) -> None:
    """Twenty-eight members: no node sends a block to more than four, and silent ones keep nobody back."""
    world = World(
        3,
        organisations=28,
        parameters=PARAMETERS,
        quality=LinkQuality(delay_ms_min=2, delay_ms_max=8),
        behaviours={index: Silent() for index in silent},
    )
    sent: Counter[tuple[bytes, int]] = Counter()
    world.start_all()
    world.run_for(200)
    for node in world.nodes:
        step = node.replica.step

        def watched(event, now, step=step, key=node.key):
            effects = step(event, now)
            for item in effects:
                message = decode_message(item.data) if isinstance(item, Send) else None
                if isinstance(message, BlockDecided):
                    sent[key, message.block.block.header.height] += 1
            return effects

        node.replica.step = watched
    client = world.clients[5]
    transaction = client.sign(client.add_user(), height=0, time_ms=START_MS)
    sealed = client.seal(transaction, world.nodes[0].replica.sealing_notices())
    world.submit(5, Submitted(sealed))
    assert world.run_for(8_000, until=lambda: min(world.heights()) >= 1)
    assert sent
    assert max(sent.values()) <= FAN_OUT
    assert not world.checkers.violations
