"""Joining by snapshots in the simulator is itself tested: bugs planted in it must be found."""

from collections.abc import Iterator

import pytest

from hansa.chain import receipts
from hansa.chain.parts import Assembly
from hansa.chain.snapshots import Snapshot
from hansa.chain.state import State
from hansa.errors import HansaError
from hansa.sim import joining
from hansa.sim.remembered import remembered
from hansa.sim.run import Plan, Run

pytestmark = pytest.mark.timeout(300)
SEEDS = range(60)


@pytest.fixture(autouse=True)
def answers() -> Iterator[None]:
    """Identical bytes are verified once."""
    with remembered():
        yield


def find(plan: Plan) -> Iterator[str]:
    """Yield what is found in the first seed in which anything is."""
    for seed in SEEDS:
        violations = Run(seed, plan).run().violations
        if violations:
            yield from violations
            return


HONEST = Plan(organisations=7, joins=True, chaos_ms=3_000)
LYING = Plan(organisations=7, byzantine=1, joins=True, chaos_ms=3_000)


def test_a_wiped_node_that_votes_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A super node that lost its votes takes any snapshot: it may promise twice."""
    monkeypatch.setattr(joining, "_last_vote", lambda node: 0)
    found = list(find(HONEST))
    assert any("older than its vote" in text or "double" in text for text in found)


def test_certificates_not_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A header that one liar has signed is believed, and with it a state of its own."""
    monkeypatch.setattr(receipts, "is_certificate_valid", lambda *_: True)
    assert any("another chain" in text for text in find(LYING))


def test_parts_not_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pairs are taken as they come, under a header that says otherwise."""
    taken: dict[int, list[tuple[bytes, bytes]]] = {}

    def add(self, part):
        taken.setdefault(id(self), []).extend(part.pairs)

    def finish(self, recent):
        state = State.restored(self._genesis, taken.pop(id(self.assembly)))
        return state, [self._blocks[height] for height in sorted(self._blocks)]

    monkeypatch.setattr(Assembly, "add", add)
    monkeypatch.setattr(Snapshot, "finish", finish)
    assert any("state is not that of height" in text for text in find(LYING))


def test_honest_snapshots_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A joiner that takes nothing from anybody is found, too."""

    def add(self, part):
        raise HansaError("refused")

    monkeypatch.setattr(Assembly, "add", add)
    assert any("an honest node's snapshot was refused" in text for text in find(HONEST))
