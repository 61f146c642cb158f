"""Records: keys start with their kind and never collide; no kind is used twice."""

from hansa.chain import records


def test_kinds_are_distinct() -> None:
    """Each kind has its own byte."""
    kinds = {
        name: value
        for name, value in vars(records).items()
        if name.isupper() and isinstance(value, int)
    }
    assert 18 == len(kinds) == len(set(kinds.values()))
    assert all(0 < value < 256 for value in kinds.values())


def test_keys() -> None:
    """Each key starts with its kind; heights are in fixed width."""
    keys = {
        records.ORGANISATION: records.organisation_key("health"),
        records.NODE_KEY: records.node_key_key(b"k"),
        records.USER: records.user_key(b"k"),
        records.BALLOT: records.ballot_key(b"k"),
        records.VOTE: records.vote_key("health"),
        records.DATASET: records.dataset_key(b"k"),
        records.REQUEST: records.request_key(b"k"),
        records.ACCESS: records.access_key(b"k", b"u"),
        records.GRANT_COUNT: records.grant_count_key(b"k", "health"),
        records.SEEN: records.seen_key(b"k"),
        records.SEEN_UNTIL: records.seen_until_key(7),
        records.SEEN_AT: records.seen_at_key(7, 3),
        records.ERASURES: records.erasures_key(7),
        records.TRAIL: records.trail_key(7),
        records.HEAD: records.HEAD_KEY,
        records.ELECTION: records.ELECTION_KEY,
        records.COUNTERS: records.COUNTERS_KEY,
        records.STANDING: records.STANDING_KEY,
    }
    for kind, key in keys.items():
        assert kind == key[0]
    assert 9 == len(records.erasures_key(7)) == len(records.erasures_key(2**40))
