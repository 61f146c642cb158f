"""Tests of hansa.storage.leases: what an upload in flight rests on."""

from hansa import limits
from hansa.storage.leases import Leases
from hansa.storage.table import MemoryTable
from hansa.testing.doubles import FixedClock

A, B = b"a" * 32, b"b" * 32
HOUR = 3_600_000


class CountingTable(MemoryTable):
    """Counts its durable steps."""

    steps = 0

    def write(self, changes):
        """Count, then write."""
        self.steps += 1
        super().write(changes)


def open_leases(table, clock, *, empty=True):
    """Return the leases of a store."""
    return Leases(table, clock, lambda: empty)


def test_an_attested_lease_ends_with_the_chain_and_no_clock():
    """While no later block is known the version may still be registered, whatever the clock says."""
    clock = FixedClock(1_000)
    leases = open_leases(MemoryTable(), clock)
    until = leases.attest(A, HOUR)
    assert until == 1_000 + HOUR
    clock.time_ms += 1_000 * HOUR
    assert {A} == leases.active(chain_ms=until)
    leases.drop_expired(chain_ms=until)
    assert {A} == leases.active(chain_ms=until)
    assert set() == leases.active(chain_ms=until + 1)
    leases.drop_expired(chain_ms=until + 1)
    assert leases.attested_until(A) == 0


def test_a_lease_is_never_shortened_and_is_bounded():
    """A later, shorter attestation leaves the longer one."""
    leases = open_leases(MemoryTable(), FixedClock(0))
    assert leases.attest(A, 9) == 9
    assert leases.attest(A, 1) == 9
    assert leases.attest(A, -5) == 9
    assert leases.attest(A, 1 << 60) == limits.LEASE_MS_MAX


def test_use_is_written_at_half_time_only():
    """Many look-ups in a row cost one durable step."""
    table, clock = CountingTable(), FixedClock(0)
    leases = open_leases(table, clock)
    before = table.steps
    for _ in range(100):
        leases.use([A, B])
    assert table.steps == before + 1
    clock.time_ms = limits.UPLOAD_LEASE_MS // 2 + 1
    leases.use([A])
    assert table.steps == before + 2
    clock.time_ms = limits.UPLOAD_LEASE_MS + 1
    assert {A} == leases.active(chain_ms=0)
    leases.drop_expired(chain_ms=0)
    clock.time_ms = 0
    assert {A} == leases.active(chain_ms=0)


def test_leases_survive_a_restart():
    """Both kinds are durable."""
    table, clock = MemoryTable(), FixedClock(5)
    leases = open_leases(table, clock)
    leases.attest(A, HOUR)
    leases.use([B])
    again = open_leases(table, clock, empty=False)
    assert {A, B} == again.active(chain_ms=0)
    assert again.held_until_ms == 0


def test_a_new_table_over_a_full_store_holds_everything():
    """What was leased before the table was lost is not known any more: nothing may go for a while."""
    table, clock = MemoryTable(), FixedClock(7)
    assert open_leases(table, clock, empty=False).held_until_ms == 7 + limits.LEASE_MS_MAX
    clock.time_ms = 1 << 40
    assert open_leases(table, clock, empty=False).held_until_ms == 7 + limits.LEASE_MS_MAX
    assert open_leases(MemoryTable(), clock, empty=True).held_until_ms == 0


def test_a_collection_sees_what_is_leased_meanwhile():
    """Watching begins when asked; what is taken is told once; bindings count too."""
    leases = open_leases(MemoryTable(), FixedClock(0))
    leases.attest(A, 1)
    leases.watch()
    assert set() == leases.take_watched()
    leases.use([A])
    leases.use([A])
    leases.notice(B)
    assert {A, B} == leases.take_watched()
    assert set() == leases.take_watched()
    leases.attest(A, 1)
    leases.unwatch()
    leases.attest(B, 1)
    assert set() == leases.take_watched()
