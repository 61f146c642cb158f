"""Tests of node.statuses."""

import asyncio

import pytest

from hansa.errors import MissingError
from hansa.node import statuses as module
from hansa.node.statuses import Statuses, status_of
from hansa.rest import TransactionStatus
from hansa.types import Digest, Height

ONE, TWO = Digest(b"1" * 32), Digest(b"2" * 32)


def nowhere(_digest: Digest) -> TransactionStatus | None:
    """A ledger without transactions."""
    return None


async def test_wait_until_settled() -> None:
    """Who waits is woken by the outcome, with the reason's text."""
    statuses = Statuses(nowhere)
    assert "pending" == statuses.submitted(ONE).status
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(statuses.wait(ONE, 5_000))
        await asyncio.sleep(0)
        statuses.settle(ONE, "refused", "no-grant", Height(0))
    found = waiting.result()
    assert ("refused", "no-grant") == (found.status, found.code)
    assert "grant" in found.message


async def test_wait_ends() -> None:
    """A wait ends without an outcome after its time; an unknown transaction is missing."""
    statuses = Statuses(nowhere)
    statuses.submitted(ONE)
    assert "pending" == (await statuses.wait(ONE, 1)).status
    with pytest.raises(MissingError, match="knows no such"):
        await statuses.wait(TWO, 1)


def test_the_block_has_the_last_word() -> None:
    """A later message cannot undo what a block says; the ledger tells of what was forgotten."""
    statuses = Statuses(nowhere)
    statuses.settle(ONE, "committed", "", Height(7))
    statuses.settle(ONE, "expired", "expired", Height(0))
    assert ("committed", 7) == (statuses.get(ONE).status, statuses.get(ONE).height)
    assert "committed" == statuses.submitted(ONE).status
    old = Statuses(lambda digest: status_of(digest, "committed", "", 3))
    assert ("committed", 3) == (old.get(TWO).status, old.get(TWO).height)


def test_again_after_reseal() -> None:
    """After reseal and expired the same transaction may be given again; not after refused."""
    statuses = Statuses(nowhere)
    for outcome, expected in (
        ("reseal", "pending"),
        ("expired", "pending"),
        ("refused", "refused"),
        ("committed", "committed"),
    ):
        statuses.settle(ONE, outcome, "", Height(0))
        assert expected == statuses.submitted(ONE).status
    assert statuses.pending_count() == 0


def test_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The register never grows past its bound; the oldest goes first."""
    monkeypatch.setattr(module, "STATUSES_MAX", 3)
    statuses = Statuses(nowhere)
    for number in range(5):
        statuses.submitted(Digest(bytes([number]) * 32))
    assert len(statuses) == 3
    assert statuses.get_or_none(Digest(bytes(32))) is None
