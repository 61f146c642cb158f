"""Transactions: signed bytes, form, ids, golden digests of every operation."""

import typing

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa import limits
from hansa.chain import blocks, genesis, receipts, records, sealed, transactions
from hansa.chain.transactions import (
    AddUser,
    AddVersion,
    AdmitOrganisation,
    Constraint,
    DenyAccess,
    GrantAccess,
    Operation,
    Policy,
    Redescribe,
    RegisterDataset,
    RequestAccess,
    RetireDataset,
    RevokeAccess,
    RevokeUser,
    Rhythm,
    Rule,
    SetPolicy,
    SubmitEvidence,
    SuspendOrganisation,
    UpdateOrganisation,
    VoteSuperNodes,
    decode_named,
    decode_transaction,
    derive_id,
    is_attested,
    is_author_signature,
    sign_transaction,
)
from hansa.codec import digest, encode
from hansa.errors import InvalidError
from hansa.types import Box, Interval

IDENTITY = bytes(range(16))
DIGEST = bytes(range(32))


def every_operation(alliance, kit) -> list[Operation]:
    """Return one of each kind."""
    text = kit.description(
        box=Box(-1, -2, 3, 4),
        interval=Interval(5, 6),
        words=("bus", "stops"),
        features=(1, -2, 127),
    )
    claim = alliance.claim("health")
    policy = Policy((Rule("permission", (Constraint("purpose", "eq", ("audit",)),)),), "deny")
    return [
        AdmitOrganisation(kit.candidate("water")),
        SuspendOrganisation("energy", "reason"),
        UpdateOrganisation(b"certificate", "localhost:1", "https://localhost:2"),
        AddUser(kit.key("u").public, kit.encryption_key("u"), "U", ("reader",)),
        RevokeUser(kit.key("u").public),
        VoteSuperNodes(("energy", "health")),
        RegisterDataset(text, claim, policy),
        AddVersion(IDENTITY, 2, text, claim),
        Redescribe(IDENTITY, text),
        RetireDataset(IDENTITY),
        SetPolicy(IDENTITY, policy),
        RequestAccess(IDENTITY, "audit"),
        GrantAccess(IDENTITY, DIGEST, 7),
        DenyAccess(IDENTITY, "reason"),
        RevokeAccess(IDENTITY, "reason"),
        SubmitEvidence(b"evidence"),
    ]


def test_golden(alliance, kit, golden) -> None:
    """The bytes of every operation and of a transaction with all of them are pinned."""
    operations = every_operation(alliance, kit)
    assert set(typing.get_args(Operation)) == {type(item) for item in operations}
    for item in operations:
        assert golden[type(item).__name__] == digest("golden", encode(item)).hex(), item
    transaction = alliance.sign("health", *operations)
    assert golden["transaction"] == transaction.digest().hex()
    assert golden["id"] == derive_id(transaction.digest(), 1).hex()


@pytest.mark.parametrize(
    "change", [{"rhythm": "sometimes"}, {"column_types": ("integer", "secret")}]
)
def test_only_words_of_the_vocabularies_decode(alliance, kit, change) -> None:
    """Rhythms and types of columns are words of a list: no text gets in by them."""
    wrong = Redescribe(IDENTITY, kit.description(**change))
    with pytest.raises(InvalidError):
        decode_transaction(encode(alliance.sign("health", wrong)))
    for word in typing.get_args(Rhythm):
        right = alliance.sign("health", Redescribe(IDENTITY, kit.description(rhythm=word)))
        assert right == decode_transaction(encode(right))


def test_round_trip(alliance, kit) -> None:
    """What was signed decodes, with every operation."""
    transaction = alliance.sign("health", *every_operation(alliance, kit))
    assert transaction == decode_transaction(encode(transaction))
    assert is_author_signature(transaction)
    assert is_attested(alliance.claim("health").attestation)


@given(position=st.integers(0, 10_000), flip=st.integers(1, 255))
def test_any_changed_byte_is_refused(position: int, flip: int, kit) -> None:
    """Malformed, not canonical or wrongly signed: always the one expected error."""
    alliance = kit.Alliance(kit.make_genesis())
    data = bytearray(encode(alliance.sign("health", VoteSuperNodes(("energy",)))))
    data[position % len(data)] ^= flip
    with pytest.raises(InvalidError):
        decode_transaction(bytes(data))


