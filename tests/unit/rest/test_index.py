"""Tests of hansa.rest.index: questions and answers survive their encoding, what is not known is refused."""

import msgspec
import pytest

from hansa.rest import index
from hansa.rest.index import Question
from tests.unit.rest.examples import check, values_of


@values_of(index)
def test_each_kind(kind):
    """There and back; a field missing, more or wrong is refused."""
    check(kind)


def test_a_question_has_defaults():
    """Words alone are a question; a wrong type is refused."""
    question = msgspec.json.decode(b'{"words": "bus"}', type=Question)
    assert question == Question(words="bus")
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(b'{"limit": "many"}', type=Question)
