"""Tests of node.config."""

from pathlib import Path

import msgspec
import pytest

from hansa.errors import InvalidError, MissingError
from hansa.node.config import (
    IndexSection,
    KeySection,
    Listen,
    NodeConfig,
    StoreSection,
    decode_config,
    encode_config,
    is_hdfs,
    load_config,
    parse_size,
    read_passphrase,
    split_address,
    store_folder,
)

GOOD = NodeConfig(organisation="transport", listen=Listen(peer="[::1]:7001", api="host:0"))


def test_round_trip() -> None:
    """What is written for a new folder is read back the same."""
    odd = msgspec.structs.replace(
        GOOD, store=StoreSection(url='file:///a "b"\\c'), index=IndexSection(place="store")
    )
    assert odd == decode_config(encode_config(odd).encode())


def test_round_trip_of_hdfs() -> None:
    """All that HDFS needs stands in [store], and is left out for a folder."""
    section = StoreSection(
        url="hdfs://city:8020/transport",
        replication=2,
        user="transport",
        hadoop_conf_dir="conf",
        kerberos_principal="transport@CITY",
        kerberos_keytab="transport.keytab",
        config={"dfs.nameservices": "city", 'odd "key"': "x\\y"},
    )
    stored = msgspec.structs.replace(GOOD, store=section)
    assert stored == decode_config(encode_config(stored).encode())
    assert is_hdfs(stored)
    assert not is_hdfs(GOOD)
    assert "kerberos" not in encode_config(GOOD)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (("organisation =", "organisaton ="), "organisaton"),
        (('peer = "[::1]:7001"', "peer = 7001"), "$.listen.peer"),
        (('api = "host:0"', 'api = "host:99999"'), "listen.api"),
        (('api = "host:0"', 'api = "host"'), "listen.api"),
        (('level = "info"', 'level = "loud"'), "$.log.level"),
        (('place = "folder"', 'place = "cloud"'), "$.index.place"),
        (('"transport"', '"Transport!"'), "organisation"),
        (('url = "file:store"', 'url = "hdfs://n:1/"'), "store.url"),
        (('url = "file:store"', 'url = "hdfs:/x"'), "store.url"),
        (('url = "file:store"', 'url = "tape:x"'), "store.url"),
        (('url = "file:store"', 'url = "file://host/x"'), "store.url"),
        (("quota_bytes = 0", 'quota_bytes = "much"'), "store.quota_bytes"),
        (("quota_bytes = 0", "quota_bytes = -1"), "store.quota_bytes"),
        (("collect_every_h = 24", "collect_every_h = -1"), "store.collect_every_h"),
        (("files_max = 4", "files_max = 0"), "log.files_max"),
        (("file_bytes_max = 16777216", "file_bytes_max = 1"), "log.file_bytes_max"),
        (("disk_free_bytes_min = 268435456", "disk_free_bytes_min = -1"), "disk_free_bytes_min"),
        (("[listen]", "[listen"), "node.toml"),
    ],
)
def test_errors_name_the_key(change: tuple[str, str], named: str) -> None:
    """A wrong setting is refused with its name."""
    text = encode_config(GOOD)
    assert change[0] in text
    with pytest.raises(InvalidError) as caught:
        decode_config(text.replace(*change).encode())
    assert named in str(caught.value)


def test_sizes() -> None:
    """A size is a number of bytes, or text with a binary unit."""
    for given, size in ((0, 0), (4096, 4096), ("4096", 4096), ("1 B", 1), ("512MiB", 512 << 20),
                        ("200 GiB", 200 << 30), ("3 TiB", 3 << 40)):  # fmt: skip
        assert size == parse_size(given, "x")
        stored = msgspec.structs.replace(GOOD, store=StoreSection(quota_bytes=given))
        assert stored == decode_config(encode_config(stored).encode())
    for bad in ("", "GiB", "1 GB", "1.5 GiB", "-1", -1, "١ GiB"):
        with pytest.raises(InvalidError, match="x = "):
            parse_size(bad, "x")


def test_load(tmp_path: Path) -> None:
    """A folder without settings is no node folder; absurdly long ones are refused."""
    with pytest.raises(MissingError, match="no node folder"):
        load_config(tmp_path)
    (tmp_path / "node.toml").write_text(encode_config(GOOD))
    assert GOOD == load_config(tmp_path)
    with pytest.raises(InvalidError, match="longer"):
        decode_config(b"#" * 100_000)


def test_addresses_and_stores(tmp_path: Path) -> None:
    """Addresses are split, stores lie in the folder or at an absolute place."""
    assert ("::1", 7001) == split_address("[::1]:7001", "x")
    for bad in ("", ":1", "host:", "host:x", "host:-1", "host:٣"):
        with pytest.raises(InvalidError, match="x = "):
            split_address(bad, "x")
    assert tmp_path / "store" == store_folder(GOOD, tmp_path)
    absolute = msgspec.structs.replace(GOOD, store=StoreSection(url="file:///srv/a%20b"))
    assert Path("/srv/a b") == store_folder(absolute, tmp_path)


def test_passphrase(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The variable goes before the file; none is None; a named file must be there."""
    monkeypatch.delenv("HANSA_PASSPHRASE", raising=False)
    assert read_passphrase(GOOD, tmp_path) is None
    named = msgspec.structs.replace(GOOD, keys=KeySection(passphrase_file="secret.txt"))
    with pytest.raises(MissingError, match=r"secret\.txt"):
        read_passphrase(named, tmp_path)
    (tmp_path / "secret.txt").write_bytes(b"from the file\r\nsecond line")
    assert read_passphrase(named, tmp_path) == b"from the file"
    monkeypatch.setenv("HANSA_PASSPHRASE", "from outside")
    assert read_passphrase(named, tmp_path) == b"from outside"
