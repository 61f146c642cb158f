"""The genesis: its form, its bounds, its golden digest."""

import msgspec
import pytest

from hansa.chain.genesis import (
    FULL,
    PLAIN,
    SMALL,
    ElectionRules,
    Genesis,
    Parameters,
    RuledGenesis,
    VoteWeight,
    decode_genesis,
    validate_genesis,
    validate_parameters,
)
from hansa.codec import encode
from hansa.errors import InvalidError
from hansa.index.feature_model import MODELS
from hansa.index.features import MODEL


def test_new_alliances_have_the_newest_feature_model() -> None:
    """What is founded for real is described as `index try` describes; the format's default stays."""
    assert MODEL == FULL.feature_model == max(MODELS)
    assert 1 == Parameters().feature_model


def test_golden(alliance, golden) -> None:
    """The alliance id and the root of the first state are pinned."""
    assert golden["genesis"] == alliance.genesis.digest().hex()
    assert golden["state"] == alliance.state.root.hex()


def test_round_trip(alliance) -> None:
    """A genesis file decodes to what was written; a cut one is refused."""
    data = encode(alliance.genesis)
    assert alliance.genesis == decode_genesis(data)
    with pytest.raises(InvalidError):
        decode_genesis(data[:-1])


def test_presets_are_sound() -> None:
    """Both presets pass their own rules."""
    validate_parameters(FULL)
    validate_parameters(SMALL)


@pytest.mark.parametrize(
    "change",
    [
        {"super_nodes": 5},
        {"super_nodes": 0},
        {"super_nodes": 34},
        {"epoch_blocks": 63},
        {"epoch_blocks": 0},
        {"proposal_timeout_ms": 9},
        {"vote_timeout_ms": 600_001},
        {"block_transactions_max": 0},
        {"block_transactions_max": 2_001},
        {"block_bytes_max": 1},
        {"transaction_lifetime_heights": 5_001},
        {"transaction_age_ms_max": 999},
        {"block_time_ahead_ms": 999},
        {"recluster_registrations": 0},
    ],
)
def test_parameters_out_of_range(change: dict) -> None:
    """Every parameter has a range, named in the refusal."""
    with pytest.raises(InvalidError):
        validate_parameters(msgspec.structs.replace(FULL, **change))


def test_wrong_founders(alliance, kit) -> None:
    """Unsorted, twice, sharing a key, too few or unknown super nodes."""
    genesis = alliance.genesis
    founders = genesis.organisations
    twin = msgspec.structs.replace(founders[1], node_key=founders[0].node_key)
    admin = msgspec.structs.replace(founders[1], admin_key=founders[0].admin_key)
    for change in (
        {"organisations": founders[::-1]},
        {"organisations": ()},
        {"organisations": (founders[0], *founders)},
        {"organisations": (founders[0], twin, *founders[2:])},
        {"organisations": (founders[0], admin, *founders[2:])},
        {"super_nodes": kit.NAMES[:3]},
        {"super_nodes": kit.NAMES[3::-1]},
        {"super_nodes": ("energy", "environment", "health", "water")},
    ):
        with pytest.raises(InvalidError):
            validate_genesis(msgspec.structs.replace(genesis, **change))


@pytest.mark.parametrize(
    "change",
    [
        {"name": "H"},
        {"name": "x" * 33},
        {"name": "a\n"},
        {"title": "x" * 301},
        {"admin_name": ""},
        {"node_key": bytes(32)},
        {"admin_key": b"short"},
        {"admin_encryption_key": b"short"},
        {"certificate": b"x" * 2049},
        {"peer_address": ""},
        {"api_url": "x" * 301},
    ],
)
def test_malformed_candidates(alliance, change: dict) -> None:
    """A founder with a field out of its bounds is refused."""
    first = msgspec.structs.replace(alliance.genesis.organisations[0], **change)
    genesis = msgspec.structs.replace(
        alliance.genesis, organisations=(first, *alliance.genesis.organisations[1:])
    )
    with pytest.raises(InvalidError):
        validate_genesis(genesis)


WEIGHED = ElectionRules((VoteWeight("energy", 3), VoteWeight("safety", 9)), weight_cap=2, lead=3)


def ruled(genesis: Genesis, rules: ElectionRules) -> RuledGenesis:
    """Return a genesis of format 2."""
    fields = {name: getattr(genesis, name) for name in genesis.__struct_fields__}
    return RuledGenesis(**{**fields, "format": 2, "election": rules})


def test_rules_of_election(alliance, golden) -> None:
    """Format 2 states them and has its own golden digest; format 1 is read as ever, by plain rules."""
    genesis = ruled(alliance.genesis, WEIGHED)
    assert golden["genesis with rules"] == genesis.digest().hex()
    assert genesis == decode_genesis(encode(genesis))
    assert (WEIGHED, {"energy": 2, "safety": 2}) == (
        genesis.election_rules,
        genesis.election_rules.counted(),
    )
    old = decode_genesis(encode(alliance.genesis))
    assert (Genesis, PLAIN) == (type(old), old.election_rules)
    for data in (encode(genesis)[:-1], encode(genesis).replace(b"\x97\x02", b"\x97\x01", 1)):
        with pytest.raises(InvalidError):
            decode_genesis(data)


@pytest.mark.parametrize(
    "change",
    [
        {"weight_cap": 0},
        {"weight_cap": 1_001},
        {"weight_cap": 1},
        {"lead": 0},
        {"lead": 1_001},
        {"weights": (VoteWeight("energy", 0),)},
        {"weights": (VoteWeight("energy", 1_001),)},
        {"weights": (VoteWeight("water", 2),)},
        {"weights": WEIGHED.weights[::-1]},
        {"weights": (WEIGHED.weights[0],) * 2},
        {"weights": (VoteWeight("energy", 5),), "weight_cap": 5},
    ],
)
def test_rules_that_make_no_sense(alliance, change: dict) -> None:
    """Out of range, unsorted, of nobody, without effect, or one organisation as heavy as the rest."""
    validate_genesis(ruled(alliance.genesis, WEIGHED))
    with pytest.raises(InvalidError):
        validate_genesis(ruled(alliance.genesis, msgspec.structs.replace(WEIGHED, **change)))


def test_a_format_says_what_it_is(alliance) -> None:
    """Plain rules have one form, format 1, so that one alliance has one id."""
    with pytest.raises(InvalidError):
        validate_genesis(ruled(alliance.genesis, PLAIN))
    with pytest.raises(InvalidError):
        validate_genesis(msgspec.structs.replace(alliance.genesis, format=2))
    with pytest.raises(InvalidError):
        validate_genesis(msgspec.structs.replace(ruled(alliance.genesis, WEIGHED), format=1))
