"""Execution: admission, all or nothing, replay and expiry on both sides of their bounds, determinism."""

import os
import subprocess
import sys

import msgspec
import pytest

from hansa.chain.blocks import Result
from hansa.chain.state import State
from hansa.chain.transactions import (
    AddUser,
    RetireDataset,
    RevokeUser,
    SuspendOrganisation,
    UpdateOrganisation,
    VoteSuperNodes,
    sign_transaction,
)
from hansa.chain.transition import execute
from hansa.chain.validation import convict_at, judge

VOTE = VoteSuperNodes(("health",))


def run(alliance, *transactions, time_ms=None):
    """Execute on the alliance's state without committing."""
    state = alliance.state
    return execute(
        state,
        height=state.height + 1,
        time_ms=state.time_ms + 1_000 if time_ms is None else time_ms,
        parent=state.alliance,
        transactions=transactions,
        erasures=(),
        convict=convict_at(0),
    )


def codes(execution) -> list[str]:
    """Return the reason codes of an execution."""
    return [result.code for result in execution.results]


def test_accepted(alliance) -> None:
    """A sound transaction applies and is found at its place."""
    first, second = alliance.sign("health", VOTE), alliance.sign("energy", VOTE)
    assert (Result(True, ""), Result(True, "")) == alliance.commit(first, second)
    assert (1, 1) == alliance.state.transaction_location(second.digest())
    assert 2 == alliance.state.total_transactions


def test_the_base_state_never_changes(alliance) -> None:
    """Speculative executions leave the state as it was, root and reads."""
    base, root = alliance.state, alliance.state.root
    one = base.advanced(run(alliance, alliance.sign("health", VOTE)))
    other = base.advanced(run(alliance, alliance.sign("energy", VOTE)))
    assert (root, 0, ()) == (base.root, base.height, base.votes())
    assert ["health"] == [vote.organisation for vote in one.votes()]
    assert ["energy"] == [vote.organisation for vote in other.votes()]


def test_all_or_nothing(alliance) -> None:
    """If one operation is refused, those before it did not happen either."""
    transaction = alliance.sign("health", VOTE, RetireDataset(bytes(16)))
    execution = run(alliance, transaction, alliance.sign("energy", VOTE))
    assert ["unknown-dataset", ""] == codes(execution)
    after = alliance.state.advanced(execution)
    assert None is after.vote("health")
    assert (1, 0) == after.transaction_location(transaction.digest()), "it is taken all the same"


@pytest.mark.parametrize(("ahead", "code"), [(1, ""), (0, "expired"), (21, ""), (22, "lifetime")])
def test_expiry_boundaries(alliance, ahead: int, code: str) -> None:
    """The last height counts; so does the furthest expiry; one beyond is refused."""
    transaction = alliance.sign("health", VOTE, expires=alliance.state.height + ahead)
    assert [code] == codes(run(alliance, transaction))
    assert code == judge(alliance.state, transaction, height=1, time_ms=alliance.state.time_ms)


@pytest.mark.parametrize(
    ("offset", "code"),
    [(600_000, ""), (600_001, "time-window"), (-600_000, ""), (-600_001, "time-window")],
)
def test_time_window_boundaries(alliance, offset: int, code: str) -> None:
    """A transaction's time may differ by exactly the allowed age."""
    block_time = alliance.state.time_ms + 5_000
    transaction = alliance.sign("health", VOTE, time_ms=block_time + offset)
    assert [code] == codes(run(alliance, transaction, time_ms=block_time))


def test_replay(alliance) -> None:
    """The same transaction is taken once: in one block, in the next, up to its last height."""
    transaction = alliance.sign("health", VOTE, expires=4)
    assert ["", "replayed"] == codes(run(alliance, transaction, transaction))
    alliance.commit(transaction)
    assert ["replayed"] == codes(run(alliance, transaction))
    alliance.commit(alliance.sign("energy", VOTE))
    alliance.commit(alliance.sign("energy", VOTE))
    assert alliance.state.height == 3
    assert ["replayed"] == codes(run(alliance, transaction)), "height 4 could still carry it"
    alliance.commit(alliance.sign("energy", VOTE))
    assert None is alliance.state.transaction_location(transaction.digest())
    assert ["expired"] == codes(run(alliance, transaction)), "forgotten only when expired"


def test_replay_of_a_refused_transaction(alliance) -> None:
    """A refused transaction is taken too: it cannot come back when circumstances changed."""
    transaction = alliance.sign("health", RetireDataset(bytes(16)))
    assert "unknown-dataset" == alliance.commit(transaction)[0].code
    assert ["replayed"] == codes(run(alliance, transaction))


def test_the_window_is_emptied(alliance) -> None:
    """What is remembered does not grow with the chain."""
    lifetime = alliance.genesis.parameters.transaction_lifetime_heights
    for _ in range(lifetime + 1):
        alliance.commit(alliance.sign("health", VOTE, expires=alliance.state.height + 2))
    before = len(alliance.state.pairs)
    for _ in range(6):
        alliance.commit(alliance.sign("health", VOTE, expires=alliance.state.height + 2))
    assert before == len(alliance.state.pairs)


