"""Datasets: who may register and change them, and that the owner's node vouches for the data."""

import msgspec
import pytest

from hansa import limits
from hansa.chain.transactions import (
    AddVersion,
    Constraint,
    Policy,
    Redescribe,
    RegisterDataset,
    RetireDataset,
    Rule,
    SetPolicy,
)
from hansa.index.features import FEATURES, Described, derive
from hansa.types import Box, Interval


def test_register_and_versions(alliance, kit) -> None:
    """A dataset gets its first version at once and the next by number."""
    identity = alliance.register("health")
    dataset = alliance.state.dataset(identity)
    assert ("health", "active", 1) == (dataset.owner, dataset.status, dataset.versions[0].number)
    assert 1 == alliance.state.organisation("health").datasets
    second = alliance.claim("health", "2")
    text = kit.description("Bus stops 2")
    for number in (1, 3):
        assert "wrong-version" == alliance.act("health", AddVersion(identity, number, text, second))
    assert "" == alliance.act("health", AddVersion(identity, 2, text, second))
    dataset = alliance.state.dataset(identity)
    assert [1, 2] == [version.number for version in dataset.versions]
    assert ("Bus stops 2", second.manifest_root) == (
        dataset.description.title,
        dataset.versions[1].manifest_root,
    )
    assert (identity,) == tuple(item.id for item in alliance.state.datasets())


def test_two_datasets_in_one_transaction(alliance, kit) -> None:
    """Each operation gets an id of its own."""
    operations = [
        RegisterDataset(kit.description(), alliance.claim("health", text), Policy())
        for text in "ab"
    ]
    assert "" == alliance.act("health", *operations)
    assert 2 == len(alliance.state.datasets())


@pytest.mark.parametrize(
    "change",
    [
        {"organisation": "energy"},
        {"manifest_root": b"x" * 32},
    ],
)
def test_the_attestation_is_the_owners_nodes(alliance, kit, change: dict) -> None:
    """Another organisation's, another manifest's, another key's, an unsigned one: refused."""
    operation = RegisterDataset(kit.description(), alliance.claim("health", **change), Policy())
    assert "wrong-attestation" == alliance.act("health", operation)
    for claim in (alliance.claim("energy"), alliance.claim("energy", organisation="health")):
        foreign = RegisterDataset(kit.description(), claim, Policy())
        assert "wrong-attestation" == alliance.act("health", foreign)


def test_an_attestation_is_signed_and_in_time(alliance, kit) -> None:
    """A changed figure breaks it; the lease's last millisecond still counts."""
    claim = alliance.claim("health")
    forged = msgspec.structs.replace(claim.attestation, stored_bytes=1)
    operation = RegisterDataset(
        kit.description(), msgspec.structs.replace(claim, attestation=forged), Policy()
    )
    assert "wrong-attestation" == alliance.act("health", operation)
    block_time = alliance.state.time_ms + 1_000
    late = alliance.claim("health", leased_until_ms=block_time - 1)
    code = alliance.act("health", RegisterDataset(kit.description(), late, Policy()))
    assert "attestation-expired" == code
    block_time = alliance.state.time_ms + 1_000
    just = alliance.claim("health", leased_until_ms=block_time)
    assert "" == alliance.act("health", RegisterDataset(kit.description(), just, Policy()))


@pytest.mark.parametrize(
    "change",
    [
        {"content_bytes": -1},
        {"files": 0},
        {"chunks": -1},
        {"manifest_root": bytes(32)},
        {"manifest_root": b"short"},
        {"content_bytes": 2**63},
    ],
)
def test_malformed_versions(alliance, kit, change: dict) -> None:
    """A figure out of its bounds is refused."""
    claim = msgspec.structs.replace(alliance.claim("health"), **change)
    code = alliance.act("health", RegisterDataset(kit.description(), claim, Policy()))
    assert "malformed-version" == code


@pytest.mark.parametrize("size", [0, -1, limits.MANIFEST_BYTES_MAX + 1])
def test_malformed_manifests(alliance, kit, size: int) -> None:
    """A manifest of no bytes or too many is refused, even where its owner's node attests it."""
    claim = alliance.claim("health", manifest_bytes=size)
    code = alliance.act("health", RegisterDataset(kit.description(), claim, Policy()))
    assert "malformed-version" == code


