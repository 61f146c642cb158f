"""Tests of hansa.rest.election: an answer of an older node is read, an unknown field is refused."""

import msgspec
import pytest

from hansa.rest import election
from hansa.rest.election import CandidateView, SuperNodesView
from tests.unit.rest.examples import check, values_of

OLD = (
    b'{"epoch":1,"epoch_ends_at":8,"seats":4,"faults":1,"quorum":3,"candidates":[{"organisation":"a",'
    b'"votes":2,"voters":["a","b"],"is_super_node":true,"is_next":true}]}'
)


def test_what_an_older_node_does_not_say():
    """No weights, no lead: every vote counts once, and one more takes a seat."""
    view = msgspec.json.decode(OLD, type=SuperNodesView)
    assert (1, 1, 0) == (view.lead, view.candidates[0].weight, view.candidates[0].owed)
    assert view == msgspec.json.decode(msgspec.json.encode(view), type=SuperNodesView)


def test_what_is_not_known_is_refused():
    """A field of another meaning is not passed over."""
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(OLD.replace(b'"votes"', b'"shares"'), type=SuperNodesView)
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(b"{}", type=CandidateView)


@values_of(election)
def test_each_kind(kind):
    """There and back; a field missing, more or wrong is refused."""
    check(kind)
