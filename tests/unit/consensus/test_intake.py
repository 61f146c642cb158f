"""The pool: verify first, bounds always, the new one is dropped and never an old one."""

import msgspec
import pytest

from hansa import limits
from hansa.consensus import intake
from hansa.consensus.intake import STRIKES_MAX


def pool_of(quiet, index: int = 0):
    """Return a super node's pool."""
    return quiet.world.nodes[index].replica._pool


def test_a_sound_transaction_is_taken_once(quiet) -> None:
    """The same again changes nothing."""
    pool = pool_of(quiet)
    _, sealed = quiet.sealed(5)
    assert "" == pool.admit(sealed, quiet.world.members[5].node)
    assert "" == pool.admit(sealed, quiet.world.members[5].node)
    assert 1 == len(pool)
    assert pool.has_work


def test_what_does_not_open_is_refused(quiet) -> None:
    """A damaged ciphertext, and one sealed to nobody here."""
    pool = pool_of(quiet)
    _, sealed = quiet.sealed(5)
    damaged = msgspec.structs.replace(sealed, ciphertext=b"\x00" + sealed.ciphertext[1:])
    assert "not-openable" == pool.admit(damaged, quiet.world.members[5].node)
    assert "reseal" == pool.admit(
        msgspec.structs.replace(sealed, wraps=()), quiet.world.members[5].node
    )
    assert 0 == len(pool)


def test_a_false_envelope_is_refused(quiet) -> None:
    """Author and expiry outside must be those inside."""
    pool = pool_of(quiet)
    _, sealed = quiet.sealed(5)
    other = msgspec.structs.replace(sealed, expires=sealed.expires + 1)
    assert "malformed" == pool.admit(other, quiet.world.members[5].node)


def test_another_alliance_is_refused(quiet) -> None:
    """Nothing is opened for it."""
    _, sealed = quiet.sealed(5)
    foreign = msgspec.structs.replace(sealed, alliance=bytes(32))
    assert "malformed" == pool_of(quiet).admit(foreign, quiet.world.members[5].node)


def test_expiry_has_two_sides(quiet) -> None:
    """The last height it may be in is still good; the one after is not."""
    pool = pool_of(quiet)
    _, sealed = quiet.sealed(5)
    pool._context.height = sealed.expires + 1
    assert "expired" == pool.admit(sealed, quiet.world.members[5].node)