def test_versions_are_bounded(alliance, kit, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last version that fits is taken, the next is refused."""
    monkeypatch.setattr(limits, "VERSIONS_PER_DATASET_MAX", 2)
    identity = alliance.register("health")
    for number, code in ((2, ""), (3, "too-many-versions")):
        claim = alliance.claim("health", str(number))
        added = AddVersion(identity, number, kit.description(), claim)
        assert code == alliance.act("health", added)


@pytest.mark.parametrize(
    "change",
    [
        {"title": ""},
        {"title": "x" * (limits.TITLE_CHARACTERS_MAX + 1)},
        {"description": "x" * (limits.DESCRIPTION_CHARACTERS_MAX + 1)},
        {"keywords": ("x",) * (limits.KEYWORDS_MAX + 1)},
        {"keywords": ("",)},
        {"words": ("b", "a")},
        {"words": ("a", "a")},
        {"features": (128,)},
        {"features": (-128,)},
        {"features": (0,) * (limits.FEATURES_MAX + 1)},
        {"feature_model": 2},
        {"box": Box(1, 0, 0, 0)},
        {"box": Box(0, 0, 0, 90_000_001)},
        {"interval": Interval(2, 1)},
        {"column_types": ("text",)},
        {"column_types": ("text", "text", "text")},
        {"columns": (), "column_types": ("text",)},
    ],
)
def test_malformed_descriptions(alliance, kit, change: dict) -> None:
    """Every bound of a description is kept, on the way in and on a change."""
    wrong = kit.description(**change)
    operation = RegisterDataset(wrong, alliance.claim("health"), Policy())
    assert "malformed-description" == alliance.act("health", operation)
    identity = alliance.register("health")
    assert "malformed-description" == alliance.act("health", Redescribe(identity, wrong))


@pytest.mark.parametrize(
    "change",
    [
        {"words": ("all", "bus")},
        {"words": ("zzz",)},
        {"words": ()},
        {"features": ()},
        {"features": (0,) * FEATURES},
        {"features": derive(Described("Bus lanes")).features},
        {"rhythm": "weekly", "words": ("all", "bus", "city", "daily", "id")},
    ],
)
def test_words_and_features_are_computed_again(alliance, kit, change: dict) -> None:
    """A publisher cannot say words or features that its description does not have."""
    false = kit.description(**change)
    operation = RegisterDataset(false, alliance.claim("health"), Policy())
    assert "false-features" == alliance.act("health", operation)
    identity = alliance.register("health")
    assert "false-features" == alliance.act("health", Redescribe(identity, false))
    added = AddVersion(identity, 2, false, alliance.claim("health", "2"))
    assert "false-features" == alliance.act("health", added)


def test_the_size_in_the_features_is_the_versions(kit) -> None:
    """Under model 2 a description follows from its version's size too, unless columns are withheld."""
    parameters = msgspec.structs.replace(kit.PARAMETERS, feature_model=2)
    alliance = kit.Alliance(kit.make_genesis(parameters))

    def described(content_bytes: int, **changes: object):
        return kit.description(content_bytes=content_bytes, feature_model=2, **changes)

    claim = alliance.claim("health")
    true, false = described(claim.content_bytes), described(10**9)
    assert "false-features" == alliance.act("health", RegisterDataset(false, claim, Policy()))
    assert "" == alliance.act("health", RegisterDataset(true, claim, Policy()))
    (dataset,) = alliance.state.datasets()
    larger = msgspec.structs.replace(alliance.claim("health", "2"), content_bytes=10**9)
    assert "false-features" == alliance.act("health", AddVersion(dataset.id, 2, true, larger))
    assert "" == alliance.act("health", AddVersion(dataset.id, 2, false, larger))
    assert "false-features" == alliance.act("health", Redescribe(dataset.id, true))
    assert "" == alliance.act("health", Redescribe(dataset.id, false))
    withheld = described(5, columns=(), column_types=())
    assert "" == alliance.act("health", Redescribe(dataset.id, withheld))
    assert "malformed-description" == alliance.act(
        "health", Redescribe(dataset.id, kit.description())
    )


def test_bounds_of_a_description_are_inclusive(alliance, kit) -> None:
    """The largest sound description is taken."""
    largest = kit.description(
        title="x" * limits.TITLE_CHARACTERS_MAX,
        box=Box(-180_000_000, -90_000_000, 180_000_000, 90_000_000),
        interval=Interval(5, 5),
    )
    operation = RegisterDataset(largest, alliance.claim("health"), Policy())
    assert "" == alliance.act("health", operation)


def test_only_the_owner_changes_a_dataset(alliance, kit) -> None:
    """Others are refused, whatever the change; so is everybody once it is retired."""
    identity = alliance.register("health")
    changes = (
        AddVersion(identity, 2, kit.description(), alliance.claim("energy")),
        Redescribe(identity, kit.description()),
        SetPolicy(identity, Policy()),
        RetireDataset(identity),
    )
    for operation in changes:
        assert "not-owner" == alliance.act("energy", operation)
    assert "unknown-dataset" == alliance.act("health", RetireDataset(bytes(16)))
    assert "" == alliance.act("health", Redescribe(identity, kit.description("New")))
    assert "New" == alliance.state.dataset(identity).description.title
    assert "" == alliance.act("health", RetireDataset(identity))
    for operation in changes:
        assert "dataset-retired" == alliance.act("health", operation)


def test_roles(alliance, kit) -> None:
    """A publisher publishes, an officer sets the policy, neither does the other's."""
    identity = alliance.register("health")
    alliance.add_user("health", "clerk", "publisher")
    alliance.add_user("health", "chief", "officer")
    operation = RegisterDataset(kit.description(), alliance.claim("health", "2"), Policy())
    assert "" == alliance.act("clerk", operation)
    assert "role-missing" == alliance.act("chief", operation)
    assert "role-missing" == alliance.act("chief", Redescribe(identity, kit.description()))
    assert "role-missing" == alliance.act("chief", RetireDataset(identity))
    assert "role-missing" == alliance.act("clerk", SetPolicy(identity, Policy()))
    assert "" == alliance.act("chief", SetPolicy(identity, Policy(undecided="deny")))
    assert "deny" == alliance.state.dataset(identity).policy.undecided


def test_unsound_policies_are_refused(alliance, kit) -> None:
    """A rule that makes no sense never reaches the state."""
    wrong = Policy((Rule("permission", (Constraint("time", "isAnyOf", ("1",)),)),))
    operation = RegisterDataset(kit.description(), alliance.claim("health"), wrong)
    assert "malformed-policy" == alliance.act("health", operation)
    identity = alliance.register("health")
    assert "malformed-policy" == alliance.act("health", SetPolicy(identity, wrong))
