"""`hansa user`: listing, registering with a warning about bare keys, revoking."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from hansa import rest
from tests.unit.cli.conftest import KEY, Desk, committed

VIEW = rest.UserView(
    organisation="health", name="Desk", key=KEY, encryption_key="aa" * 32,
    roles=["reader", "officer"], status="active",
)  # fmt: skip


def test_ls_is_of_the_own_organisation(desk: Desk) -> None:
    """Unless another is named."""
    desk.answers["/v1/users"] = [VIEW]
    text = desk("user", "ls").stdout
    assert KEY in text
    assert "reader, officer" in text
    assert desk.client.calls[0][1] == ({"organisation": "health"},)
    assert desk.json("user", "ls", "--organisation", "safety")[0]["key"] == KEY
    assert desk.client.calls[1][1] == ({"organisation": "safety"},)


def test_add(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Key and profile are printed; keys without a passphrase are warned of, on standard error."""
    desk.answers["add_user"] = SimpleNamespace(key=KEY, profile=Path("p.toml"), status=committed())
    words = ("user", "add", "Desk", "--role", "reader", "--role", "officer", "--new-profile", "d")
    told = desk.json(*words)
    assert (told["key"], told["profile"]) == (KEY, "p.toml")
    assert desk.client.calls[0][1] == ("Desk", ("reader", "officer"))
    assert "HANSA_PASSPHRASE" in desk(*words).stderr


def test_add_with_a_passphrase_warns_of_nothing(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Protected keys need no warning."""
    monkeypatch.setenv("HANSA_PASSPHRASE", "long enough")
    desk.answers["add_user"] = SimpleNamespace(key=KEY, profile=Path("p.toml"), status=committed())
    done = desk("user", "add", "Desk", "--role", "reader", "--new-profile", "d")
    assert done.stderr == ""


@pytest.mark.parametrize("name", ["../np3", "a/b", "/np3", "x.toml", "", "a b"])
def test_a_new_profile_has_a_plain_name(desk: Desk, name: str, tmp_path: Path) -> None:
    """A path would put keys elsewhere: refused before any key is made or anything is sent."""
    before = sorted(tmp_path.rglob("*"))
    assert desk("user", "add", "D", "--role", "reader", "--new-profile", name).exit_code == 3
    assert desk.client.calls == []
    assert sorted(tmp_path.rglob("*")) == before


def test_roles_are_known_words(desk: Desk) -> None:
    """A role that is none, or none at all, is wrong usage."""
    assert desk("user", "add", "D", "--role", "king", "--new-profile", "d").exit_code == 2
    assert desk("user", "add", "D", "--new-profile", "d").exit_code == 2
    assert desk.client.calls == []


def test_revoke(desk: Desk) -> None:
    """By key; a key has 64 hex digits."""
    desk.answers["revoke_user"] = committed()
    assert desk.json("user", "revoke", KEY)["key"] == KEY
    assert desk.client.calls[0][1] == (bytes.fromhex(KEY),)
    assert desk("user", "revoke", "Desk").exit_code == 2
