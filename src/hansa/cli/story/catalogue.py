"""The sample: real open city data that ships with Hansa, and what is said of each dataset."""

from pathlib import Path

import msgspec

from hansa.cli.values import FROM, TO

SAMPLE = Path(__file__).resolve().parents[1] / "sample"


class SampleDataset(msgspec.Struct, frozen=True, kw_only=True):
    """One dataset of the sample."""

    organisation: str
    title: str
    description: str
    keywords: list[str]
    themes: list[str]
    place: str
    bbox: list[float] | None
    from_date: str | None = msgspec.field(name="from")
    to_date: str | None = msgspec.field(name="to")
    licence: str
    source: str
    format: list[str]
    versions: list[list[str]]
    """Files of each version, relative to the sample's folder, oldest first."""

    def paths(self, version: int) -> list[Path]:
        """Return the files of a version, counted from 1."""
        return [SAMPLE / name for name in self.versions[version - 1]]

    def texts(self) -> dict[str, object]:
        """Return what `HansaClient.publish` takes beside the files."""
        return {
            "title": self.title,
            "description": self.description,
            "keywords": self.keywords,
            "themes": self.themes,
            "place": self.place or None,
            "bbox": self.bbox,
            "from_ms": FROM.convert(self.from_date, None, None) if self.from_date else None,
            "to_ms": TO.convert(self.to_date, None, None) if self.to_date else None,
            "licence": self.licence,
        }


class _Catalogue(msgspec.Struct, frozen=True):
    format: int
    datasets: list[SampleDataset]


def load_sample() -> list[SampleDataset]:
    """Return the datasets of the sample."""
    data = (SAMPLE / "catalogue.json").read_bytes()
    return msgspec.json.decode(data, type=_Catalogue).datasets