def test_the_new_one_is_dropped(quiet, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full pool keeps what it has."""
    monkeypatch.setattr(limits, "POOL_TRANSACTIONS_MAX", 1)
    pool = pool_of(quiet)
    first, second = quiet.sealed(5)[1], quiet.sealed(5)[1]
    assert "" == pool.admit(first, quiet.world.members[5].node)
    assert "busy" == pool.admit(second, quiet.world.members[5].node)
    assert first.transaction in pool


def test_an_organisation_has_its_share(quiet, monkeypatch: pytest.MonkeyPatch) -> None:
    """One flooding member does not lock the others out."""
    monkeypatch.setattr(limits, "POOL_TRANSACTIONS_PER_ORGANISATION_MAX", 1)
    pool = pool_of(quiet)
    pool.admit(quiet.sealed(5)[1], quiet.world.members[5].node)
    assert "busy" == pool.admit(quiet.sealed(5)[1], quiet.world.members[5].node)
    assert "" == pool.admit(quiet.sealed(4)[1], quiet.world.members[4].node)


def test_a_doubtful_one_is_no_reason_for_a_block(quiet, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the present state refuses waits for a master to judge it, and is then refused."""
    pool = pool_of(quiet)
    monkeypatch.setattr(intake, "judge", lambda *_, **__: "unknown-user")
    pool.admit(quiet.sealed(5)[1], quiet.world.members[5].node)
    assert not pool.has_work
    assert pool.needs_master
    assert ["unknown-user"] == [code for _, code in pool.judge_doubtful()]
    assert 0 == len(pool)


def test_left_out_for_one_height(quiet) -> None:
    """A rejected one comes back at the next height, and is given up after some strikes."""
    pool = pool_of(quiet)
    _, sealed = quiet.sealed(5)
    pool.admit(sealed, quiet.world.members[5].node)
    for strike in range(1, STRIKES_MAX + 1):
        assert (strike == STRIKES_MAX) == pool.leave_out(sealed.transaction)
        assert not pool.has_work
        assert [] == pool.select()
        pool._context.height += 1
        pool.advance(())
        assert pool.has_work


def test_committed_and_expired_ones_go(quiet) -> None:
    """Both ways out leave the counts at zero."""
    pool = pool_of(quiet)
    one, two = quiet.sealed(5)[1], quiet.sealed(5)[1]
    for sealed in (one, two):
        pool.admit(sealed, quiet.world.members[5].node)
    pool.advance([one.transaction])
    assert 1 == len(pool)
    pool._context.height = two.expires + 1
    pool.advance(())
    assert (0, 0, {}) == (len(pool), pool._bytes, pool._by_organisation)


def test_the_doubtful_are_few_and_come_back_when_the_state_allows(
    quiet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond the bound a refused one is not kept; a kept one is judged anew by the master."""
    pool, member = pool_of(quiet), quiet.world.members[5].node
    monkeypatch.setattr(intake, "DOUBTFUL_MAX", 1)
    monkeypatch.setattr(intake, "judge", lambda *_, **__: "unknown-user")
    assert "" == pool.admit(quiet.sealed(5)[1], member)
    assert "unknown-user" == pool.admit(quiet.sealed(5)[1], member)
    assert 1 == len(pool)
    monkeypatch.setattr(intake, "judge", lambda *_, **__: "")
    assert [] == pool.judge_doubtful()
    assert pool.has_work
    assert [] == pool.judge_doubtful(), "none is left to judge"


def test_a_doubtful_one_that_was_left_out_stays_so_for_its_height(
    quiet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Good by itself again, it is still no reason for a block at the height that rejected it."""
    pool, sealed = pool_of(quiet), quiet.sealed(5)[1]
    monkeypatch.setattr(intake, "judge", lambda *_, **__: "unknown-user")
    pool.admit(sealed, quiet.world.members[5].node)
    assert not pool.leave_out(sealed.transaction)
    assert not pool.leave_out(sealed.transaction), "once for each height"
    assert not pool.leave_out(quiet.sealed(5)[0].digest()), "not here"
    monkeypatch.setattr(intake, "judge", lambda *_, **__: "")
    pool.judge_doubtful()
    assert not pool.has_work
    assert [] == pool.select()


def test_a_proposal_is_filled_within_the_bounds_of_a_block(
    quiet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What does not fit waits; the order stays that of arrival."""
    pool, member = pool_of(quiet), quiet.world.members[5].node
    sealed = [quiet.sealed(5, confidential=True)[1] for _ in range(3)]
    for item in sealed:
        pool.admit(item, member)
    assert [item.transaction for item in sealed] == [item.digest for item in pool.select()]
    size = pool.get(sealed[0].transaction).size
    monkeypatch.setattr(limits, "BLOCK_BYTES_MAX", 2 * size)
    assert [item.transaction for item in sealed[:2]] == [item.digest for item in pool.select()]


def count_openings(pool, monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Return a list that grows with each transaction the pool opens."""
    opened: list[object] = []
    admit = pool._verifier.admit
    monkeypatch.setattr(
        pool._verifier, "admit", lambda sealed: (opened.append(sealed), admit(sealed))[1]
    )
    return opened


def test_what_is_held_is_opened_when_asked_for(quiet, monkeypatch: pytest.MonkeyPatch) -> None:
    """One is enough to know that there is work; a proposal wants all; a block takes them unopened."""
    pool, member = pool_of(quiet), quiet.world.members[5].node
    opened = count_openings(pool, monkeypatch)
    several = [quiet.sealed(5)[1] for _ in range(4)]
    assert ["", "", "", ""] == [pool.hold(sealed, member) for sealed in several]
    assert "" == pool.hold(several[0], member)
    assert (4, [], True) == (len(pool), opened, pool.needs_master)
    pool.advance([several[3].transaction])
    assert several[3].transaction not in pool
    assert (True, several[:1]) == (pool.has_work, opened)
    assert "" == pool.admit(several[2], member)
    pool.open_held()
    assert ({item.transaction for item in several[:3]}, 3) == (
        {item.digest for item in pool.select()},
        len(opened),
    )
    pool.advance([item.transaction for item in several])
    assert (0, 0, {}) == (len(pool), pool._bytes, pool._by_organisation)


def test_what_is_held_and_unsound_is_no_work(quiet) -> None:
    """It is told once, with its reason, and leaves nothing behind."""
    pool, member = pool_of(quiet), quiet.world.members[5].node
    sealed = quiet.sealed(5)[1]
    damaged = msgspec.structs.replace(sealed, ciphertext=b"\x00" + sealed.ciphertext[1:])
    assert "" == pool.hold(damaged, member)
    assert not pool.has_work
    assert [(damaged, member, "not-openable")] == [
        (held.sealed, held.submitter, code) for held, code in pool.take_unsound()
    ]
    assert [] == pool.take_unsound()
    assert (0, 0, {}) == (len(pool), pool._bytes, pool._by_organisation)


def test_what_is_held_counts_and_expires(quiet, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unopened ones are within the same bounds as verified ones, and go with their expiry."""
    pool, member = pool_of(quiet), quiet.world.members[5].node
    monkeypatch.setattr(limits, "POOL_TRANSACTIONS_PER_ORGANISATION_MAX", 2)
    one, two, three = (quiet.sealed(5)[1] for _ in range(3))
    assert ["", "", "busy"] == [
        pool.hold(one, member),
        pool.admit(two, member),
        pool.hold(three, member),
    ]
    pool._context.height = one.expires + 1
    pool.advance(())
    assert (0, 0, {}) == (len(pool), pool._bytes, pool._by_organisation)
    assert "expired" == pool.hold(three, member)


def test_what_execution_will_judge_is_judged_when_asked_for(
    quiet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Admitted for a proposal nobody judges it; asked whether there is work, as few as needed are."""
    pool, member = pool_of(quiet), quiet.world.members[5].node
    judged: list[object] = []
    codes = {"": ""}
    monkeypatch.setattr(intake, "judge", lambda _, item, **__: (judged.append(item), codes[""])[1])
    several = [quiet.sealed(5)[1] for _ in range(3)]
    for sealed in several:
        assert "" == pool.admit(sealed, member, is_judged=False)
    assert ([], True, 3) == (judged, pool.needs_master, len(pool.select()))
    assert (True, 1) == (pool.has_work, len(judged))
    assert (True, 1) == (pool.has_work, len(judged))
    pool.leave_out(several[0].transaction)
    codes[""] = "unknown-user"
    monkeypatch.setattr(intake, "DOUBTFUL_MAX", 1)
    assert (False, 3) == (pool.has_work, len(judged))
    assert [(several[2], "unknown-user")] == [
        (held.sealed, code) for held, code in pool.take_unsound()
    ]
    assert ["unknown-user"] == [code for _, code in pool.judge_doubtful()]
    pool._context.height += 1
    pool.advance(())
    assert (True, 1) == (pool.has_work, len(pool))
    pool.advance([several[0].transaction])
    assert (0, 0, {}, 0) == (len(pool), pool._bytes, pool._by_organisation, pool._doubtful)
