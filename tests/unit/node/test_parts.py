"""Tests of node.parts."""

from hansa.node.parts import blocks_from


class Numbers:
    """A ledger whose blocks are their heights; 3 is missing."""

    def block(self, height: int) -> object:
        """Return a block."""
        return None if height == 3 else f"block {height}"


def test_blocks_from() -> None:
    """Both ends are included, what is not there is left out, an empty range is empty."""
    assert ["block 2", "block 4"] == list(blocks_from(Numbers(), 2, 4))
    assert [] == list(blocks_from(Numbers(), 5, 4))
