"""Filters never deny what was added, and seldom affirm what was not."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hansa.index.cells import digest_of
from hansa.index.filters import KeyFilter, PageFilter, as_digests

KEYS = st.sets(st.binary(max_size=12), max_size=60)


def whole_of(keys):
    return KeyFilter.build(as_digests(map(digest_of, keys)))


def sliced(pages, bytes_max=1 << 16):
    keys = sorted(set().union(*pages)) if pages else []
    members = [np.array([n for n, has in enumerate(pages) if key in has]) for key in keys]
    return PageFilter.build(as_digests(map(digest_of, keys)), members, len(pages), bytes_max)


@given(KEYS)
def test_added_keys_are_never_denied(keys):
    """No false "surely not", also after writing and reading back."""
    again = KeyFilter(whole_of(keys).to_bytes())
    assert all(again.may_contain(digest_of(key)) for key in keys)
    assert again.memory_bytes >= 64


def test_absent_keys_are_seldom_affirmed():
    """Less than 1 % of absent keys pass: 0.3 % is expected."""
    whole = whole_of([b"in%d" % number for number in range(10_000)])
    wrong = sum(whole.may_contain(digest_of(b"out%d" % number)) for number in range(10_000))
    assert wrong < 100


@given(st.lists(KEYS, min_size=1, max_size=20))
def test_pages_with_a_key_are_never_denied(pages):
    """Every page that holds a key is named, also after writing and reading back."""
    again = PageFilter(sliced(pages).to_bytes(), len(pages))
    for key in set().union(*pages):
        found = again.pages_with(digest_of(key))
        assert all(found >> number & 1 for number, keys in enumerate(pages) if key in keys)


def test_most_pages_without_a_key_are_denied():
    """With room for its keys the filter names few pages too many."""
    pages = [{b"%d/%d" % (page, key) for key in range(50)} for page in range(50)]
    built = sliced(pages)
    wrong = sum(built.pages_with(digest_of(b"x%d" % n)).bit_count() for n in range(100))
    assert wrong < 50 * 100 * 0.1


def test_no_pages():
    """An index without rows has filters too."""
    assert 0 == sliced([]).memory_bytes
    assert not whole_of([]).may_contain(digest_of(b"x"))
