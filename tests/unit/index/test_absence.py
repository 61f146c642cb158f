"""Signed absence: what was said is what is verified; another alliance, key or question is refused."""

import msgspec
import pytest

from hansa.codec import decode, encode
from hansa.crypto.signing import SigningKey
from hansa.errors import InvalidError
from hansa.index.absence import Absence, sign_absence, verify_absence
from hansa.index.question import Circle, Question
from hansa.types import Box, Interval

ALLIANCE, INDEX = b"a" * 32, b"i" * 32
QUESTION = Question(
    words=("lighthouse",), box=Box(0, 0, 1, 1), near=Circle(1, 2, 3), interval=Interval(0, 9)
)


@pytest.fixture
def key():
    return SigningKey(bytes(32))


def test_what_is_signed_is_verified(key):
    """Every field comes back, and the bytes are canonical."""
    data = sign_absence(ALLIANCE, 7, INDEX, QUESTION, key)
    absence = verify_absence(data, ALLIANCE)
    assert (7, INDEX, QUESTION, key.public) == (
        absence.height,
        absence.index_digest,
        absence.question,
        absence.node_key,
    )
    assert data == encode(absence)


@pytest.mark.parametrize(
    "change",
    [{"height": 8}, {"index_digest": b"j" * 32}, {"question": Question()},
     {"node_key": SigningKey(b"1" * 32).public}, {"signature": bytes(64)}],
)  # fmt: skip
def test_any_other_statement_is_refused(key, change):
    """A changed field breaks the signature."""
    absence = decode(Absence, sign_absence(ALLIANCE, 7, INDEX, QUESTION, key))
    with pytest.raises(InvalidError):
        verify_absence(encode(msgspec.structs.replace(absence, **change)), ALLIANCE)


def test_another_alliance_and_broken_bytes_are_refused(key):
    """A statement counts in its own alliance alone."""
    data = sign_absence(ALLIANCE, 7, INDEX, QUESTION, key)
    for statement, alliance in ((data, INDEX), (data[:-1], ALLIANCE), (b"", ALLIANCE)):
        with pytest.raises(InvalidError):
            verify_absence(statement, alliance)
