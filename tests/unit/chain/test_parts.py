"""A state in parts: together they are the tree, each is proved alone, and any change is refused at once."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hansa.chain.authenticated import AuthenticatedMap
from hansa.chain.parts import Assembly, Cut, StatePart
from hansa.errors import InvalidError

PAIRS = st.dictionaries(
    st.tuples(st.integers(0, 3), st.binary(max_size=4)).map(lambda k: bytes([k[0] << 6]) + k[1]),
    st.binary(max_size=40),
    max_size=40,
)


def tree_of(pairs: dict[bytes, bytes]) -> AuthenticatedMap:
    """Return the map of some pairs."""
    return AuthenticatedMap.empty().updated(pairs.items())


def parts_of(cut: Cut) -> list[StatePart]:
    """Return all parts, in order."""
    return [cut.part(number) for number in range(len(cut))]


@settings(max_examples=60)
@given(PAIRS, st.sampled_from((1, 100, 500, 100_000)))
def test_all_parts_are_the_tree(pairs: dict[bytes, bytes], bytes_max: int) -> None:
    """Whatever the tree and the size: parts are taken one by one, and give every pair back."""
    tree = tree_of(pairs)
    assembly = Assembly(tree.root)
    for part in parts_of(Cut(tree, bytes_max)):
        assert not assembly.is_complete
        assembly.add(part)
        size = sum(64 + len(key) + len(value) for key, value in part.pairs)
        assert size <= bytes_max or len(part.pairs) == 1
    assert assembly.is_complete
    assert pairs == dict(assembly.pairs())
    assert tree.root == tree_of(dict(assembly.pairs())).root


@settings(max_examples=40)
@given(PAIRS.filter(lambda pairs: len(pairs) > 2), st.data())
def test_any_change_is_refused(pairs: dict[bytes, bytes], data: st.DataObject) -> None:
    """A pair changed, left out, added, moved to another part; a hash or the path changed; a part skipped."""
    cut = Cut(tree_of(pairs), 200)
    parts = parts_of(cut)
    number = data.draw(st.integers(0, len(parts) - 1))
    part = parts[number]
    replace = msgspec.structs.replace
    changed = [replace(part, pairs=(*part.pairs, (b"\xff new", b"")))]
    if part.pairs:
        key, value = part.pairs[0]
        changed += [
            replace(part, pairs=part.pairs[1:]),
            replace(part, pairs=((key, value + b"x"), *part.pairs[1:])),
            replace(part, pairs=(*part.pairs, part.pairs[0])),
            replace(part, pairs=(*part.pairs, (b"", b""))),
        ]
    if part.siblings:
        other = bytes(byte ^ 1 for byte in part.siblings[0])
        changed += [
            replace(part, siblings=(other, *part.siblings[1:])),
            replace(part, siblings=part.siblings[1:]),
            replace(part, siblings=(b"", *part.siblings[1:])),
            replace(part, path=bytes(byte ^ 255 for byte in part.path)),
        ]
    changed.append(replace(part, path=part.path + b"\0"))
    changed += [other for other in parts if other != part]
    assembly = Assembly(cut.root)
    for before in parts[:number]:
        assembly.add(before)
    for wrong in changed:
        with pytest.raises(InvalidError):
            assembly.add(wrong)
    assembly.add(part)


def test_an_empty_tree_has_one_empty_part() -> None:
    """Nothing is a state too."""
    cut = Cut(AuthenticatedMap.empty(), 100)
    assembly = Assembly(cut.root)
    assembly.add(cut.part(0))
    assert (1, []) == (len(cut), list(assembly.pairs()))
