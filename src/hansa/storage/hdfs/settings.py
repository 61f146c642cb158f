"""Where an HDFS store lies, and as whom it is used."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from hdfs_native import Client

from hansa import limits
from hansa.errors import ConflictError, InvalidError

REPLICATION_MAX = 512
"""What a NameNode takes at most by default (dfs.replication.max)."""
_USER_VARIABLE = "HADOOP_USER_NAME"
_CONFIG = {
    # 60 s by default: a hung DataNode would hold every read that meets it for so long.
    "dfs.client.socket-timeout": str(limits.HDFS_SILENCE_MS_MAX),
    # The library alone would try for three minutes; the store waits itself, and says so.
    "dfs.client.failover.max.attempts": "3",
    "dfs.client.failover.sleep.base.millis": "100",
    "dfs.client.failover.sleep.max.millis": "500",
    # By default a pipeline that lost a DataNode goes on with one less: what is then acknowledged has one
    # replica until HDFS makes another. So another takes its place, or the file is written anew.
    "dfs.client.block.write.replace-datanode-on-failure.policy": "ALWAYS",
    "dfs.client.block.write.replace-datanode-on-failure.best-effort": "true",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class HdfsSettings:
    """What `[store]` of node.toml says of an HDFS store."""

    url: str
    """hdfs://host:port/folder, or hdfs://nameservice/folder with `conf_dir` or `config`."""
    replication: int = 3
    """Copies that HDFS keeps of each block, 1 to 512."""
    user: str = ""
    """Who asks, where HDFS takes one's word for it (simple authentication); empty: the system's user."""
    conf_dir: str = ""
    """Folder with the site's core-site.xml and hdfs-site.xml; empty: none is read."""
    kerberos_principal: str = ""
    """Who asks, with Kerberos; empty: no Kerberos, or what `kinit` left."""
    kerberos_keytab: str = ""
    """File with the principal's key."""
    config: Mapping[str, str] = field(default_factory=dict)
    """Properties of Hadoop's configuration; go before those in `conf_dir`."""

    def root(self) -> str:
        """Return the folder's absolute path in HDFS.

        Raises:
            InvalidError: the URL or another setting cannot be right.
        """
        parts = urlsplit(self.url)
        path = unquote(parts.path).rstrip("/")
        words = path.split("/")[1:]
        bad = not parts.netloc or parts.query or parts.fragment or "@" in parts.netloc
        if parts.scheme != "hdfs" or bad or not path.startswith("/"):
            raise InvalidError(
                f"{self.url!r} is no address in HDFS.",
                remedy="Write hdfs://HOST:PORT/FOLDER, or hdfs://NAMESERVICE/FOLDER.",
            )
        if any(word in {"", ".", ".."} or ":" in word or not word.isprintable() for word in words):
            raise InvalidError(f"The folder in {self.url!r} is no plain path.")
        if not 1 <= self.replication <= REPLICATION_MAX:
            raise InvalidError(f"store.replication must be from 1 to {REPLICATION_MAX}.")
        if bool(self.kerberos_keytab) != bool(self.kerberos_principal):
            raise InvalidError("A Kerberos keytab needs its principal, and a principal its keytab.")
        return path


def connect(settings: HdfsSettings) -> Client:
    """Return a client; nothing is asked of the NameNode yet.

    The library takes the user of simple authentication from the environment, when it first connects
    and whenever it does so again: one process, one user.

    Raises:
        InvalidError: a setting cannot be right.
        ConflictError: this process uses HDFS as another user already.
    """
    settings.root()
    if settings.user and os.environ.setdefault(_USER_VARIABLE, settings.user) != settings.user:
        raise ConflictError(
            f"store.user is {settings.user!r}, but {_USER_VARIABLE} is set to another user.",
            remedy=f"Remove {_USER_VARIABLE} from the node's environment, or store.user.",
        )
    parts = urlsplit(settings.url)
    try:
        return Client(
            f"{parts.scheme}://{parts.netloc}",
            {**_CONFIG, **settings.config},
            settings.conf_dir or None,
            kerberos_principal=settings.kerberos_principal or None,
            kerberos_keytab=settings.kerberos_keytab or None,
        )
    except (OSError, RuntimeError) as error:
        raise InvalidError(
            f"HDFS cannot be used with these settings: {error}",
            remedy="Compare [store] in node.toml with the site's core-site.xml and hdfs-site.xml.",
        ) from error
