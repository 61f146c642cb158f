"""Node processes on this machine: started detached, found again, stopped, and never a stranger's."""

import contextlib
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import msgspec
import psutil

from hansa.cli.started import ProcessRecord, collect, find_started, record_of
from hansa.errors import ConflictError, UnavailableError

PROCESS_FILE = "process.json"
STOP_S_MAX = 10
START_LOG = "process.log"


@dataclass(frozen=True, slots=True)
class NodeProcess:
    """The process of one node folder, if it runs."""

    folder: Path
    pid: int | None


def free_ports(count: int) -> list[int]:
    """Return TCP ports on the loopback address that are free now, each once."""
    with contextlib.ExitStack() as held:
        ports = []
        for _ in range(count):
            listener = held.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
            listener.bind(("127.0.0.1", 0))
            ports.append(int(listener.getsockname()[1]))
        return ports


def refuse_taken_port(port: int, name: str) -> None:
    """Refuse to start a node on a loopback port that another program uses.

    Raises:
        ConflictError: it is used; says by whom, as far as the system tells.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the node itself does
        try:
            tried.bind(("127.0.0.1", port))
            tried.listen(1)
        except OSError as error:
            raise ConflictError(
                f"The node of {name} cannot listen on 127.0.0.1:{port}:"
                f" {_user_of(port) or 'another program'} uses the port.",
                remedy="Stop that program, then try again.",
            ) from error


def _user_of(port: int) -> str:
    """Return which process listens on a port; empty if the system does not tell."""
    try:
        for link in psutil.net_connections("tcp"):
            if link.laddr and link.laddr.port == port and link.status == psutil.CONN_LISTEN:
                return f"{psutil.Process(link.pid).name()} (pid {link.pid})" if link.pid else ""
    except (psutil.Error, OSError):
        return ""
    return ""


def find_process(folder: Path) -> psutil.Process | None:
    """Return the running process that was started for a node folder, or None."""
    return find_started(_read_record(folder))


def start_process(folder: Path, environment: dict[str, str]) -> int:
    """Start the node of a folder as its own detached process; return its pid.

    A node that runs already is left alone.
    """
    running = find_process(folder)
    if running is not None:
        return running.pid
    log = folder / "log"
    log.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "hansa.cli.main", "node", "start", "--dir", str(folder)]
    with (log / START_LOG).open("ab") as output:
        child = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            env=environment,
        )
    (folder / PROCESS_FILE).write_bytes(msgspec.json.encode(record_of(child)))
    return child.pid


def ask_to_end(folder: Path) -> bool:
    """Ask the node of a folder to end, without waiting; tell whether one was running."""
    process = find_process(folder)
    if process is None:
        return False
    with contextlib.suppress(psutil.NoSuchProcess):
        process.terminate()
    return True


def stop_process(folder: Path) -> bool:
    """Ask the node of a folder to end, insist after ten seconds; tell whether one was running."""
    process = find_process(folder)
    if process is None:
        return False
    try:
        process.terminate()
        process.wait(STOP_S_MAX)
    except psutil.NoSuchProcess:
        pass  # it ended by itself, which is what was wanted
    except psutil.TimeoutExpired:
        process.kill()
        process.wait(STOP_S_MAX)
    collect(process.pid)
    (folder / PROCESS_FILE).unlink(missing_ok=True)
    return True


def kill_process(folder: Path) -> int:
    """End the node of a folder with SIGKILL, as a power cut would; return the pid it had.

    Raises:
        UnavailableError: no node of this folder runs.
    """
    process = find_process(folder)
    if process is None:
        raise UnavailableError(f"No node runs for {folder.name}.")
    process.send_signal(signal.SIGKILL)
    process.wait(STOP_S_MAX)
    collect(process.pid)
    return process.pid


def pause_process(folder: Path) -> None:
    """Stop the node of a folder from running until `resume_process`."""
    process = find_process(folder)
    if process is not None:
        process.suspend()


def resume_process(folder: Path) -> None:
    """Let a paused node run on."""
    process = find_process(folder)
    if process is not None:
        process.resume()


def last_words(folder: Path, lines: int = 5) -> str:
    """Return the last lines a node's process printed, for an error message."""
    log = folder / "log" / START_LOG
    if not log.exists():
        return ""
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])


def _read_record(folder: Path) -> ProcessRecord | None:
    try:
        data = (folder / PROCESS_FILE).read_bytes()
        return msgspec.json.decode(data, type=ProcessRecord)
    except (FileNotFoundError, msgspec.DecodeError):
        return None
