"""Profiles: found, written and refused."""

import stat
from dataclasses import replace

import pytest

from hansa.client import profile as module
from hansa.client.profile import (
    certificate_der,
    list_profiles,
    load_genesis,
    load_profile,
    passphrase_from_environment,
    profile_path,
    profiles_folder,
    save_profile,
)
from hansa.errors import ConflictError, CorruptError, HansaError, InvalidError, MissingError


@pytest.fixture(autouse=True)
def _home(tmp_path, monkeypatch):
    monkeypatch.setenv("HANSA_HOME", str(tmp_path / "home"))
    for name in ("HANSA_PROFILE", "HANSA_PASSPHRASE"):
        monkeypatch.delenv(name, raising=False)


def test_what_is_saved_is_loaded(pair):
    """By name, by path, and as the only one there; the file is for its user alone."""
    profile = pair.owner.profile
    path = save_profile(profile)
    assert path == profiles_folder() / "health.toml"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert profile == load_profile("health") == load_profile(str(path)) == load_profile()
    assert list_profiles() == ["health"]


def test_paths_below_the_profile_are_relative(pair, tmp_path):
    """A folder with profile and keys can be moved as a whole."""
    folder = tmp_path / "keys" / "health"
    path = save_profile(pair.owner.profile, folder / "p.toml")
    assert 'user_key = "user.key"' in path.read_text()
    moved = tmp_path / "moved"
    folder.rename(moved)
    assert load_profile(str(moved / "p.toml")).user_key == moved / "user.key"


def test_the_environment_names_a_profile(pair, monkeypatch):
    """HANSA_PROFILE counts where none is named, and a name given counts before it."""
    save_profile(pair.owner.profile)
    save_profile(pair.reader.profile)
    with pytest.raises(MissingError, match="health, transport"):
        load_profile()
    monkeypatch.setenv("HANSA_PROFILE", "transport")
    assert load_profile().name == "transport"
    assert load_profile("health").name == "health"


def test_missing_profiles_are_listed(pair):
    """A wrong name and an empty home both say what to do."""
    with pytest.raises(MissingError, match="devnet up"):
        load_profile()
    save_profile(pair.owner.profile)
    with pytest.raises(MissingError, match="health"):
        load_profile("helth")
    with pytest.raises(InvalidError):
        profile_path("sp ace")


def test_a_profile_is_not_replaced_unasked(pair):
    """A second save of one name is a conflict unless it may overwrite."""
    save_profile(pair.owner.profile)
    with pytest.raises(ConflictError):
        save_profile(pair.owner.profile)
    changed = replace(pair.owner.profile, node_url="https://127.0.0.1:3")
    save_profile(changed, overwrite=True)
    assert load_profile("health").node_url == "https://127.0.0.1:3"
    assert [path.name for path in profiles_folder().iterdir()] == ["health.toml"]


@pytest.mark.parametrize(
    ("old", "new", "kind"),
    [
        ("format = 1", "format = 2", InvalidError),
        ("format = 1", "format = ", CorruptError),
        ("https://", "http://", InvalidError),
        ('organisation = "health"', 'organisation = "He alth"', InvalidError),
        ('node_key = "', 'node_key = "zz', InvalidError),
        ('node_key = "', 'node_key = "00', InvalidError),
        ("format = 1", "format = 1\nextra = 1", InvalidError),
        ("format = 1", "format = 1\n#" + "x" * module.PROFILE_BYTES_MAX, InvalidError),
    ],
)
def test_malformed_profiles_are_refused(pair, old, new, kind):
    """Each with the file named."""
    path = save_profile(pair.owner.profile)
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(kind, match=r"health\.toml"):
        load_profile("health")


def test_what_cannot_be_written_is_refused(pair):
    """Nothing that could not be loaded again is written."""
    for change in ({"node_url": "http://x"}, {"name": "a\x7fb"}):
        with pytest.raises(HansaError):
            save_profile(replace(pair.owner.profile, **change), profiles_folder() / "x.toml")
    assert list_profiles() == []


def test_the_genesis_must_be_the_alliances(pair):
    """A missing genesis and one of another alliance are told apart."""
    assert load_genesis(pair.owner.profile) == pair.city.genesis
    other = replace(pair.owner.profile, alliance=bytes(32))
    with pytest.raises(InvalidError, match="another alliance"):
        load_genesis(other)
    pair.owner.profile.genesis_file.unlink()
    with pytest.raises(MissingError):
        load_genesis(pair.owner.profile)


def test_certificate_and_passphrase(pair, monkeypatch):
    """PEM becomes DER; the passphrase comes from the environment or not at all."""
    assert certificate_der(pair.owner.profile) == pair.members[0].certificate
    with pytest.raises(InvalidError):
        certificate_der(replace(pair.owner.profile, node_certificate="none"))
    assert passphrase_from_environment() is None
    monkeypatch.setenv("HANSA_PASSPHRASE", "correct horse")
    assert passphrase_from_environment() == b"correct horse"


def test_an_unreadable_profile(tmp_path):
    """A folder in a profile's place is refused with a message."""
    (tmp_path / "home" / "profiles" / "d.toml").mkdir(parents=True)
    with pytest.raises(InvalidError, match="cannot be read"):
        load_profile("d")
