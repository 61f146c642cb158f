"""Hadoop's settings for a cluster on this machine, written from the templates in `conf`."""

import os
import shutil
from pathlib import Path

from hansa.cli.hdfs.jars import CONF

HOST = "127.0.0.1"
LOG4J_LEVEL = "WARN"
SUPERUSER = "hdfs_superuser"
"""Who the NameNode takes for its superuser: no organisation can be called so."""
_WEB_PAGES = ("hdfs", "datanode", "static")


def write_configuration(folder: Path, *, rpc_port: int, http_port: int, replication: int) -> Path:
    """Write a cluster's `conf` folder, a HADOOP_CONF_DIR for clients too; return it.

    Args:
        folder: the cluster's; its data lie there as well.
        rpc_port: the NameNode's, for clients and DataNodes.
        http_port: the NameNode's, for WebHDFS and figures.
        replication: copies of a block where a client does not say.
    """
    conf = folder / "conf"
    conf.mkdir(parents=True, exist_ok=True)
    values = {
        "HOST": HOST,
        "DIR": str(folder),
        "URI": folder.as_uri(),
        "NN_RPC": str(rpc_port),
        "NN_HTTP": str(http_port),
        "REPL": str(replication),
        "MIN_DN": str(replication),
    }
    for name in ("core-site.xml", "hdfs-site.xml"):
        text = (CONF / name).read_text(encoding="utf-8")
        for word, value in values.items():
            text = text.replace(f"@{word}@", _escape(value))
        (conf / name).write_text(text, encoding="utf-8")
    for name in ("log4j.properties", "jul.properties"):
        shutil.copy(CONF / name, conf / name)
    for name in _WEB_PAGES:
        # The jars leave the web pages out, and the servers want their folders on the class path.
        (conf / "webapps" / name).mkdir(parents=True, exist_ok=True)
    return conf


def namenode_command(java: str, jars: Path, folder: Path, *arguments: str) -> list[str]:
    """Return the command that runs a cluster's NameNode, or formats it with `-format`."""
    main = "org.apache.hadoop.hdfs.server.namenode.NameNode"
    return [*_java(java, jars, folder, "namenode", heap_mib=96), main, *arguments]


def datanode_command(java: str, jars: Path, folder: Path, number: int) -> list[str]:
    """Return the command that runs one DataNode of a cluster."""
    main = "org.apache.hadoop.hdfs.server.datanode.DataNode"
    name = datanode_name(number)
    data = f"dfs.datanode.data.dir={(folder / name).as_uri()}"
    return [*_java(java, jars, folder, name, heap_mib=64), main, "-D", data]


def admin_command(java: str, jars: Path, folder: Path, *arguments: str) -> list[str]:
    """Return the command `hdfs dfsadmin …` of a cluster."""
    main = "org.apache.hadoop.hdfs.tools.DFSAdmin"
    return [*_java(java, jars, folder, "admin", heap_mib=64), main, *arguments]


def hadoop_environment() -> dict[str, str]:
    """Return an environment in which Hadoop is its own superuser, and the user's settings stay out."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HADOOP_")}
    return {**kept, "HADOOP_USER_NAME": SUPERUSER}


def datanode_name(number: int) -> str:
    """Return the name of a DataNode's folder and log."""
    return f"datanode-{number}"


def _java(java: str, jars: Path, folder: Path, name: str, *, heap_mib: int) -> list[str]:
    """Return how a Java process of a cluster begins; four of them take 470 MiB at rest."""
    return [
        java,
        f"-Xmx{heap_mib}m",
        "-Xms32m",
        "-XX:+UseSerialGC",
        "-XX:TieredStopAtLevel=1",
        "-Xss512k",
        "-XX:ReservedCodeCacheSize=32m",
        f"-XX:MaxDirectMemorySize={max(heap_mib, 64)}m",
        "-XX:-UsePerfData",
        "-XX:+ExitOnOutOfMemoryError",
        "-Djava.net.preferIPv4Stack=true",
        # Hadoop 3.4 on Java 17: without it each WebHDFS request ends in status 500.
        "--add-opens=java.base/java.lang=ALL-UNNAMED",
        f"-Djava.util.logging.config.file={folder / 'conf' / 'jul.properties'}",
        f"-Dhansa.log.file={folder / 'log' / (name + '.log')}",
        f"-Dhansa.log.level={LOG4J_LEVEL}",
        "-cp",
        f"{jars}/*:{folder / 'conf'}",
    ]


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;")
