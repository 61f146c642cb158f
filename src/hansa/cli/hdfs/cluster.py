"""A cluster in one folder: a NameNode and some DataNodes; made once, started and stopped as often as needed.

D/cluster.json            ports, size, which processes
D/conf/                   Hadoop's settings; a HADOOP_CONF_DIR for clients
D/namenode/               names: image and edit log
D/datanode-0/ …           blocks
D/log/                    one file for each process
"""

import contextlib
import fcntl
import random
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec

from hansa.cli.hdfs.configuration import (
    HOST,
    admin_command,
    datanode_command,
    hadoop_environment,
    namenode_command,
    write_configuration,
)
from hansa.cli.hdfs.daemons import end_daemons, kill_daemon, start_daemon
from hansa.cli.hdfs.jars import fetch_jars, find_java
from hansa.cli.hdfs.namenode_web import NameNodeWeb
from hansa.cli.started import ProcessRecord, find_started
from hansa.errors import ConflictError, MissingError, UnavailableError

STATE_FILE = "cluster.json"
READY_S_MAX = 120
_COMMAND_S_MAX = 120
_POLL_S = 0.1
_PORT_MIN = 10_240


class ClusterState(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a cluster's folder remembers."""

    format: int = 1
    rpc_port: int
    http_port: int
    replication: int
    namenode: ProcessRecord | None = None
    datanodes: list[ProcessRecord | None]


class ClusterView(msgspec.Struct, frozen=True, kw_only=True):
    """A cluster as it is now, for people and programs."""

    url: str
    running: bool
    replication: int
    datanodes: int
    datanodes_live: int
    safe_mode: bool
    blocks_under_replicated: int
    blocks_missing: int
    webhdfs: str
    conf_dir: str


class HdfsCluster:
    """A cluster's folder. Use as a context to have it stopped at the end."""

    def __init__(self, folder: Path, *, tied: bool = False) -> None:
        """Open a folder; nothing is read or started yet.

        Args:
            folder: the cluster's own.
            tied: what is started ends when this process's main thread does, however it does.
        """
        self.folder = folder.absolute()
        self._tied = tied

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    # --- what it is -----------------------------------------------------------------------------

    def exists(self) -> bool:
        """Tell whether the folder holds a cluster."""
        return (self.folder / STATE_FILE).exists()

    @property
    def url(self) -> str:
        """Return hdfs://host:port, without a folder."""
        return f"hdfs://{HOST}:{self.state().rpc_port}"

    @property
    def conf_dir(self) -> Path:
        """Return the folder of the settings, for Hadoop's own clients."""
        return self.folder / "conf"

    def state(self) -> ClusterState:
        """Read what the folder remembers.

        Raises:
            MissingError: it holds no cluster.
        """
        try:
            data = (self.folder / STATE_FILE).read_bytes()
        except FileNotFoundError as error:
            raise MissingError(f"{self.folder} holds no HDFS.") from error
        return msgspec.json.decode(data, type=ClusterState)

    def is_running(self) -> bool:
        """Tell whether the NameNode's process runs."""
        return self.exists() and find_started(self.state().namenode) is not None

    def view(self) -> ClusterView:
        """Return the cluster as it is now."""
        state = self.state()
        running = self.is_running()
        figures: dict[str, Any] = {}
        if running:
            with contextlib.suppress(OSError, ValueError):
                figures = self.web.figures()
        return ClusterView(
            url=self.url,
            running=running,
            replication=state.replication,
            datanodes=len(state.datanodes),
            datanodes_live=int(figures.get("NumLiveDataNodes", 0)),
            safe_mode=figures.get("FSState", "safeMode") != "Operational",
            blocks_under_replicated=int(figures.get("UnderReplicatedBlocks", 0)),
            blocks_missing=int(figures.get("MissingBlocks", 0)),
            webhdfs=self.web.url,
            conf_dir=str(self.conf_dir),
        )

    @property
    def web(self) -> NameNodeWeb:
        """Return the NameNode's web server."""
        return NameNodeWeb(self.state().http_port)

    # --- starting and stopping ------------------------------------------------------------------

    def start(self, *, datanodes: int = 3, replication: int = 2) -> Self:
        """Start all processes, formatting a new cluster first; wait until it takes writes.

        One that runs is left alone; one that was stopped keeps its size, its ports and its data.

        Raises:
            MissingError: there is no Java, or nothing to get Hadoop with.
            ConflictError: another program uses the NameNode's port.
            UnavailableError: it did not get ready in time; what was started is stopped again.
        """
        java, jars = find_java(), fetch_jars()
        with self._alone():
            if self.is_running():
                return self
            state = self._prepare(datanodes, replication)
            try:
                if not (self.folder / "namenode" / "current" / "VERSION").exists():
                    self._format(java, jars)
                command = namenode_command(java, jars, self.folder)
                state = self._save(state, namenode=self._start("namenode", command))
                for number in range(len(state.datanodes)):
                    self._start_datanode(java, jars, number)
                self.wait_until_ready()
            except BaseException:
                self._stop()
                raise
        return self

    def stop(self) -> bool:
        """Stop all processes; tell whether the NameNode ran. The data stay."""
        if not self.exists():
            return False
        with self._alone():
            was_running = self.is_running()
            self._stop()
        return was_running

    def kill_datanode(self, number: int) -> None:
        """End a DataNode by SIGKILL."""
        kill_daemon(self.state().datanodes[number])

    def start_datanode(self, number: int) -> None:
        """Start a DataNode that was killed."""
        with self._alone():
            self._start_datanode(find_java(), fetch_jars(), number)

    def pause(self, number: int | None = None) -> None:
        """Stop a DataNode, or the NameNode, from running: it holds its connections, and is silent."""
        self._process(number).suspend()

    def resume(self, number: int | None = None) -> None:
        """Let a paused process run on."""
        self._process(number).resume()

    def stop_namenode(self) -> None:
        """End the NameNode alone; the DataNodes wait for its return."""
        with self._alone():
            end_daemons([self.state().namenode])

    def start_namenode(self) -> None:
        """Start the NameNode alone, without waiting for it."""
        with self._alone():
            command = namenode_command(find_java(), fetch_jars(), self.folder)
            self._save(self.state(), namenode=self._start("namenode", command))

    def wait_until_ready(self) -> None:
        """Wait until the NameNode is out of safe mode and all DataNodes are there.

        Raises:
            UnavailableError: it ended, or took longer than READY_S_MAX.
        """
        wanted = len(self.state().datanodes)
        self.wait_for(
            lambda found: (
                found.get("FSState") == "Operational" and found.get("NumLiveDataNodes", 0) >= wanted
            ),
            f"HDFS with {wanted} DataNodes",
        )

    def wait_for(self, holds: Any, what: str, seconds: float = READY_S_MAX) -> dict[str, Any]:
        """Wait until the NameNode's figures are as wanted; return them.

        Args:
            holds: tells it of figures.
            what: is waited for, for the error message.
            seconds: how long.

        Raises:
            UnavailableError: it took longer, or the NameNode ended.
        """
        found: dict[str, Any] = {}
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if find_started(self.state().namenode) is None:
                raise UnavailableError("The NameNode ended.", remedy=self._last_words("namenode"))
            with contextlib.suppress(OSError, ValueError):
                found = self.web.figures()
                if holds(found):
                    return found
            time.sleep(_POLL_S)
        live = f"{found.get('FSState')}, {found.get('NumLiveDataNodes')} DataNodes live"
        raise UnavailableError(
            f"{what} did not come in {seconds:.0f} s: {live}.",
            remedy=self._last_words("namenode") or f"Look into {self.folder / 'log'}.",
        )

    # --- administration -------------------------------------------------------------------------

    def administer(self, *arguments: str) -> str:
        """Run `hdfs dfsadmin …`; return what it prints.

        Raises:
            UnavailableError: it failed.
        """
        command = admin_command(find_java(), fetch_jars(), self.folder, *arguments)
        return _run(command, "hdfs dfsadmin failed.")

    # --- inside ---------------------------------------------------------------------------------

    def _prepare(self, datanodes: int, replication: int) -> ClusterState:
        """Choose ports for a new cluster, or check those of one that was stopped; write settings."""
        if self.exists():
            state = self.state()
            end_daemons([*state.datanodes, state.namenode])  # what a crash of the NameNode left
            for port in (state.rpc_port, state.http_port):
                if not _is_free(port):
                    raise ConflictError(
                        f"Another program uses {HOST}:{port}, which is this HDFS's.",
                        remedy="Stop that program, then try again.",
                    )
        else:
            rpc_port, http_port = _choose_ports()
            state = ClusterState(
                rpc_port=rpc_port,
                http_port=http_port,
                replication=min(replication, datanodes),
                datanodes=[None] * datanodes,
            )
        (self.folder / "log").mkdir(exist_ok=True)
        write_configuration(
            self.folder,
            rpc_port=state.rpc_port,
            http_port=state.http_port,
            replication=state.replication,
        )
        return self._save(state, namenode=None, datanodes=[None] * len(state.datanodes))

    def _format(self, java: str, jars: Path) -> None:
        """Make the NameNode's folder; one whose making was cut short is made anew."""
        words = ("-format", "-nonInteractive", "-force")
        _run(namenode_command(java, jars, self.folder, *words), "HDFS cannot be formatted.")

    def _start(self, name: str, command: list[str]) -> ProcessRecord:
        output = self.folder / "log" / f"{name}.out"
        return start_daemon(command, output, hadoop_environment(), tied=self._tied)

    def _start_datanode(self, java: str, jars: Path, number: int) -> None:
        state = self.state()
        if find_started(state.datanodes[number]) is not None:
            return
        command = datanode_command(java, jars, self.folder, number)
        state.datanodes[number] = self._start(f"datanode-{number}", command)
        self._save(state)

    def _stop(self) -> None:
        state = self.state()
        # DataNodes first, so that the NameNode sees no storm of lost pipelines.
        end_daemons([p for p in state.datanodes if p is not None])
        end_daemons([state.namenode])
        self._save(state, namenode=None, datanodes=[None] * len(state.datanodes))

    def _save(self, state: ClusterState, **changes: Any) -> ClusterState:
        state = msgspec.structs.replace(state, **changes)
        temporary = self.folder / (STATE_FILE + ".new")
        temporary.write_bytes(msgspec.json.format(msgspec.json.encode(state)))
        temporary.replace(self.folder / STATE_FILE)
        return state

    def _process(self, number: int | None) -> Any:
        state = self.state()
        process = find_started(state.namenode if number is None else state.datanodes[number])
        if process is None:
            raise UnavailableError("That process does not run.")
        return process

    def _last_words(self, name: str) -> str:
        words = []
        for path in (self.folder / "log" / f"{name}.out", self.folder / "log" / f"{name}.log"):
            if path.exists():
                words += path.read_text(errors="replace").splitlines()[-5:]
        return "\n".join(words)

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Let one process at a time change the cluster."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _run(command: list[str], failure: str) -> str:
    """Run one of Hadoop's commands to its end; return what it printed.

    Raises:
        UnavailableError: it failed; the message is `failure`.
    """
    done = subprocess.run(  # noqa: S603 - our own command
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env=hadoop_environment(),
        timeout=_COMMAND_S_MAX,
        check=False,
    )
    if done.returncode:
        raise UnavailableError(failure, remedy=done.stderr[-1000:])
    return done.stdout


def _choose_ports() -> tuple[int, int]:
    """Return two free ports below those the system gives to outgoing connections.

    Else, while the cluster is stopped, a connection may be given the NameNode's port, and a restart
    could not have it back.
    """
    try:
        told = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text(encoding="ascii")
        top = max(int(told.split()[0]), _PORT_MIN + 2_000)
    except (OSError, ValueError):
        top = 32_768
    found: list[int] = []
    for port in random.sample(range(_PORT_MIN, top), 1_000):
        if _is_free(port):
            found.append(port)
        if len(found) == 2:
            return found[0], found[1]
    raise UnavailableError("There are no free ports.")


def _is_free(port: int) -> bool:
    with socket.socket() as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind((HOST, port))
        except OSError:
            return False
        return True
