"""Whose turn it is."""

from itertools import groupby

import pytest

from hansa.codec import digest
from hansa.consensus.schedule import RECENT_BLOCKS, Mark, Schedule, draw_order, window_start
from hansa.types import Digest, Height, PublicKey

MEMBERS = tuple(PublicKey(bytes([number]) * 32) for number in range(4))
ALLIANCE = Digest(bytes(32))


def grown(heights: int, *, step: int = 1) -> Schedule:
    """Return a schedule after some blocks."""
    schedule = Schedule(ALLIANCE, 8)
    for height in range(1, heights + 1):
        schedule.extend(height, Mark(Digest(bytes([height % 251]) * 32), height * step))
    return schedule


def test_windows_restart_at_epochs() -> None:
    """An epoch of 8 holds two windows of 4."""
    assert [1, 1, 1, 1, 5, 5, 5, 5, 9] == [window_start(height, 4, 8) for height in range(1, 10)]


def test_each_leads_once_in_a_window() -> None:
    """Round 0 of r heights gives each super node one turn."""
    schedule = grown(20)
    for start in (1, 5, 9, 13):
        turns = {schedule.master(Height(start + offset), 0, MEMBERS) for offset in range(4)}
        assert set(MEMBERS) == turns


def test_each_gets_a_turn_within_r_rounds() -> None:
    """Fallback rounds go through all, round 0's master last."""
    schedule = grown(4)
    turns = [schedule.master(Height(5), number, MEMBERS) for number in range(5)]
    assert set(MEMBERS) == set(turns[1:])
    assert turns[0] == turns[4]


def test_the_count_of_transactions_moves_the_order() -> None:
    """The paper's rule: the number of requests takes part; over many windows the orders differ."""
    one, two = grown(100), grown(100, step=2)
    heights = range(85, 101, 4)
    assert [one.master(Height(item), 0, MEMBERS) for item in heights] != [
        two.master(Height(item), 0, MEMBERS) for item in heights
    ]


def test_the_fallback_does_not_follow_the_batch_size() -> None:
    """Whoever picks a batch size does not pick the fallback order."""
    one, two = grown(100), grown(100, step=2)
    for start in (89, 93, 97):
        first = one.master(Height(start), 0, MEMBERS)
        second = two.master(Height(start), 0, MEMBERS)
        if first == second:
            assert one.master(Height(start), 1, MEMBERS) == two.master(Height(start), 1, MEMBERS)


def test_an_unknown_window_has_no_master() -> None:
    """A window begins with a committed block."""
    assert grown(2).master(Height(9), 0, MEMBERS) is None


def test_old_headers_are_forgotten() -> None:
    """Memory stays bounded."""
    schedule = grown(3 * RECENT_BLOCKS)
    assert len(schedule._marks) <= RECENT_BLOCKS + 1


def test_orders_are_permutations() -> None:
    """A draw loses nobody."""
    assert set(MEMBERS) == set(draw_order(MEMBERS, "tag", b"seed"))


def told(
    heights: int,
    gone: dict[PublicKey, range],
    *,
    members: tuple[PublicKey, ...] = MEMBERS,
    newly: tuple[PublicKey, ...] = (),
    old: int = 0,
) -> tuple[Schedule, list[PublicKey], int]:
    """Return a schedule after a chain in which some are gone for a while.

    Args:
        heights: of the chain.
        gone: heights at which a super node neither leads nor votes.
        members: of the set.
        newly: members that are in the set only from the last height on.
        old: if given, each block also holds an acknowledgement of those who are gone, of this height.

    Returns:
        The schedule, who led each height in the end, and how many rounds failed.
    """
    schedule, led, failed = Schedule(ALLIANCE, 16 * len(members)), [], 0
    for height in range(1, heights + 1):
        number = 0
        while height in gone.get(schedule.master(Height(height), number, members), ()):
            number += 1
            failed += 1
        led.append(schedule.master(Height(height), number, members))
        there = [key for key in members if height - 1 not in gone.get(key, ())]
        voted = {(height - 1, key) for key in there}
        if old:
            voted |= {(old, key) for key in members if key not in there}
        known = frozenset(members) - (frozenset(newly) if height < heights else frozenset())
        named = digest("test.block", height.to_bytes(8, "big"))
        schedule.extend(height, Mark(named, height, led[-1], known, frozenset(voted)))
    return schedule, led, failed