def test_form(alliance, kit) -> None:
    """None or too many operations, wrong lengths, too many bytes."""
    vote = VoteSuperNodes(())
    most = (vote,) * limits.OPERATIONS_PER_TRANSACTION_MAX
    decode_transaction(encode(alliance.sign("health", *most)))
    plain = alliance.sign("health", vote).body
    for change in (
        {"operations": ()},
        {"operations": (*most, vote)},
        {"nonce": bytes(15)},
        {"alliance": bytes(31)},
        {"confidential": b""},
    ):
        body = msgspec.structs.replace(plain, **change)
        wrong = sign_transaction(body, kit.key("health admin"))
        with pytest.raises(InvalidError):
            decode_transaction(encode(wrong))
    long = alliance.sign(
        "health", SuspendOrganisation("energy", "x" * limits.TRANSACTION_BYTES_MAX)
    )
    with pytest.raises(InvalidError, match="longer"):
        decode_transaction(encode(long))


def test_what_is_known_of_the_bytes_is_not_derived_again(alliance, kit) -> None:
    """A transaction decoded under its digest is the same in every respect."""
    signed = alliance.sign("health", RetireDataset(IDENTITY))
    known = decode_named(encode(signed), signed.digest())
    assert (signed, encode(signed), signed.digest()) == (known, known.canonical, known.digest())
    assert is_author_signature(known)
    with pytest.raises(InvalidError):
        decode_named(encode(signed) + b"\x00", signed.digest())


@pytest.mark.parametrize("length", [0, 1, 63, 65, 300])
def test_a_signature_has_64_bytes(alliance, length: int) -> None:
    """Where the body lies in the canonical bytes rests on that."""
    signed = alliance.sign("health", RetireDataset(IDENTITY))
    other = (signed.signature * 5)[:length]
    assert is_author_signature(signed)
    assert not is_author_signature(msgspec.structs.replace(signed, signature=other))


def test_the_signed_bytes_are_the_bodys(alliance) -> None:
    """They are cut out of the transaction's, not encoded again."""
    signed = alliance.sign("health", RetireDataset(IDENTITY))
    cut = signed.canonical[1 : -transactions._SIGNATURE_ENCODED_BYTES]
    assert encode(signed.body) == cut


def test_ids_differ() -> None:
    """Each operation of each transaction makes its own id of 16 bytes."""
    found = {derive_id(bytes([first]) * 32, index) for first in (1, 2) for index in (0, 1, 256)}
    assert 6 == len(found)
    assert {16} == {len(identity) for identity in found}


def signed_structs() -> list[type]:
    """Return every struct of the formats of the chain."""
    modules = (blocks, genesis, receipts, records, sealed, transactions)
    return [
        kind
        for module in modules
        for kind in vars(module).values()
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct)
    ]


FORBIDDEN = (
    msgspec.inspect.FloatType,
    msgspec.inspect.DictType,
    msgspec.inspect.SetType,
    msgspec.inspect.FrozenSetType,
    msgspec.inspect.ListType,
    msgspec.inspect.AnyType,
    msgspec.inspect.DateTimeType,
    msgspec.inspect.DecimalType,
    msgspec.inspect.ByteArrayType,
)


def assert_plain(kind: object, seen: set[type]) -> None:
    """Walk a type: integers, texts, bytes, tuples and structs only."""
    assert not isinstance(kind, FORBIDDEN), kind
    if isinstance(kind, msgspec.inspect.StructType):
        if kind.cls in seen:
            return
        seen.add(kind.cls)
        assert kind.array_like, kind.cls
        assert kind.forbid_unknown_fields, kind.cls
        assert kind.cls.__struct_config__.frozen, kind.cls
        for field in kind.fields:
            assert_plain(field.type, seen)
    for name in ("item_type", "type"):
        if hasattr(kind, name):
            assert_plain(getattr(kind, name), seen)
    for name in ("types", "item_types"):
        for part in getattr(kind, name, ()):
            assert_plain(part, seen)


def test_no_float_dict_set_or_datetime_in_a_signed_value() -> None:
    """Every struct of the chain, all the way down, is an immutable array of plain values."""
    seen: set[type] = set()
    for kind in signed_structs():
        assert_plain(msgspec.inspect.type_info(kind), seen)
    assert len(seen) > 40
