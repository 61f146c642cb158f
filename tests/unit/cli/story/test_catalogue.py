"""The sample's catalogue: every file is there, every text can be published."""

from hansa.cli.story.catalogue import SAMPLE, load_sample
from hansa.cli.story.stage import ORGANISATIONS
from hansa.client.describe import Sniffed, describe, to_subject


def test_every_file_is_there_and_every_owner_takes_part() -> None:
    """Each version has files; each organisation of the story publishes something."""
    sample = load_sample()
    for item in sample:
        for number in range(1, len(item.versions) + 1):
            assert item.paths(number)
            assert all(
                path.is_relative_to(SAMPLE) and path.is_file() for path in item.paths(number)
            )
    assert {item.organisation for item in sample} == set(ORGANISATIONS)
    assert any(len(item.versions) >= 3 for item in sample)
    assert len({item.title for item in sample}) == len(sample)


def test_every_text_is_within_the_chain_s_bounds() -> None:
    """What the catalogue says of a dataset becomes a description."""
    for item in load_sample():
        description = describe(to_subject(item.texts()), Sniffed(formats=("csv",)), 1)  # type: ignore[arg-type]
        assert description.title == item.title
        assert (description.interval is None) == (item.from_date is None and item.to_date is None)
        assert item.licence
        assert item.source