def test_who_is_gone_costs_a_timeout_in_two_windows_at_most() -> None:
    """Then others stand in; without that it would be one in each window."""
    for lost in MEMBERS:
        for since in (9, 10, 11, 12):
            schedule, led, failed = told(128, {lost: range(since, 200)})
            assert 0 < failed <= 2
            assert lost not in led[since - 1 :]
            assert {lost} == schedule.absent(Height(129), MEMBERS)


def test_who_votes_again_leads_again() -> None:
    """From the window after the one in which a block records it; once in each, as all."""
    lost = MEMBERS[2]
    schedule, _, _ = told(64, {lost: range(9, 42)})
    for start in (49, 53, 57, 61):
        assert set(MEMBERS) == {schedule.master(Height(start + at), 0, MEMBERS) for at in range(4)}
    assert frozenset() == schedule.absent(Height(61), MEMBERS)


def test_one_that_misses_its_turn_and_votes_keeps_it() -> None:
    """A late proposal is no absence: its acknowledgements say that it was there."""
    schedule, late = Schedule(ALLIANCE, 64), MEMBERS[1]
    for height in range(1, 5):
        led = MEMBERS[0] if MEMBERS[height % 4] == late else MEMBERS[height % 4]
        voted = frozenset((height - 1, key) for key in MEMBERS)
        schedule.extend(
            height, Mark(digest("t", bytes([height])), height, led, frozenset(MEMBERS), voted)
        )
    assert frozenset() == schedule.absent(Height(5), MEMBERS)


@pytest.mark.parametrize(("since", "back"), [(9, 26), (10, 30), (12, 99)])
def test_who_is_passed_over_is_told_with_its_windows(since: int, back: int) -> None:
    """Since the first window in a row without it; heard again is said before it leads again, and holds."""
    lost = MEMBERS[1]
    gone = {lost: range(since, back)}
    passed = {h: lost in told(h - 1, gone)[0].absent(Height(h), MEMBERS) for h in range(1, 41)}
    assert any(passed.values())
    announced = 0
    for height in range(1, 37):
        found = told(height - 1, gone)[0].absences(Height(height), MEMBERS)
        assert passed[height] == bool(found)
        if not found:
            continue
        (absence,) = found
        first = height
        while passed[first - 1]:
            first -= 1
        until = window_start(height, 4, 64) + 3
        assert (lost, first, until) == (absence.super_node, absence.since, absence.until)
        if absence.is_heard:
            announced += 1
            assert not passed[until + 1]
    assert (announced > 0) == (back < 40)


def test_what_is_told_of_absence_is_bounded_by_what_is_known() -> None:
    """A long absence is told as far back as blocks are remembered; a cut window ends with its epoch."""
    lost = MEMBERS[1]
    known = told(3 * RECENT_BLOCKS, {lost: range(9, 999)})[0]
    height = Height(3 * RECENT_BLOCKS + 1)
    before = dict(known._windows)
    (absence,) = known.absences(height, MEMBERS)
    assert 2 * RECENT_BLOCKS < absence.since < height
    assert before.keys() <= known._windows.keys() <= {*before, (height - (height - 1) % 4, MEMBERS)}
    short = Schedule(ALLIANCE, 6)
    for number in range(1, 5):
        voted = frozenset((number - 1, key) for key in MEMBERS if key != lost)
        led = MEMBERS[0]
        short.extend(number, Mark(ALLIANCE, number, led, frozenset(MEMBERS), voted))
    assert [(lost, 5, 6, False)] == [tuple(i) for i in short.absences(Height(5), MEMBERS)]


