"""Sealed transactions: only the super nodes named open them, and only as what they are."""

import msgspec
import pytest

from hansa import limits
from hansa.chain import sealed as sealed_module
from hansa.chain.sealed import (
    ConfidentialPart,
    SealedContents,
    SealingKeyNotice,
    add_wraps,
    confidential_digest,
    is_sealing_key_signed,
    open_session,
    open_transaction,
    seal_transaction,
    sign_sealing_key,
    unwrap_content_key,
)
from hansa.chain.transactions import VoteSuperNodes
from hansa.codec import encode
from hansa.crypto.envelope import DecryptionKey
from hansa.errors import CorruptError, InvalidError, MissingError
from hansa.types import NO_DIGEST

OPENERS = {name: DecryptionKey(bytes([number]) * 32) for number, name in enumerate("abcd", 1)}


@pytest.fixture
def notices(alliance, kit):
    """Return a signed announcement for each opener."""
    return tuple(
        sign_sealing_key(
            SealingKeyNotice(
                alliance.state.alliance, 0, kit.key(name).public, opener.public, 1, b""
            ),
            kit.key(name),
        )
        for name, opener in OPENERS.items()
    )


@pytest.fixture
def contents(alliance):
    """Return a transaction with its confidential part."""
    part = encode(ConfidentialPart(bytes(32), "because", ""))
    transaction = alliance.sign(
        "health", VoteSuperNodes(()), confidential=confidential_digest(part)
    )
    return transaction, SealedContents(encode(transaction), part)


def seal(alliance, contents, notices, **changes):
    """Seal to all."""
    transaction, inside = contents
    author = changes.pop("author", transaction.body.author)
    session = open_session(alliance.state.alliance, author, notices, bytes([7]) * 32)
    arguments = {
        "transaction": transaction.digest(),
        "expires": transaction.body.expires,
        "nonce": bytes(12),
    }
    return seal_transaction(inside, session, **{**arguments, **changes})


def test_each_super_node_opens_it(alliance, kit, notices, contents) -> None:
    """All four get the same contents; a fifth gets none."""
    sealed = seal(alliance, contents, notices)
    for name, opener in OPENERS.items():
        opened = open_transaction(sealed, kit.key(name).public, opener)
        inside = SealedContents(opened.transaction, bytes(opened.confidential))
        assert contents[1] == inside
    with pytest.raises(MissingError):
        open_transaction(sealed, kit.key("e").public, OPENERS["a"])
    with pytest.raises(MissingError):
        open_transaction(sealed, kit.key("a").public, OPENERS["b"])
    assert b"because" not in encode(sealed)


def test_contents_are_bound_to_their_names(alliance, kit, notices, contents) -> None:
    """Another alliance or digest on the outside does not open; a lie inside is found."""
    sealed = seal(alliance, contents, notices)
    own = (kit.key("a").public, OPENERS["a"])
    for change in ({"alliance": bytes(32)}, {"transaction": bytes(32)}):
        with pytest.raises(CorruptError):
            open_transaction(msgspec.structs.replace(sealed, **change), *own)
    flipped = sealed.ciphertext[:-1] + bytes([sealed.ciphertext[-1] ^ 1])
    with pytest.raises(CorruptError):
        open_transaction(msgspec.structs.replace(sealed, ciphertext=flipped), *own)
    lie = seal(alliance, contents, notices, transaction=bytes([9]) * 32)
    with pytest.raises(InvalidError):
        open_transaction(lie, *own)


def test_wraps_are_not_exchangeable(alliance, kit, notices, contents) -> None:
    """One super node's wrap under another's name does not open."""
    sealed = seal(alliance, contents, notices)
    swapped = tuple(
        msgspec.structs.replace(wrap, wrapped=sealed.wraps[index - 1].wrapped)
        for index, wrap in enumerate(sealed.wraps)
    )
    wrong = msgspec.structs.replace(sealed, wraps=swapped)
    with pytest.raises(CorruptError):
        open_transaction(wrong, kit.key("a").public, OPENERS["a"])


def test_notices_are_signed(notices, kit) -> None:
    """Every field of an announcement is under its node's signature."""
    notice = notices[0]
    assert is_sealing_key_signed(notice)
    for change in (
        {"epoch": 1},
        {"serial": 2},
        {"sealing_key": bytes(32)},
        {"alliance": bytes(32)},
        {"node_key": kit.key("b").public},
    ):
        assert not is_sealing_key_signed(msgspec.structs.replace(notice, **change))


