"""Tests of hansa.storage.repacking: which packs go and which are written anew."""

from hypothesis import given
from hypothesis import strategies as st

from hansa.limits import MIB, PACK_SMALL_BYTES
from hansa.storage.repacking import PackUse, plan_packs


def use(number, *, living, size=128 * MIB, cluster=1, home=None, fresh=False):
    """Return a pack of which `living` bytes are needed, by one dataset's cluster."""
    made = PackUse(b"%032d" % number, cluster, size, fresh)
    if living:
        made.living_bytes, made.living_chunks = living, max(1, living // 65_536)
        made.by_cluster[cluster if home is None else home] = living
    return made


def roots(*numbers):
    """Return names of packs."""
    return tuple(b"%032d" % number for number in numbers)


def test_dead_packs_go_and_mostly_dead_ones_are_written_anew():
    """At half dead it is worth it; a little less dead it is not."""
    packs = [
        use(1, living=0),
        use(2, living=64 * MIB),
        use(3, living=65 * MIB),
        use(4, living=1),
    ]
    plan = plan_packs(packs, compact=False)
    assert (roots(1), roots(2, 4)) == (plan.drop, plan.rewrite)


def test_fresh_packs_are_left_alone():
    """Also wholly dead ones: an upload may have put or reused something in them just now."""
    packs = [use(n, living=n * MIB, size=8 * MIB, fresh=True) for n in range(3)]
    for compact in (False, True):
        plan = plan_packs(packs, compact=compact)
        assert ((), ()) == (plan.drop, plan.rewrite)


def test_small_packs_of_a_cluster_are_merged():
    """Two of one cluster are; one alone waits; by the cluster of today, not that of yesterday."""
    small = MIB
    packs = [
        use(1, living=small, size=small, cluster=1),
        use(2, living=small, size=small, cluster=2, home=1),
        use(3, living=small, size=small, cluster=3),
        use(4, living=PACK_SMALL_BYTES, size=PACK_SMALL_BYTES, cluster=3),
    ]
    plan = plan_packs(packs, compact=False)
    assert ((), roots(1, 2)) == (plan.drop, plan.rewrite)


def test_a_small_pack_joins_what_is_written_anyway():
    """The rest of a mostly dead pack and a small one of its cluster become one."""
    packs = [use(1, living=MIB), use(2, living=MIB, size=MIB), use(3, living=MIB, size=MIB, home=9)]
    assert roots(1, 2) == plan_packs(packs, compact=False).rewrite


def test_compaction_takes_any_dead_chunk_and_what_is_astray():
    """A whole pack stays; one with a dead chunk, or gathered for another cluster, does not."""
    size = 100 * MIB
    packs = [
        use(1, living=size - 100_000, size=size),
        use(2, living=size - MIB, size=size),
        use(3, living=size - 100_000, size=size, home=7),
    ]
    assert () == plan_packs(packs, compact=False).rewrite
    assert roots(2, 3) == plan_packs(packs, compact=True).rewrite


@given(
    st.lists(
        st.tuples(st.integers(1, 128), st.integers(0, 100), st.integers(0, 3), st.booleans()),
        max_size=30,
    ),
    st.booleans(),
)
def test_every_plan_is_sound(found, compact):
    """Dropped packs hold nothing, rewritten ones something; none is fresh, none is both."""
    packs = [
        use(n, living=size * MIB * percent // 100, size=size * MIB, cluster=cluster, fresh=fresh)
        for n, (size, percent, cluster, fresh) in enumerate(found)
    ]
    by_root = {pack.root: pack for pack in packs}
    plan = plan_packs(packs, compact=compact)
    assert len(set(plan.drop + plan.rewrite)) == len(plan.drop + plan.rewrite)
    assert all(by_root[root].living_chunks == 0 for root in plan.drop)
    assert all(by_root[root].living_chunks > 0 for root in plan.rewrite)
    assert not any(by_root[root].is_fresh for root in plan.drop + plan.rewrite)
    left = [pack for pack in packs if pack.root not in plan.drop + plan.rewrite]
    small = [pack.home() for pack in left if pack.is_small() and not pack.is_fresh]
    assert len(set(small)) == len(small), "no two small packs of a cluster are left"