def test_the_trail_of_blocks(alliance) -> None:
    """Each block remembers the digest of the one before; what is older than the lifetime is gone."""
    lifetime = alliance.genesis.parameters.transaction_lifetime_heights
    alliance.commit()
    assert alliance.state.alliance == alliance.state.trail(0)
    assert (None, None) == (alliance.state.trail(1), alliance.state.trail(-1))
    for _ in range(lifetime):
        alliance.commit()
    assert None is alliance.state.trail(1)
    assert alliance.blocks[1].block.header.digest() == alliance.state.trail(2)


def test_strangers_are_refused(alliance, kit) -> None:
    """Another alliance, an unknown key, a malformed body."""
    foreign = alliance.sign("health", VOTE, alliance=bytes(32))
    assert ["wrong-alliance"] == codes(run(alliance, foreign))
    assert ["unknown-user"] == codes(run(alliance, alliance.sign("nobody", VOTE)))
    body = msgspec.structs.replace(alliance.sign("health", VOTE).body, nonce=b"short")
    malformed = sign_transaction(body, kit.key("health admin"))
    assert ["malformed"] == codes(run(alliance, malformed))


def test_revoked_from_the_next_transaction(alliance, kit) -> None:
    """A revoked user's transaction is refused even in the block that revokes."""
    alliance.add_user("health", "nurse", "admin")
    revoke = alliance.sign("health", RevokeUser(kit.key("nurse").public))
    late = alliance.sign("nurse", VOTE)
    assert ["", "user-revoked"] == codes(run(alliance, revoke, late))
    alliance.commit(revoke)
    assert ["user-revoked"] == codes(run(alliance, late))


def test_suspended_from_the_next_block(alliance) -> None:
    """Nobody of a suspended organisation can do anything, whatever it is."""
    for name in ("energy", "environment", "planning"):
        assert "" == alliance.act(name, SuspendOrganisation("health", "away"))
    for operation in (VOTE, UpdateOrganisation(b"c", "h:1", "https://h:1"), RetireDataset(b"x")):
        assert "organisation-suspended" == alliance.act("health", operation)


def test_operations_see_earlier_ones(alliance, kit) -> None:
    """Within a transaction the second operation is judged after the first."""
    add = AddUser(kit.key("x").public, kit.encryption_key("x"), "x", ("reader",))
    assert "key-in-use" == alliance.act("health", add, add)
    assert None is alliance.state.user(add.key)


def test_judge_changes_nothing(alliance) -> None:
    """Asking is free."""
    root = alliance.state.root
    state = alliance.state
    assert "" == judge(state, alliance.sign("health", VOTE), height=1, time_ms=state.time_ms)
    assert root == state.root


def test_heights_are_consecutive(alliance) -> None:
    """Executing on another state than the parent's is our own mistake."""
    state = alliance.state
    with pytest.raises(AssertionError):
        execute(
            state,
            height=3,
            time_ms=1,
            parent=state.alliance,
            transactions=(),
            erasures=(),
            convict=convict_at(0),
        )
    execution = run(alliance, alliance.sign("health", VOTE))
    alliance.commit(alliance.sign("energy", VOTE))
    with pytest.raises(AssertionError):
        alliance.state.advanced(execution)


def test_restored_state_executes_alike(alliance) -> None:
    """A state from its pairs gives the same root, and so does executing on it."""
    alliance.register("health")
    state = alliance.state
    restored = State.restored(alliance.genesis, sorted(state.items()))
    assert state.root == restored.root
    transaction = alliance.sign("health", VOTE)
    first = run(alliance, transaction)
    alliance.state = restored
    second = run(alliance, transaction)
    assert (first.state_root, first.writes) == (second.state_root, second.writes)


def test_writes_rebuild_the_state(alliance) -> None:
    """Applying a block's writes to the stored pairs gives the next state: what the ledger does."""
    stored = dict(alliance.state.items())
    for number in range(30):
        execution = run(alliance, alliance.sign("health", VOTE, expires=number + 3))
        for key, value in execution.writes:
            if value is None:
                del stored[key]
            else:
                stored[key] = value
        alliance.state = alliance.state.advanced(execution)
        assert alliance.state.root == State.restored(alliance.genesis, stored.items()).root


DETERMINISM = """
import runpy, sys
kit = runpy.run_path(sys.argv[1])
from hansa.chain.transactions import VoteSuperNodes, SuspendOrganisation
alliance = kit["Alliance"](kit["make_genesis"]())
alliance.register("health")
for height in range(9):
    alliance.commit(*(alliance.sign(name, VoteSuperNodes(kit["NAMES"][1:5])) for name in kit["NAMES"]))
print(alliance.state.root.hex(), alliance.header.digest().hex())
"""


@pytest.mark.slow
def test_hash_seeds_do_not_matter(request) -> None:
    """Two interpreters with other set orders make the same chain."""
    conftest = request.path.parent / "conftest.py"
    found = {
        subprocess.run(
            [sys.executable, "-c", DETERMINISM, str(conftest)],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            check=True,
            text=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert 1 == len(found)
    assert found.pop().strip()
