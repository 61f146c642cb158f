"""Tests of node.admission: who finds no room waits in order, at no cost, and not for ever."""

import asyncio

import pytest

from hansa import limits
from hansa.errors import UnavailableError
from hansa.node.admission import Admission

LONG_MS = 60_000
FULL = limits.SUBMISSIONS_UNDER_WAY_MAX


class Door:
    """An admission with so much under way as is said."""

    def __init__(self, under_way: int) -> None:
        self.under_way = under_way
        self.admission = Admission(lambda: self.under_way)
        self.came: list[str] = []

    async def come(self, name: str, takes: int = 1) -> None:
        """Come in, and take up room before anything else happens."""
        await self.admission.wait_for_room(10, LONG_MS)
        self.came.append(name)
        self.under_way += takes

    async def settle(self) -> None:
        """Let all who are let in come in, as the driver does after each turn."""
        for _ in range(20):
            self.admission.let_in()
            await asyncio.sleep(0)


async def test_where_there_is_room_nobody_waits() -> None:
    """Up to the bound; the one who reaches it comes in still."""
    door = Door(FULL - 1)
    await door.come("first")
    assert ["first"] == door.came
    assert FULL == door.under_way


async def test_who_waits_comes_in_order_and_only_into_room() -> None:
    """Each takes up room before the next is let in, however often the door is looked at."""
    door = Door(FULL)
    async with asyncio.TaskGroup() as group:
        for name in "abcd":
            group.create_task(door.come(name, takes=2))
            await asyncio.sleep(0)
        await door.settle()
        assert [] == door.came
        assert 4 == len(door.admission)
        door.under_way = FULL - 3
        await door.settle()
        assert ["a", "b"] == door.came
        assert FULL + 1 == door.under_way
        door.under_way = 0
        late = group.create_task(door.come("late"))
        await asyncio.sleep(0)
        assert ["a", "b"] == door.came, "who comes now stands behind those who wait"
        await door.settle()
        assert late.done()
    assert ["a", "b", "c", "d", "late"] == door.came
    assert 0 == len(door.admission)


async def test_who_leaves_gives_the_place_to_the_next() -> None:
    """In the queue, and after being let in."""
    door = Door(FULL)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(door.come(name)) for name in "abc"]
        await asyncio.sleep(0)
        tasks[0].cancel()
        door.under_way = 0
        door.admission.let_in()
        await asyncio.sleep(0)
        await door.settle()
        assert ["b", "c"] == door.came
        door.under_way = FULL
        tasks = [group.create_task(door.come(name)) for name in "de"]
        await asyncio.sleep(0)
        door.under_way = FULL - 1
        door.admission.let_in()
        tasks[0].cancel()
        await door.settle()
    assert ["b", "c", "e"] == door.came
    assert door.admission._waiting_bytes == len(door.admission) == 0


async def test_no_room_in_time_is_told() -> None:
    """After the wait; and at once where too much waits already."""
    door = Door(FULL)
    with pytest.raises(UnavailableError):
        await door.admission.wait_for_room(10, 1)
    assert 0 == len(door.admission)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(
            door.admission.wait_for_room(limits.SUBMISSIONS_WAITING_BYTES_MAX - 5, LONG_MS)
        )
        await asyncio.sleep(0)
        with pytest.raises(UnavailableError):
            await door.admission.wait_for_room(6, LONG_MS)
        door.under_way = 0
        door.admission.let_in()
        await task
    await door.admission.wait_for_room(limits.SUBMISSIONS_WAITING_BYTES_MAX, LONG_MS)
    assert door.admission._waiting_bytes == 0
