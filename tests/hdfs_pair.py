"""A real HDFS with two NameNodes, one active, for tests of failover: edits shared by a folder, changed by hand."""

import contextlib
import json
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.request import urlopen

from hansa.cli.hdfs.configuration import (
    HOST,
    datanode_command,
    hadoop_environment,
    namenode_command,
    write_configuration,
)
from hansa.cli.hdfs.daemons import end_daemons, kill_daemon, start_daemon
from hansa.cli.hdfs.jars import fetch_jars, find_java
from hansa.cli.hdfs.namenode_web import NameNodeWeb
from hansa.cli.processes import free_ports
from hansa.cli.started import ProcessRecord
from tests.e2e.harness import wait_for
from tests.hdfs import REPLICATION

NAMESERVICE = "city"
NAMES = ("nn1", "nn2")
DATANODES = 2
_ADMIN = "org.apache.hadoop.hdfs.tools.DFSHAAdmin"


class NameNodePair:
    """Two NameNodes and two DataNodes, tied to this process; use as a context."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._java, self._jars = find_java(), fetch_jars()
        self._records: dict[str, ProcessRecord] = {}

    def __enter__(self) -> Self:
        """Format, start all, make the first active; wait until it takes writes."""
        ports = free_ports(2 * len(NAMES))
        self._rpc, self._http = (
            dict(zip(NAMES, half, strict=True)) for half in (ports[:2], ports[2:])
        )
        (self.folder / "log").mkdir(parents=True)
        conf = write_configuration(
            self.folder, rpc_port=ports[0], http_port=ports[2], replication=REPLICATION
        )
        self._add(conf / "hdfs-site.xml", conf / "core-site.xml")
        try:
            self._run(self._namenode("nn1", "-format", "-nonInteractive", "-force"))
            self._start("nn1", self._namenode("nn1"))
            self._run(self._namenode("nn2", "-bootstrapStandby", "-nonInteractive", "-force"))
            self._start("nn2", self._namenode("nn2"))
            for number in range(DATANODES):
                name = f"datanode-{number}"
                self._start(name, datanode_command(self._java, self._jars, self.folder, number))
            self.make_active("nn1")
            wait_for(lambda: self._takes_writes("nn1"), 120)
        except BaseException:
            end_daemons(self._records.values())
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        end_daemons(self._records.values())

    @property
    def conf_dir(self) -> Path:
        """Return a HADOOP_CONF_DIR that names the nameservice."""
        return self.folder / "conf"

    def web(self, name: str) -> NameNodeWeb:
        """Return the web server of one NameNode."""
        return NameNodeWeb(self._http[name])

    def make_active(self, name: str) -> None:
        """Make a standby the active one, as an operator or ZooKeeper does, once it answers."""
        command = [*self._java_of(name), _ADMIN, "-transitionToActive", "--forceactive", name]
        wait_for(lambda: self._run(command, check=False) == 0, 120)

    def kill(self, name: str) -> None:
        """End a NameNode by SIGKILL."""
        kill_daemon(self._records.pop(name))

    def start(self, name: str) -> None:
        """Start a NameNode that was killed: it is a standby."""
        self._start(name, self._namenode(name))

    def wait_until_standby(self, name: str) -> None:
        """Wait until a NameNode that was started follows the active one."""
        query = "/jmx?qry=Hadoop:service=NameNode,name=NameNodeStatus"

        def is_standby() -> bool:
            with (
                contextlib.suppress(OSError, ValueError, IndexError),
                urlopen(f"{self.web(name).url}{query}", timeout=30) as answer,
            ):
                return json.load(answer)["beans"][0].get("State") == "standby"
            return False

        wait_for(is_standby, 120)

    # --- inside ---------------------------------------------------------------------------------

    def _takes_writes(self, name: str) -> bool:
        with contextlib.suppress(OSError, ValueError):
            found = self.web(name).figures()
            return found["FSState"] == "Operational" and found["NumLiveDataNodes"] == DATANODES
        return False

    def _add(self, hdfs_site: Path, core_site: Path) -> None:
        settings = {
            "dfs.nameservices": NAMESERVICE,
            f"dfs.ha.namenodes.{NAMESERVICE}": ",".join(NAMES),
            f"dfs.client.failover.proxy.provider.{NAMESERVICE}": "org.apache.hadoop.hdfs.server."
            "namenode.ha.ConfiguredFailoverProxyProvider",
            "dfs.namenode.shared.edits.dir": (self.folder / "shared").as_uri(),
            "dfs.ha.fencing.methods": "shell(/bin/true)",
            "dfs.ha.tail-edits.period": "1s",
        }
        for name in NAMES:
            settings[f"dfs.namenode.rpc-address.{NAMESERVICE}.{name}"] = f"{HOST}:{self._rpc[name]}"
            settings[f"dfs.namenode.http-address.{NAMESERVICE}.{name}"] = (
                f"{HOST}:{self._http[name]}"
            )
        text = hdfs_site.read_text()
        lines = [line for line in text.splitlines() if "dfs.namenode.rpc-address<" not in line]
        lines = [line for line in lines if "dfs.namenode.http-address<" not in line]
        added = [
            f"<property><name>{k}</name><value>{v}</value></property>" for k, v in settings.items()
        ]
        hdfs_site.write_text("\n".join([*lines[:-1], *added, lines[-1]]))
        text = core_site.read_text()
        core_site.write_text(
            text.replace(f"hdfs://{HOST}:{self._rpc['nn1']}", f"hdfs://{NAMESERVICE}")
        )

    def _namenode(self, name: str, *arguments: str) -> list[str]:
        own = (
            f"dfs.ha.namenode.id={name}",
            f"dfs.namenode.name.dir={(self.folder / name).as_uri()}",
        )
        options = [word for setting in own for word in ("-D", setting)]
        return namenode_command(self._java, self._jars, self.folder, *options, *arguments)

    def _java_of(self, name: str) -> list[str]:
        """Return how a Java process begins, without its class."""
        command = self._namenode(name)
        return command[: command.index("-cp") + 2]

    def _start(self, name: str, command: list[str]) -> None:
        output = self.folder / "log" / f"{name}.out"
        self._records[name] = start_daemon(command, output, hadoop_environment(), tied=True)

    def _run(self, command: list[str], *, check: bool = True) -> int:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            env=hadoop_environment(),
            timeout=120,
            check=False,
        )
        if check:
            assert done.returncode == 0, done.stderr[-2000:]
        return done.returncode
