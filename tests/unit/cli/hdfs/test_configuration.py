"""Tests of hansa.cli.hdfs.configuration: settings from templates, commands of the processes."""

from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from hansa.cli.hdfs.configuration import (
    admin_command,
    datanode_command,
    hadoop_environment,
    namenode_command,
    write_configuration,
)


def _properties(path: Path) -> dict[str, str]:
    return {
        item.findtext("name"): item.findtext("value") for item in ET.parse(path).iter("property")
    }


def test_all_words_are_filled_in(tmp_path: Path) -> None:
    """Loopback addresses, the ports, folders with odd letters; no placeholder is left."""
    folder = tmp_path / "a & b"
    conf = write_configuration(folder, rpc_port=1234, http_port=1235, replication=2)
    core, hdfs = _properties(conf / "core-site.xml"), _properties(conf / "hdfs-site.xml")
    assert core["fs.defaultFS"] == "hdfs://127.0.0.1:1234"
    assert hdfs["dfs.namenode.http-address"] == "127.0.0.1:1235"
    assert hdfs["dfs.replication"] == "2"
    assert hdfs["dfs.namenode.name.dir"] == (folder / "namenode").as_uri()
    assert "@" not in "".join([*core.values(), *hdfs.values()])
    for key in ("dfs.datanode.address", "dfs.datanode.http.address", "dfs.datanode.ipc.address"):
        assert hdfs[key] == "127.0.0.1:0"
    assert (conf / "webapps" / "hdfs").is_dir()
    assert (conf / "log4j.properties").exists()


def test_commands(tmp_path: Path) -> None:
    """Each process has its own log and, for a DataNode, its own folder."""
    jars = tmp_path / "jars"
    name = namenode_command("/bin/java", jars, tmp_path, "-format")
    assert name[0] == "/bin/java"
    assert name[-2:] == ["org.apache.hadoop.hdfs.server.namenode.NameNode", "-format"]
    one, two = (datanode_command("/bin/java", jars, tmp_path, number) for number in (0, 1))
    assert one != two
    assert one[-1] == f"dfs.datanode.data.dir={(tmp_path / 'datanode-0').as_uri()}"
    assert f"{jars}/*:{tmp_path / 'conf'}" in one
    assert "-report" in admin_command("/bin/java", jars, tmp_path, "-report")


def test_hadoop_variables_stay_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """The user's own Hadoop settings do not change ours; the superuser is ours."""
    monkeypatch.setenv("HADOOP_CONF_DIR", "/etc/hadoop")
    monkeypatch.setenv("HADOOP_USER_NAME", "eve")
    found = hadoop_environment()
    assert "HADOOP_CONF_DIR" not in found
    assert found["HADOOP_USER_NAME"] == "hdfs_superuser"
