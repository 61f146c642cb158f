"""Filters never deny what was added, and seldom affirm what was not."""

from hypothesis import given
from hypothesis import strategies as st

from hansa.index.filters import KeyFilter, PageFilter, hash_key

KEYS = st.sets(st.binary(max_size=12), max_size=60)


@given(KEYS)
def test_added_keys_are_never_denied(keys):
    """No false "surely not", also after writing and reading back."""
    whole = KeyFilter.sized_for(8)
    whole.add([hash_key(key) for key in keys])
    again = KeyFilter.from_bytes(whole.to_bytes())
    assert all(again.may_contain(hash_key(key)) for key in keys)


def test_absent_keys_are_seldom_affirmed():
    """At its size less than 1 % of absent keys pass."""
    whole = KeyFilter.sized_for(10_000)
    whole.add([hash_key(b"in%d" % number) for number in range(10_000)])
    wrong = sum(whole.may_contain(hash_key(b"out%d" % number)) for number in range(10_000))
    assert wrong < 100


@given(st.lists(KEYS, min_size=1, max_size=20))
def test_pages_with_a_key_are_never_denied(pages):
    """Every page that holds a key is named, also after writing and reading back."""
    built = PageFilter.build([{hash_key(key) for key in keys} for keys in pages])
    again = PageFilter.from_bytes(built.to_bytes(), len(pages))
    for key in set().union(*pages):
        found = again.pages_with([hash_key(key)])
        assert len(pages) == len(found)
        assert all(found[number] for number, keys in enumerate(pages) if key in keys)


def test_pages_with_any_of_several_keys():
    """Several keys are an alternative; no key is nowhere; absent keys rule almost all pages out."""
    pages = [{hash_key(b"%d/%d" % (page, key)) for key in range(200)} for page in range(50)]
    built = PageFilter.build(pages)
    both = built.pages_with([hash_key(b"3/7"), hash_key(b"40/1")])
    assert both[3]
    assert both[40]
    assert not built.pages_with([]).any()
    wrong = sum(int(built.pages_with([hash_key(b"x%d" % n)]).sum()) for n in range(100))
    assert wrong < 50 * 100 * 0.1


def test_no_pages():
    """An index without rows has a filter too."""
    built = PageFilter.from_bytes(PageFilter.build([]).to_bytes(), 0)
    assert 0 == len(built.pages_with([1]))
    assert built.memory_bytes == 0
