"""Limits: positive integers, and relations that a block or a frame rests on."""

from hansa import limits


def test_all_are_positive_integers() -> None:
    """No bound is missing a value."""
    for name, value in vars(limits).items():
        if name.isupper():
            assert isinstance(value, int), name
            assert value > 0, name


def test_relations() -> None:
    """The largest of one kind fits into the carrier of the next."""
    assert limits.ERASURES_PER_BLOCK_MAX >= limits.SUPER_NODES_MAX
    assert limits.SUPER_NODES_MAX % 3 == 1
    described = (
        limits.TITLE_CHARACTERS_MAX
        + limits.DESCRIPTION_CHARACTERS_MAX
        + limits.KEYWORD_CHARACTERS_MAX
        * (limits.KEYWORDS_MAX + limits.THEMES_MAX + limits.FORMATS_MAX + limits.COLUMNS_MAX)
    )
    assert 4 * described < limits.TRANSACTION_BYTES_MAX
    assert limits.JUSTIFICATION_CHARACTERS_MAX * 4 < limits.CONFIDENTIAL_BYTES_MAX
    assert limits.CONFIDENTIAL_BYTES_MAX < limits.NOTE_BYTES_MAX
