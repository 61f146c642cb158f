"""Records of the vote log."""

import pytest

from hansa.codec import encode
from hansa.consensus.records import ProposalRecord, decode_records
from hansa.errors import InvalidError
from hansa.types import Digest, Height, Round


def test_records_survive_the_disk() -> None:
    """Encoded and decoded they are the same."""
    record = ProposalRecord(Height(1), Round(2), Digest(b"d" * 32))
    assert [record] == decode_records([encode(record)])


def test_a_foreign_record_stops_the_node() -> None:
    """A log that is not ours must not be voted on."""
    with pytest.raises(InvalidError):
        decode_records([b"nonsense"])