def test_nobody_is_absent_where_it_cannot_be_told() -> None:
    """Not at the start, not without a quorum's acknowledgements, not who has just been elected."""
    lost = MEMBERS[3]
    assert frozenset() == told(3, {lost: range(1, 9)})[0].absent(Height(2), MEMBERS)
    assert {lost} == told(8, {lost: range(1, 9)})[0].absent(Height(9), MEMBERS)
    assert frozenset() == told(8, {lost: range(1, 9)}, newly=(lost,))[0].absent(Height(9), MEMBERS)
    both = {lost: range(1, 9), MEMBERS[0]: range(1, 9)}
    assert frozenset() == told(8, both)[0].absent(Height(9), MEMBERS)
    assert frozenset() == told(8, {lost: range(1, 9)})[0].absent(Height(13), MEMBERS), (
        "not committed"
    )


def test_acknowledgements_held_back_do_not_keep_a_dead_one_alive() -> None:
    """A liar may bring old ones of it, one in each block: they count for two windows."""
    lost = MEMBERS[3]
    assert frozenset() == told(12, {lost: range(9, 99)}, old=8)[0].absent(Height(13), MEMBERS)
    assert {lost} == told(16, {lost: range(9, 99)}, old=8)[0].absent(Height(17), MEMBERS)


@pytest.mark.parametrize(("super_nodes", "lost"), [(4, 1), (7, 2), (10, 3)])
def test_who_stands_in_is_nobodys_choice(super_nodes: int, lost: int) -> None:
    """Over so many windows as there are others, each leads as often: no choice of blocks moves that."""
    members = tuple(PublicKey(bytes([number]) * 32) for number in range(1, super_nodes + 1))
    gone = dict.fromkeys(members[:lost], range(1, 10**6))
    there, size = super_nodes - lost, super_nodes
    quiet = 2 * size
    schedule, led, _ = told(quiet + there * size, gone, members=members)
    turns = led[quiet:]
    assert dict.fromkeys(members[lost:], size) == {key: turns.count(key) for key in set(turns)}
    last = Height(quiet + there * size)
    first = schedule.master(last, 0, members)
    rounds = [schedule.master(last, number, members) for number in range(1, size + 1)]
    assert set(members) == set(rounds), "each has a turn"
    assert first == rounds[there - 1]
    assert set(members[:lost]) == set(rounds[there:]), "the absent come last"


@pytest.mark.parametrize(("super_nodes", "liars"), [(4, 1), (4, 2), (7, 2), (10, 9)])
def test_colluders_who_choose_their_batches_gain_no_height(super_nodes: int, liars: int) -> None:
    """Every colluding master tries sixty-four blocks and takes the one that serves them best.

    However many they are and whatever they want (to lead first, or next, or in a row), in round 0
    they lead exactly their share of each window, so of each epoch and of the whole chain.
    """
    members = tuple(PublicKey(bytes([number]) * 32) for number in range(1, super_nodes + 1))
    colluders = set(members[:liars])
    wishes = (
        lambda order: sum(member in colluders for member in order[: super_nodes // 2]),
        lambda order: order[0] in colluders,
        lambda order: max(
            (sum(1 for _ in run) for own, run in groupby(order, colluders.__contains__) if own),
        ),
    )
    for wish in wishes:
        schedule = Schedule(Digest(bytes(32)), 3 * super_nodes)
        led: dict[PublicKey, int] = dict.fromkeys(members, 0)
        granted, total, windows = 0, 0, 24
        for height in range(1, windows * super_nodes + 1):
            master = schedule.master(Height(height), 0, members)
            led[master] += 1
            choices = range(64 if master in colluders else 1)
            blocks = [
                (digest("test.block", bytes([choice]), height.to_bytes(8, "big")), choice)
                for choice in choices
            ]

            def order_after(block, total=total) -> list[PublicKey]:
                return draw_order(
                    members, "hansa.master-order.1", (total + block[1]).to_bytes(8, "big"), block[0]
                )

            best = max(blocks, key=lambda block: wish(order_after(block)))
            granted += wish(order_after(best)) > wish(order_after(blocks[0]))
            total += best[1]
            schedule.extend(height, Mark(best[0], total))
            if height % super_nodes == 0:
                assert {height // super_nodes} == set(led.values())
        assert windows * liars == sum(led[member] for member in colluders)
        assert granted or liars == 1, "they did get what they wished: only no height more"