def test_confidential_digest() -> None:
    """None has none; the salt makes equal words different."""
    assert NO_DIGEST == confidential_digest(b"")
    one = encode(ConfidentialPart(bytes(32), "because", ""))
    other = encode(ConfidentialPart(bytes([1]) * 32, "because", ""))
    assert confidential_digest(one) != confidential_digest(other)


def test_a_wrap_holds_a_key_and_a_ciphertext_is_bounded(
    alliance, kit, notices, contents, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wrap of anything but 32 bytes is malformed; an overlong ciphertext is not even opened."""
    sealed = seal(alliance, contents, notices)
    own = (kit.key("a").public, OPENERS["a"])
    short = add_wraps(msgspec.structs.replace(sealed, wraps=()), bytes(31), notices)
    with pytest.raises(InvalidError, match="32 bytes"):
        open_transaction(short, *own)
    monkeypatch.setattr(limits, "SEALED_TRANSACTION_BYTES_MAX", len(sealed.ciphertext))
    assert open_transaction(sealed, *own).transaction
    monkeypatch.setattr(limits, "SEALED_TRANSACTION_BYTES_MAX", len(sealed.ciphertext) - 1)
    with pytest.raises(InvalidError, match="too long"):
        open_transaction(sealed, *own)


def test_a_session_is_unwrapped_once(alliance, kit, notices, contents, monkeypatch) -> None:
    """Two transactions of a session cost one unwrapping; each has a content key of its own."""
    session = open_session(
        alliance.state.alliance, contents[0].body.author, notices, bytes([7]) * 32
    )
    transaction, inside = contents
    made = [
        seal_transaction(
            inside, session, transaction=transaction.digest(), expires=9, nonce=bytes([number]) * 12
        )
        for number in range(2)
    ]
    calls: list[bytes] = []
    unwrap = DecryptionKey.unwrap
    monkeypatch.setattr(
        DecryptionKey,
        "unwrap",
        lambda self, info, wrapped: (calls.append(wrapped), unwrap(self, info, wrapped))[1],
    )
    own = (kit.key("a").public, OPENERS["a"])
    secrets: dict[bytes, bytes] = {}
    for sealed in made:
        assert inside.transaction == open_transaction(sealed, *own, secrets).transaction
    assert 1 == len(calls) == len(secrets)
    keys = {unwrap_content_key(sealed, *own, secrets) for sealed in made}
    assert 2 == len(keys)
    assert session.secret not in keys
    assert session.secret.hex() not in repr(session)


def test_a_wrap_serves_its_author_alone(alliance, kit, notices, contents) -> None:
    """Another author who carries the wraps of a session along opens nothing, remembered or not."""
    sealed = seal(alliance, contents, notices)
    own = (kit.key("a").public, OPENERS["a"])
    secrets: dict[bytes, bytes] = {}
    assert open_transaction(sealed, *own, secrets).transaction
    stolen = msgspec.structs.replace(sealed, author=kit.key("b").public)
    with pytest.raises(CorruptError):
        open_transaction(stolen, *own, secrets)


def test_remembered_secrets_are_bounded(alliance, kit, notices, contents, monkeypatch) -> None:
    """However many sessions are opened, a super node remembers so many and no more."""
    monkeypatch.setattr(sealed_module, "SECRETS_MAX", 3)
    own = (kit.key("a").public, OPENERS["a"])
    secrets: dict[bytes, bytes] = {}
    for _ in range(5):
        assert open_transaction(seal(alliance, contents, notices), *own, secrets).transaction
    assert 3 == len(secrets)


def test_what_another_super_node_added_opens(alliance, kit, notices, contents) -> None:
    """The content key alone, for this transaction alone, where the session has no wrap."""
    sealed = seal(alliance, contents, notices[1:])
    own = (kit.key("a").public, OPENERS["a"])
    with pytest.raises(MissingError):
        open_transaction(sealed, *own)
    key = unwrap_content_key(sealed, kit.key("b").public, OPENERS["b"])
    rich = add_wraps(sealed, key, notices[:1])
    assert contents[1].transaction == open_transaction(rich, *own).transaction
    other = seal(alliance, contents, notices[1:], nonce=bytes([1]) * 12)
    with pytest.raises(CorruptError):
        open_transaction(msgspec.structs.replace(other, added=rich.added), *own)
