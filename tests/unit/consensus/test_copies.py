"""The vault of copies."""

import pytest

from hansa.consensus.copies import CopyVault
from hansa.errors import UnavailableError
from hansa.types import Digest

ONE, TWO = Digest(b"1" * 32), Digest(b"2" * 32)


def test_erasing_overwrites_the_buffers() -> None:
    """The bytes are gone from the very buffer that held them."""
    vault = CopyVault()
    vault.hold(1, 0, ONE, b"secret")
    buffer = vault._rounds[(1, 0)][ONE]
    assert 1 == vault.erase(1, 0)
    assert bytes(6) == buffer
    assert (0, 0) == (vault.count, vault.bytes_held)


def test_rounds_are_apart() -> None:
    """Erasing one round leaves another."""
    vault = CopyVault()
    vault.hold(1, 0, ONE, b"a")
    vault.hold(1, 1, ONE, b"b")
    vault.erase(1, 0)
    assert ((1, 1),) == vault.rounds()
    assert 1 == vault.held(1, 1)
    assert 0 == vault.held(1, 0)


def test_the_bound_holds() -> None:
    """A full vault refuses and keeps what it has."""
    vault = CopyVault(bytes_max=4)
    vault.hold(1, 0, ONE, b"four")
    with pytest.raises(UnavailableError):
        vault.hold(1, 0, TWO, b"x")
    assert 1 == vault.count


def test_the_same_copy_counts_once() -> None:
    """Held twice is held once."""
    vault = CopyVault()
    vault.hold(1, 0, ONE, b"a")
    vault.hold(1, 0, ONE, b"a")
    assert (1, 1) == (vault.count, vault.bytes_held)


def test_one_copy_can_go() -> None:
    """What will not be proposed after all is overwritten alone."""
    vault = CopyVault()
    vault.hold(1, 0, ONE, b"a")
    vault.hold(1, 0, TWO, b"b")
    vault.erase_one(1, 0, ONE)
    vault.erase_one(9, 9, ONE)
    assert 1 == vault.count


def test_shutdown_erases_all() -> None:
    """Nothing stays."""
    vault = CopyVault()
    vault.hold(1, 0, ONE, b"a")
    vault.hold(2, 3, TWO, b"b")
    assert 2 == vault.erase_all()
    assert () == vault.rounds()


def test_a_buffer_is_taken_over() -> None:
    """No second copy is made; what the vault does not keep, it overwrites."""
    vault = CopyVault(bytes_max=6)
    kept, again, too_much = bytearray(b"secret"), bytearray(b"secret"), bytearray(b"more")
    vault.hold(1, 0, ONE, kept)
    assert vault._rounds[(1, 0)][ONE] is kept
    vault.hold(1, 0, ONE, kept)
    assert b"secret" == kept
    vault.hold(1, 0, ONE, again)
    with pytest.raises(UnavailableError):
        vault.hold(1, 0, TWO, too_much)
    assert (bytes(6), bytes(4)) == (again, too_much)
    vault.erase(1, 0)
    assert bytes(6) == kept
