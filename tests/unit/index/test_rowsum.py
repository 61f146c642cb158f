"""The sum of rows: any order, adding and taking away, lead to one value."""

from hypothesis import given
from hypothesis import strategies as st

from hansa.index.rowsum import SUM_BYTES, empty_sum, from_bytes, spread, sum_rows, to_bytes

ROWS = st.lists(
    st.tuples(
        st.binary(min_size=16, max_size=16), st.binary(min_size=32, max_size=32), st.integers(0, 99)
    ),
    unique=True,
    max_size=8,
)


@given(ROWS, st.randoms())
def test_order_does_not_matter(rows, draw):
    """A set has one sum, and reads back as it was written."""
    shuffled = list(rows)
    draw.shuffle(shuffled)
    assert to_bytes(sum_rows(rows)) == to_bytes(sum_rows(shuffled))
    assert SUM_BYTES == len(to_bytes(sum_rows(rows)))
    assert to_bytes(from_bytes(to_bytes(sum_rows(rows)))) == to_bytes(sum_rows(rows))


@given(ROWS.filter(bool))
def test_what_is_taken_away_was_never_there(rows):
    """Subtracting a row gives the sum of the others; other clusters give other sums."""
    total = sum_rows(rows)
    total -= spread(*rows[0])
    assert to_bytes(sum_rows(rows[1:])) == to_bytes(total)
    dataset, digest, cluster = rows[0]
    assert to_bytes(spread(dataset, digest, cluster)) != to_bytes(
        spread(dataset, digest, cluster + 1)
    )
    assert not empty_sum().any()
